"""Mode float16: rounding, and one DEQUANTIZE per constant at the start."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from quantcore.graph import Model, Subgraph
from quantcore.quantizer.float16 import to_float16
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from quantcore.runtime.interpreter import Interpreter
from tests.quantizer.graphs import Graph
from tests.quantizer.networks import draw

FLOAT16 = Settings("float16")


def quantized(model: Model, settings: Settings = FLOAT16) -> Subgraph:
    """Return the main subgraph of the quantized model."""
    return apply(Plan(model, settings), None).subgraphs[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 + 2**-11, 1),  # ties go to the even neighbour
        (1 + 3 * 2**-11, 1 + 2**-9),
        (2.0**-25, 0),  # half of the smallest float16
        (3 * 2.0**-25, 2.0**-23),
        (-(2.0**-24), -(2.0**-24)),
        (65504, 65504),
        (65520, 65504),  # would round to infinity
        (-1e30, -65504),
        (np.inf, 65504),
    ],
)
def test_rounding(value: float, expected: float) -> None:
    (half,) = to_float16(np.array([value], np.float32))
    assert Fraction(float(half)) == Fraction(expected)


def test_nan_stays_nan_and_the_sign_of_zero_stays() -> None:
    nan, zero = to_float16(np.array([np.nan, -0.0], np.float32))
    assert np.isnan(nan)
    assert np.signbit(zero)


def network() -> Model:
    """Return a network whose constants are weights, a bias, an operand, and one that is an output too."""
    graph = Graph()
    w, b = graph.constant(draw(4, 4)), graph.constant(draw(4))
    x, indices = graph.input(1, 4), graph.constant(np.array([0], np.int32))
    scale = graph.constant(draw())
    y = graph.add("FULLY_CONNECTED", (x, w, b), 1, 4)
    z = graph.add("MUL", (y, scale), 1, 4)
    row = graph.add("GATHER", (w, indices), 1, 4)
    return graph.model(z, row, scale)


def test_every_constant_is_dequantized_once_at_the_start() -> None:
    graph = quantized(network())
    assert [(op.op, op.version) for op in graph.operators] == [
        *[("DEQUANTIZE", 3)] * 3, ("FULLY_CONNECTED", 1), ("MUL", 1), ("GATHER", 1)
    ]  # fmt: skip
    shapes = [graph.tensors[op.inputs[0]].shape for op in graph.operators[:3]]
    assert shapes == [(4, 4), (4,), ()]  # in the order of the float model's tensors
    w, b, scale = (op.outputs[0] for op in graph.operators[:3])
    _, dense, mul, gather = graph.operators[2:]
    assert (dense.inputs[1:], mul.inputs[1], gather.inputs[0]) == ((w, b), scale, w)


def test_constants_that_are_outputs_stay_float32_there() -> None:
    graph = quantized(network())
    tensor = graph.tensors[graph.outputs[2]]
    assert (tensor.dtype, tensor.data.dtype) == ("float32", np.float32)


def test_operators_that_are_to_stay_float() -> None:
    graph = quantized(network(), Settings("float16", float_operators=frozenset({0})))
    dense = next(op for op in graph.operators if op.op == "FULLY_CONNECTED")
    assert [graph.tensors[t].dtype for t in dense.inputs] == ["float32"] * 3
    assert all(graph.tensors[t].data is not None for t in dense.inputs[1:])
    assert sum(op.op == "DEQUANTIZE" for op in graph.operators) == 2


def lstm() -> Model:
    """Return a REVERSE_V2 and an LSTM, one of whose states stands between them."""
    graph = Graph()
    x, hidden = graph.input(1, 3, 4), graph.variable(1, 5)
    inputs = [graph.constant(draw(5, 4, seed=i)) for i in range(4)]
    recurrent = [graph.constant(draw(5, 5, seed=i)) for i in range(4)]
    bias = [graph.constant(draw(5, seed=i)) for i in range(4)]
    turned = graph.add("REVERSE_V2", (x, graph.constant(np.array([1], np.int32))), 1, 3, 4)
    states = hidden, graph.variable(1, 5)
    operands = (turned, *inputs, *recurrent, -1, -1, -1, *bias, -1, -1, *states)
    options = {"fused_activation_function": "TANH"}
    return graph.model(graph.add("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, 1, 3, 5, **options))


def test_state_starts_from_zeros_that_are_dequantized_where_they_stand() -> None:
    graph = quantized(lstm())
    assert [op.op for op in graph.operators] == [
        *["DEQUANTIZE"] * 13, "REVERSE_V2", "DEQUANTIZE", "UNIDIRECTIONAL_SEQUENCE_LSTM"
    ]  # fmt: skip
    for t in graph.operators[-1].inputs[18:20]:
        assert graph.tensors[t].is_variable
        (source,) = (op.inputs[0] for op in graph.operators if t in op.outputs)
        assert not graph.tensors[source].data.any()


def test_state_persists() -> None:
    """Twice, the float model with weights that float16 holds; then after a reset."""
    rounded = lstm()
    for tensor in rounded.subgraphs[0].tensors:
        if tensor.dtype == "float32" and tensor.data is not None:
            tensor.data = to_float16(tensor.data).astype(np.float32)
    half = apply(Plan(lstm(), FLOAT16), None)
    found = []
    for model in (rounded, half):
        interpreter = Interpreter(model)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], draw(1, 3, 4))
        results = []
        for reset in (False, False, True):
            if reset:
                interpreter.reset_all_variables()
            interpreter.invoke()
            results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
        found.append(np.stack(results))
    assert np.array_equal(found[0].view(np.uint32), found[1].view(np.uint32))
    assert np.array_equal(found[1][0], found[1][2])
    assert not np.array_equal(found[1][0], found[1][1])


def test_called_subgraphs_too() -> None:
    model = network()
    model.subgraphs.append(network().subgraphs[0])
    finished = apply(Plan(model, FLOAT16), None)
    assert [[op.op for op in g.operators].count("DEQUANTIZE") for g in finished.subgraphs] == [3, 3]
    assert len(model.subgraphs[0].operators) == 3
