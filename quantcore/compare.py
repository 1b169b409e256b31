"""`compare`: the error of a quantized model against its float origin, layer by layer.

See docs/quantization/compare.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from quantcore.calibration.dataset import Dataset, Sample, read_samples
from quantcore.comparison.constants import constant_values, fixed_tensors
from quantcore.comparison.layers import FEEDS, Layers
from quantcore.comparison.matching import SIGN_AGREEMENT, Matching, match_models
from quantcore.comparison.measures import params_of
from quantcore.comparison.result import CompareResult, Row, Unmatched
from quantcore.errors import KernelError, QuantcoreError
from quantcore.flatbuffer import read_model
from quantcore.flatbuffer.constants import constant_codes
from quantcore.graph import Model, Subgraph
from quantcore.oracle.arguments import ModelLike
from quantcore.qparams import storage_name

__all__ = ["FEEDS", "CompareResult", "Row", "compare"]

Advance = Callable[[int, int, str], None]

MATCHED_SHARE = 0.5  # of the operators: with fewer, the models do not belong together


def compare(
    float_model: ModelLike,
    quant_model: ModelLike,
    inputs: Dataset,
    *,
    feed: str = "quantized",
    samples: int | None = None,
    numerics: str = "reference",
    progress: Advance | None = None,
) -> CompareResult:
    """Measure the error of every tensor of a quantized model against its float origin.

    Parameters
    ----------
    float_model, quant_model : Model, bytes or path
        Any quantization of it: int8, uint8, int16x8, dynamic, float16, by any tool.
    inputs : callable, iterable, ndarray, mapping or path
        Samples for the float model, in any form that calibration takes, see
        `quantcore.calibration.dataset.read_samples`. Those of the quantized model are quantized from them.
    feed : {"quantized", "float", "pairwise"}
        What each operator is fed with. ``quantized``: both models run end to end, so errors add up.
        ``float``: every operator of the quantized model alone gets the values of the float model, quantized
        to the parameters of its inputs, so that its own error shows. ``pairwise``: the quantized model runs
        end to end, and every operator of the float model gets its values, dequantized.
    samples : int, optional
        How many samples to take, at most.
    numerics : str
        Numerics profile of both models.
    progress : callable, optional
        Called as ``progress(done, total, what)`` after each operator and sample; `total` is 0 where the
        number of samples is not known.

    Returns
    -------
    CompareResult

    Raises
    ------
    QuantcoreError
        The two do not belong together: other inputs or outputs, other operators, other weights.
    QuantizationError
        `inputs` do not fit the float model.
    KernelError
        `feed` or `samples` is not usable.
    ModelFormatError, UnsupportedOperatorError
        A model cannot be read or run.

    Notes
    -----
    Only sums are kept of each sample. In a model with state (variable tensors), each sample starts from fresh
    state. Subgraphs that control flow calls are not looked into.
    """
    if feed not in FEEDS:
        raise KernelError(f"feed is {feed!r}; expected one of {', '.join(FEEDS)}")
    if samples is not None and samples < 1:
        raise KernelError(f"samples is {samples}; expected at least 1")
    floats, quants = (m if isinstance(m, Model) else read_model(m) for m in (float_model, quant_model))
    matching = match(floats, quants)
    taken: Iterable[Sample] = islice(read_samples(floats, inputs), samples)
    if not callable(inputs) and not isinstance(inputs, Iterator):
        taken = list(taken)  # views of arrays that are there anyway
    count = len(taken) if isinstance(taken, list) else 0
    result = CompareResult(floats.source, quants.source, feed, numerics)
    describe(result, floats, quants, matching)
    layers = Layers(floats, quants, matching, result.tensors, feed, numerics)
    done, total = 0, count * layers.steps

    def step(what: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, what)

    for sample in taken:
        layers.add(sample, step)
        result.samples += 1
    return result


def match(floats: Model, quants: Model) -> Matching:
    """Return how two models belong together; an error if they do not."""
    a, b = floats.subgraphs[0], quants.subgraphs[0]
    names = f"{floats.source} and {quants.source} do not belong together"
    for what, ours, theirs in (("inputs", a.inputs, b.inputs), ("outputs", a.outputs, b.outputs)):
        shapes = [[g.tensors[t].shape for t in ts] for g, ts in ((a, ours), (b, theirs))]
        if sorted(shapes[0]) != sorted(shapes[1]):
            raise QuantcoreError(f"{names}: {what} of shapes {shapes[0]} and {shapes[1]}; expected the same")
    quantized = [t for t in dict.fromkeys((*a.inputs, *a.producers())) if params_of(a.tensors[t]) is not None]
    if quantized:
        raise QuantcoreError(
            f"{floats.source} is quantized (tensor {quantized[0]} is {a.tensors[quantized[0]].dtype}); "
            "expected the float model first, then the quantized one"
        )
    found = match_models(floats, quants)
    matched, unmatched = sum(bool(pair.floats) for pair in found.pairs), len(found.unmatched_quant)
    if matched < MATCHED_SHARE * (matched + unmatched):
        raise QuantcoreError(
            f"{names}: only {matched} of {matched + unmatched} operators of the quantized model have a "
            "counterpart of the same kind that reads the same values"
        )
    if found.signs_agree < SIGN_AGREEMENT:
        raise QuantcoreError(
            f"{names}: their operators match, but only {found.signs_agree:.0%} of the weights have the same "
            "sign; was one of them trained anew?"
        )
    return found


def describe(result: CompareResult, floats: Model, quants: Model, matching: Matching) -> None:
    """Fill in what is known before a sample is run: empty rows, constants, what has no counterpart."""
    a, b = floats.subgraphs[0], quants.subgraphs[0]
    inputs = [t for t in b.inputs if params_of(b.tensors[t]) is not None]
    result.tensors += [_row(a, b, None, t, matching.tensors[t], ()) for t in inputs]
    for pair in matching.pairs:
        outputs = [t for t in b.operators[pair.quant].outputs if t in matching.tensors]
        result.tensors += [_row(a, b, pair.quant, t, matching.tensors[t], pair.floats) for t in outputs]
    result.constants += _constants(a, b, matching)
    for rows, graph, indices in (
        (result.unmatched_quant, b, matching.unmatched_quant),
        (result.unmatched_float, a, matching.unmatched_float),
    ):
        for i in indices:
            op = graph.operators[i]
            t = next((t for t in op.outputs if t >= 0), -1)
            rows.append(Unmatched(i, op.name, t, graph.tensors[t].name if t >= 0 else ""))
    if len(quants.subgraphs) > 1:
        result.notes.append(f"{len(quants.subgraphs) - 1} subgraphs beside the main one were not compared")


def _row(a: Subgraph, b: Subgraph, i: int | None, q: int, f: int, floats: tuple[int, ...]) -> Row:
    tensor = b.tensors[q]
    row = Row(
        index=i,
        op=None if i is None else b.operators[i].name,
        tensor=q,
        name=tensor.name,
        dtype=tensor.dtype,
        float_operators=floats,
        float_tensor=f,
        float_name=a.tensors[f].name,
        is_output=i is not None and q in b.outputs,
        params=params_of(tensor),
    )
    stored = [storage_name(t.dtype) for t in (tensor, a.tensors[f])]
    kinds = [np.dtype(d).kind if d in np.sctypeDict else "" for d in stored]
    if not set(kinds) <= set("fiub"):
        row.reason = f"{tensor.dtype} has no real values"
    elif kinds[1] == "f" and kinds[0] != "f" and row.params is None:
        row.reason = f"{tensor.dtype} without a scale stands for {a.tensors[f].dtype}"
    return row


def _constants(a: Subgraph, b: Subgraph, matching: Matching) -> list[Row]:
    """Return the rows of constants that differ from the float model's in dtype or value."""
    fixed_quant, fixed_float = fixed_tensors(b), fixed_tensors(a)
    rows = []
    uses = b.uses()
    for q, f in matching.constants.items():
        tensor, origin = fixed_quant[q], fixed_float[f]
        values, expected = constant_values(tensor), constant_values(origin)
        if values is None or expected is None or values.size != expected.size or origin.dtype != "float32":
            continue
        row = _row(a, b, uses[q][0][0], q, f, ())
        row.dtype, row.params = tensor.dtype, params_of(tensor)
        if tensor.dtype != origin.dtype or not np.array_equal(values, expected):
            codes = constant_codes(tensor)
            assert codes is not None
            row.sums.update(expected, codes if row.params is not None else values, row.params)
            rows.append(row)
    return rows
