"""`verify`: layer by layer, whether the forward pass is what the kernels compute, but for rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.affine import dequantize, quantize
from quantcore.calibration.dataset import read_samples
from quantcore.errors import QuantizationError, UnsupportedOperatorError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model, Tensor
from quantcore.numerics import Profile
from quantcore.qat.calibrate import check_ranges, inputs_alone
from quantcore.qat.checks import check_prepared
from quantcore.qat.export import signature_names
from quantcore.qat.places import Place, forward_places, match_places
from quantcore.qat.verify_result import ForwardResult, LayerResult, OutputResult
from quantcore.rounding_error import RealOutput, RealValues
from quantcore.rounding_error.elementwise import real_of_floats
from quantcore.runtime import Interpreter

__all__ = ["verify"]

MAIN = 0


def verify(model: Any, data: Any, inputs: Any, numerics: str = "reference") -> ForwardResult:
    """Compare a prepared model's forward pass with the int8 inference of the file that it was converted to.

    Layer by layer: each layer is given the values that the integer kernels before it computed, and its output
    is compared with theirs. Both are compared with the real value by the integers in the file, from which
    neither may be further away than ``docs/numerics/qat.md`` derives; so they differ by at most one step, and
    only next to a tie. And end to end: both from the model's inputs on, which is measured.

    Parameters
    ----------
    model : keras.Model
        From `prepare`, with the weights and ranges that were converted.
    data : bytes, path or Model
        The ``.tflite``, from either engine of `convert`.
    inputs : ndarray, mapping, sequence, callable or path
        Samples of float32, as for `calibrate`.
    numerics : str
        Numerics profile of the kernels.

    Raises
    ------
    QuantizationError
        The model is not prepared, the samples do not fit, or the file is not of this model: the message names
        the first layer that it does not have.

    Examples
    --------
    >>> result = qat.verify(model, qat.convert(model), images)            # doctest: +SKIP
    >>> print(result)                                                     # doctest: +SKIP
    >>> result.agrees                                                     # doctest: +SKIP
    True
    """
    check_prepared(model)
    check_ranges(model)
    samples = list(read_samples(inputs_alone(model), inputs))
    arrays = [np.concatenate(parts) for parts in zip(*samples, strict=True)]
    run = _Integers(model, data, arrays, numerics)
    alone, outputs = forward_places(model, arrays)
    matched = match_places(alone, run.subgraph, run.rounded())
    given = [
        dequantize(run.values[t], params(run.subgraph.tensors[t])).reshape(start.integers.shape)
        for start, t in zip(alone, matched, strict=True)
    ]
    places, _ = forward_places(model, arrays, given)
    reals = run.real_values(set(matched))
    result = ForwardResult(str(model.name), numerics, len(samples))
    for place, start, t in zip(places, alone, matched, strict=True):
        result.layers.append(_layer(run, reals, t, place, start))
    result.outputs = run.outputs(outputs)
    return result


def _layer(run: _Integers, reals: Sequence[RealValues], t: int, place: Place, start: Place) -> LayerResult:
    """Compare a place given the kernels' inputs, and the same place of the model alone, with tensor `t`."""
    scale = float(params(run.subgraph.tensors[t]).scale)
    row = LayerResult(place.name, run.operator(t), t, scale, place.zero_point)
    kernel = run.values[t].astype(np.float64)
    for one in (place, start):
        one.integers = one.integers.reshape(kernel.shape)
    apart = np.abs(kernel - start.integers)
    row.end_to_end_differing, row.end_to_end_max = int((apart > 0).sum()), int(apart.max(initial=0))
    try:
        real = RealOutput.joined([part.at(t) for part in reals])
    except UnsupportedOperatorError as error:
        row.reason = str(error)
    else:
        _compare(row, real, place, kernel)
    return row


def _compare(row: LayerResult, real: RealOutput, place: Place, kernel: np.ndarray) -> None:
    """Fill a row with what the same quantized inputs give."""
    slack = np.minimum(
        real.kernel_slack(kernel - place.zero_point), real.forward_slack(place.integers - place.zero_point)
    )
    apart = np.abs(kernel - place.integers)
    row.elements, row.differing = kernel.size, int((apart > 0).sum())
    row.max_abs_diff = int(apart.max(initial=0))
    row.undecided, row.outside = int(real.undecided().sum()), int((slack < 0).sum())
    row.margin = float(slack.min(initial=1.0))
    row.delta = float((real.kernel + real.forward).max(initial=0.0))


