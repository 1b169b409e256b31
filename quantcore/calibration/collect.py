"""`collect_ranges`: run a float model over a representative dataset and note the range of every tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from quantcore.calibration.dataset import MAIN, Dataset, Sample, read_samples
from quantcore.calibration.engine_quantcore import observe as observe_quantcore
from quantcore.calibration.engine_tflite import observe as observe_tflite
from quantcore.calibration.engine_tflite import observe_as_calibrator
from quantcore.calibration.inplace import overwritten_inputs
from quantcore.calibration.intermediates import with_intermediates
from quantcore.calibration.lstm_inside import lstms_to_replay, shows_all
from quantcore.calibration.methods import MIN_MAX, Method, choose_methods, method_name, method_text
from quantcore.calibration.observation import Observation, observed_tensors
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph
from quantcore.ops.shared.lstm_operands import HIDDEN
from quantcore.oracle import Oracle

__all__ = ["ENGINES", "RANGES", "collect_ranges"]

ENGINES = ("quantcore", "tflite")
RANGES = ("clean", "converter")
FLT_MIN = float(np.finfo(np.float32).tiny)  # what the converter's calibrator starts the maximum from


def collect_ranges(
    model: Model,
    dataset: Dataset,
    *,
    engine: str = "quantcore",
    ranges: str = "clean",
    method: Method = MIN_MAX,
    methods: Mapping[int | str, Method] | None = None,
    num_threads: int | None = None,
    advance: Callable[[int], None] | None = None,
    oracle: Oracle | None = None,
) -> Ranges:
    """Run a float model over a representative dataset and return the range of every float32 activation.

    Parameters
    ----------
    model : Model
        Its main subgraph is run. Weights may be quantized already, activations may not.
    dataset
        See `quantcore.calibration.dataset.read_samples`: a function that returns an iterable of samples, as
        for ``tf.lite.TFLiteConverter``, the iterable itself, arrays, or a ``.npy`` or ``.npz`` file.
    engine : {"quantcore", "tflite"}
        What computes the activations: quantcore's float kernels, or TensorFlow Lite's, run in a process of
        its own as the converter's calibrator runs them.
    ranges : {"clean", "converter"}
        ``clean``: the values that each tensor takes. ``converter``: what TensorFlow's calibrator records,
        to the bit with ``engine="tflite"``: see docs/quantization/engines.md. Needs the method ``min_max``.
    method : str or dict
        How a range follows from the values: the name of a method, alone or with arguments of its tracker, as
        in ``moving_average:0.9`` or ``moving_average:momentum=0.9``; or a dict of the name as ``method`` and
        these.
    methods : mapping of (int or str) to method, optional
        Other methods for single tensors, by index or by a pattern of names (``*``, ``?``, ``[...]``). Where
        several fit, the last one counts.
    num_threads : int, optional
        Samples that the engine ``quantcore`` runs at the same time; default: one per CPU. The ranges do not
        depend on it.
    advance : callable, optional
        Called with 1 after each sample.
    oracle : Oracle, optional
        Whose process the engine ``tflite`` uses; default: one of its own.

    Returns
    -------
    Ranges
        By tensor index: graph inputs, and whatever float32 tensors operators read or write that are no
        constants. Tensors without elements are left out. Values inside of an LSTM follow behind the model's
        own tensors (docs/quantization/lstm.md); unless the output shows them, their method is ``min_max``.

    Raises
    ------
    QuantizationError
        Bad data (see `read_samples`); NaN or infinity in a tensor (the message names the sample, the tensor
        and the operator that made it); a model with quantized activations; an unknown engine or method.
    UnsupportedOperatorError, KernelError
        The engine ``quantcore`` cannot run the model.
    OracleError
        The engine ``tflite`` cannot run the model, or is not installed.

    Examples
    --------
    >>> ranges = collect_ranges(model, images)       # doctest: +SKIP
    >>> ranges[0].rmin, ranges[0].rmax               # doctest: +SKIP
    """
    if engine not in ENGINES:
        raise QuantizationError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    if ranges not in RANGES:
        raise QuantizationError(f"ranges is {ranges!r}; expected one of {', '.join(RANGES)}")
    if num_threads is not None and num_threads < 1:
        raise QuantizationError(f"num_threads is {num_threads}; expected at least 1")
    model = with_intermediates(model)
    subgraph = model.subgraphs[MAIN]
    tensors = observed_tensors(subgraph)
    chosen = choose_methods(subgraph, tensors, method, methods)
    if ranges == "converter" and any(method_name(m) != MIN_MAX for m in chosen.values()):
        raise QuantizationError(
            f"ranges='converter' is what the converter records: method must be {MIN_MAX!r}"
        )
    samples = with_progress(read_samples(model, dataset), advance)
    inside = {t for op in subgraph.operators for t in op.intermediates}
    if engine == "tflite" and ranges == "converter" and inside:
        return to_ranges(subgraph, chosen, observe_as_calibrator(model, samples, oracle))
    if engine == "quantcore":
        observation = observe_quantcore(model, samples, chosen, num_threads)
    elif lstms_to_replay(subgraph):
        given = list(samples)
        observation = observe_tflite(model, iter(given), chosen, oracle)
        recorded = observe_as_calibrator(model, iter(given), oracle).seen
        observation.seen.update((t, ends) for t, ends in recorded.items() if t in inside)
    else:
        observation = observe_tflite(model, samples, chosen, oracle)
    show_inside(subgraph, chosen, observation)
    if ranges == "converter":
        observation = as_converter(subgraph, observation)
    return to_ranges(subgraph, chosen, observation)


def with_progress(samples: Iterator[Sample], advance: Callable[[int], None] | None) -> Iterator[Sample]:
    """Yield `samples`; report each when the next is asked for."""
    for sample in samples:
        yield sample
        if advance is not None:
            advance(1)


def show_inside(subgraph: Subgraph, methods: dict[int, Method], observation: Observation) -> None:
    """Give the value inside of an LSTM that its output shows as it is the range of that output."""
    for op in subgraph.operators:
        if op.intermediates and shows_all(op) and op.outputs[0] in observation.seen:
            hidden, output = op.intermediates[HIDDEN], op.outputs[0]
            methods[hidden] = methods[output]
            observation.seen[hidden] = observation.seen[output]
            if output in observation.narrowed:
                observation.narrowed[hidden] = observation.narrowed[output]


def as_converter(subgraph: Subgraph, observation: Observation) -> Observation:
    """Return what TensorFlow's calibrator would have recorded where the clean ranges are `observation`."""
    clean = observation.seen
    seen = dict(clean)
    for t, output in overwritten_inputs(subgraph):
        if t in clean and output in clean:
            seen[t] = (min(seen[t][0], clean[output][0]), max(seen[t][1], clean[output][1]))
    seen = {t: (low, max(high, FLT_MIN)) for t, (low, high) in seen.items()}
    return Observation(observation.samples, seen, {})


def to_ranges(subgraph: Subgraph, methods: Mapping[int, Method], observation: Observation) -> Ranges:
    """Return an observation as `Ranges`, in the order of the tensors."""
    found = Ranges()
    for t in sorted(observation.seen):
        low, high, clipped = observation.narrowed.get(t, (*observation.seen[t], None))
        found[t] = TensorRange(
            subgraph.tensors[t].name,
            low,
            high,
            observation.samples,
            method_text(methods.get(t, MIN_MAX)),
            *observation.seen[t],
            clipped,
        )
    return found
