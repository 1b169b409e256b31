"""Bias correction: what rounding the weights shifts the mean of a channel by is taken back in its bias.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), the
empirical form: expected output errors are measured on data, before the activation, layer by layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from quantcore.affine import dequantize, quantize
from quantcore.calibration import Ranges
from quantcore.calibration.dataset import Dataset, read_samples
from quantcore.comparison.constants import constant_values, fixed_tensors
from quantcore.comparison.matching import match_models
from quantcore.comparison.measures import params_of
from quantcore.comparison.runs import OperatorRun, WholeRun
from quantcore.graph import Model, Operator, Tensor
from quantcore.qparams import QuantParams
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply

__all__ = ["Corrected", "correct_biases"]


@dataclass(slots=True)
class Corrected:
    """What `correct_biases` returns.

    Attributes
    ----------
    model : Model
        The float model with new biases. Ranges of the old one hold.
    shifts : dict of int to ndarray of float64, shape (channels,)
        What was added to the bias of each operator.
    """

    model: Model
    shifts: dict[int, np.ndarray] = field(default_factory=dict)


def correct_biases(model: Model, ranges: Ranges | None, dataset: Dataset, settings: Settings) -> Corrected:
    """Return a float model whose biases make up for what quantization will shift.

    For every operator with weights and a bias, the mean over data and positions of each output channel is
    measured before its activation: with the float model's inputs and weights, and with both quantized as the
    model will be. The difference is added to the bias.

    Parameters
    ----------
    model : Model
        Not changed.
    ranges : Ranges or None
        As for the quantizer; None in the mode dynamic.
    dataset
        As for `quantcore.calibration.collect_ranges`; a few samples do.
    settings : Settings
        What the model will be quantized with.

    Raises
    ------
    QuantizationError
        The model cannot be quantized, or the data is bad.
    """
    # No integer ends: the operators and their weights are the same, and no operator is refused.
    inside = replace(settings, io="float32", allow_float=True)
    layers = _layers(model, apply(Plan(model, inside), ranges))
    if not layers:
        return Corrected(model)
    run = WholeRun(model)
    count = 0
    for sample in read_samples(model, dataset):
        run.run(sample)
        for layer in layers:
            layer.add(run)
        count += 1
    main = model.subgraphs[0]
    tensors, operators = list(main.tensors), list(main.operators)
    result = Corrected(model)
    graph = FloatGraph.of(model)
    for layer in layers:
        shift = layer.shift / count
        operators[layer.index] = _with_bias(tensors, graph, layer, shift)
        result.shifts[layer.index] = shift
    result.model = model.with_main(replace(main, tensors=tensors, operators=operators))
    return result


class Layer:
    """One operator, in float, and with its input and weights rounded as quantization will round them."""

    def __init__(
        self,
        model: Model,
        index: int,
        bias: tuple[int, int, int],
        weights: np.ndarray,
        params: QuantParams | None,
    ) -> None:
        self.index, self.params = index, params
        self.bias, source, position = bias
        op = model.subgraphs[0].operators[index]
        self.input, self.output = op.inputs[source], op.outputs[0]
        self.exact = OperatorRun(_linear(model, index, {}), index)
        self.rounded = OperatorRun(_linear(model, index, {op.inputs[position]: weights}), index)
        self.shift: np.ndarray = np.zeros(1)

    def add(self, run: WholeRun) -> None:
        """Add the difference of the means in the sample that `run` has run."""

        def rounded(t: int) -> np.ndarray:
            value = run.value(t)
            if t != self.input or self.params is None:
                return value
            return dequantize(quantize(value, self.params), self.params)

        expected = self.exact.run(run.value)[self.output]
        found = self.rounded.run(rounded)[self.output]
        error = expected.astype(np.float64) - found
        self.shift = self.shift + error.reshape(-1, error.shape[-1]).mean(axis=0)


def _layers(model: Model, quantized: Model) -> list[Layer]:
    """Return the operators whose weights were quantized and that take a bias."""
    graph, main = FloatGraph.of(model), quantized.subgraphs[0]
    fixed = fixed_tensors(main)
    layers = []
    for pair in match_models(model, quantized).pairs:
        if not pair.floats:
            continue
        bias, op = graph.rules[pair.floats[0]].bias, graph.operators[pair.floats[0]]
        if bias is None:
            continue
        _, source, position = bias
        q = main.operators[pair.quant].inputs
        weights = fixed.get(q[position])
        values = None if weights is None or weights.dtype == "float32" else constant_values(weights)
        if values is None or not graph.is_quantizable_constant(op.inputs[position]):
            continue
        params = params_of(main.tensors[q[source]])
        layers.append(Layer(model, pair.floats[0], bias, values.astype(np.float32), params))
    return layers


def _linear(model: Model, index: int, constants: dict[int, np.ndarray]) -> Model:
    """Return `model` with other constants, and operator `index` without its activation."""
    main = model.subgraphs[0]
    tensors = [replace(t, data=constants[i]) if i in constants else t for i, t in enumerate(main.tensors)]
    operators = list(main.operators)
    options = operators[index].options | {"fused_activation_function": "NONE"}
    operators[index] = replace(operators[index], options=options)
    return model.with_main(replace(main, tensors=tensors, operators=operators))


def _with_bias(tensors: list[Tensor], graph: FloatGraph, layer: Layer, shift: np.ndarray) -> Operator:
    """Return the operator with its new bias, which is a new tensor if it had none or shared it."""
    op = graph.operators[layer.index]
    t = op.inputs[layer.bias] if layer.bias < len(op.inputs) else -1
    if t >= 0:
        old = tensors[t]
        assert old.data is not None
        new = replace(old, data=(old.data + shift).astype(np.float32), buffer=0)
        if len(graph.uses[t]) == 1:
            tensors[t] = new
            return op
    else:
        name = f"{tensors[op.outputs[0]].name}/bias"
        new = Tensor(name, shift.shape, "float32", data=shift.astype(np.float32))
    tensors.append(new)
    inputs = [*op.inputs, *[-1] * (layer.bias + 1 - len(op.inputs))]
    inputs[layer.bias] = len(tensors) - 1
    return replace(op, inputs=tuple(inputs))