def params(tensor: Tensor) -> Any:
    """Return the parameters of a quantized tensor."""
    found = tensor.params
    if found is None:
        raise QuantizationError(f"tensor {tensor.name!r} of the .tflite has no scale; expected one")
    return found


class _Integers:
    """The quantized model, run on all samples: every tensor, with the samples along its first axis."""

    def __init__(self, keras_model: Any, data: Any, arrays: Sequence[np.ndarray], numerics: str) -> None:
        self.model = data if isinstance(data, Model) else read_model(data)
        self.subgraph = self.model.subgraphs[MAIN]
        self.names = signature_names(keras_model)
        self.arrays = dict(zip(self.ends(0), arrays, strict=True))
        interpreter = Interpreter(self.model, numerics=numerics)
        self.profile: Profile = interpreter.numerics
        fed = [self.fed(t) for t in self.subgraph.inputs]
        runs = [interpreter.run_all([x[i : i + 1] for x in fed]) for i in range(len(arrays[0]))]
        self.runs, self.values = runs, dict(runs[0])
        computed = [t for t in runs[0] if self.subgraph.tensors[t].data is None]
        quantized = [t for t in computed if self.subgraph.tensors[t].is_quantized]
        self.stacks = all(runs[0][t].shape[:1] == (1,) for t in quantized)
        for t in computed:
            if runs[0][t].shape[:1] == (1,):
                self.values[t] = np.concatenate([run[t] for run in runs])

    def ends(self, side: int) -> list[int]:
        """Return the inputs (0) or outputs (1) of the file in the order of the Keras model's."""
        own = self.subgraph.outputs if side else self.subgraph.inputs
        names = self.names[side]
        signature = self.model.signatures[0] if self.model.signatures else None
        known = {} if signature is None else signature.outputs if side else signature.inputs
        what = "outputs" if side else "inputs"
        if len(own) != len(names):
            raise QuantizationError(
                f"the .tflite is not of this model: it has {len(own)} {what}, the model has {len(names)}"
            )
        return [known.get(name, t) for name, t in zip(names, own, strict=True)]

    def fed(self, t: int) -> np.ndarray:
        """Return an input in the dtype of the file."""
        tensor, array = self.subgraph.tensors[t], self.arrays[t]
        if array.shape[1:] != tensor.shape[1:]:
            raise QuantizationError(
                f"the .tflite is not of this model: its input {tensor.name!r} has shape {tensor.shape[1:]}, "
                f"the samples have {array.shape[1:]}"
            )
        return array if tensor.dtype == "float32" else quantize(array, params(tensor))

    def rounded(self) -> dict[int, np.ndarray]:
        """Return the int8 tensors that are computed or given."""
        tensors = self.subgraph.tensors
        return {
            t: value.astype(np.float64)
            for t, value in self.values.items()
            if tensors[t].dtype == "int8" and tensors[t].data is None and tensors[t].is_quantized
        }

    def operator(self, t: int) -> str:
        """Return the name of the operator that computes a tensor."""
        producer = self.subgraph.producers().get(t)
        return "" if producer is None else self.subgraph.operators[producer].op

    def real_values(self, exact: set[int]) -> list[RealValues]:
        """Return the real values of all samples at once; one by one where a tensor has no axis for them."""
        count = len(self.runs)
        parts = [slice(0, count)] if self.stacks else [slice(i, i + 1) for i in range(count)]
        values = [self.values] if self.stacks else self.runs
        return [
            RealValues(self.subgraph, self.profile, v, exact, self.real_inputs(part))
            for v, part in zip(values, parts, strict=True)
        ]

    def real_inputs(self, part: slice) -> dict[int, RealOutput]:
        """Return what the integers of quantized inputs were made of: the samples."""
        found = {}
        for t, array in self.arrays.items():
            tensor = self.subgraph.tensors[t]
            if tensor.dtype != "float32":
                p = params(tensor)
                found[t] = real_of_floats(array[part], float(p.scale), int(p.zero_point), tensor.dtype)
        return found

    def outputs(self, forward: Sequence[np.ndarray]) -> list[OutputResult]:
        """Return how often the largest element of an output is the same."""
        found = []
        for name, t, expected in zip(self.names[1], self.ends(1), forward, strict=True):
            ours = self.values[t].reshape(-1, self.values[t].shape[-1])
            expected = expected.reshape(ours.shape)
            chosen = np.take_along_axis(ours, expected.argmax(axis=1)[:, None], 1)[:, 0]
            found.append(OutputResult(name, len(ours), int((chosen == ours.max(axis=1)).sum())))
        return found
