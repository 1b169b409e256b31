"""Mode dynamic: which weights become int8, per what, and where float32 comes back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph
from quantcore.quantizer.account import Account
from quantcore.quantizer.parameters import quantize_weights_dynamic
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.quantizer.graphs import Graph
from tests.quantizer.networks import draw

DYNAMIC = Settings("dynamic")


def quantized(model: Model, settings: Settings = DYNAMIC) -> Subgraph:
    """Return the main subgraph of the quantized model."""
    return apply(Plan(model, settings), None).subgraphs[0]


def dense(rows: int, columns: int, value: np.ndarray | None = None) -> Model:
    """Return one FULLY_CONNECTED."""
    graph = Graph()
    w = graph.constant(draw(rows, columns) if value is None else value)
    x = graph.input(1, columns)
    return graph.model(graph.add("FULLY_CONNECTED", (x, w, -1), 1, rows))


def constants(graph: Subgraph) -> list[str]:
    """Return the dtypes of the constants."""
    return [t.dtype for t in graph.tensors if t.data is not None]


@pytest.mark.parametrize(("columns", "dtype"), [(31, "float32"), (32, "int8")])
def test_weights_of_1024_elements_are_quantized_smaller_ones_are_not(columns: int, dtype: str) -> None:
    assert constants(quantized(dense(1024 // 32, columns))) == [dtype]


def test_the_float_model_is_not_changed() -> None:
    model = dense(32, 32)
    before = model.subgraphs[0].tensors[0].data
    quantized(model)
    (op,) = model.subgraphs[0].operators
    assert (op.inputs, op.options, op.version, len(model.subgraphs[0].tensors)) == ((1, 0, -1), {}, 1, 3)
    assert model.subgraphs[0].tensors[0].data is before


@pytest.mark.parametrize(
    ("settings", "scales"),
    [({}, 40), ({"per_channel_dense": False}, 1), ({"per_channel": False}, 1)],
)
def test_channels(settings: dict[str, bool], scales: int) -> None:
    (tensor,) = (
        t for t in quantized(dense(40, 30), Settings("dynamic", **settings)).tensors if t.dtype == "int8"
    )
    assert tensor.quantization is not None
    assert tensor.quantization.scale.size == scales


def test_inputs_are_quantized_asymmetrically_where_weights_are_int8() -> None:
    graph = Graph()
    x = graph.input(1, 40)
    large, small = graph.constant(draw(40, 40)), graph.constant(draw(4, 40))
    y = graph.add("FULLY_CONNECTED", (x, large, -1), 1, 40, asymmetric_quantize_inputs=False)
    z = graph.add("FULLY_CONNECTED", (y, small, -1), 1, 4, asymmetric_quantize_inputs=False)
    found = [op.options["asymmetric_quantize_inputs"] for op in quantized(graph.model(z)).operators]
    assert found == [True, False]


def test_weights_of_two_users_are_stored_once_for_each_axis() -> None:
    """FULLY_CONNECTED twice per channel, BATCH_MATMUL with one scale."""
    graph = Graph()
    x, y = graph.input(40, 40), graph.input(40, 40)
    w = graph.constant(draw(40, 40))
    a = graph.add("FULLY_CONNECTED", (x, w, -1), 40, 40)
    b = graph.add("FULLY_CONNECTED", (y, w, -1), 40, 40)
    c = graph.add("BATCH_MATMUL", (x, w), 40, 40)
    graph_ = quantized(graph.model(a, b, c))
    operands = [op.inputs[1] for op in graph_.operators]
    assert operands[0] == operands[1] != operands[2]
    assert constants(graph_) == ["int8", "int8"]
    assert [graph_.tensors[t].name for t in operands[1:]] == ["constant2", "constant21"]


def test_a_constant_that_is_an_output_stays_float_there() -> None:
    graph = Graph()
    w = graph.constant(draw(40, 40))
    y = graph.add("FULLY_CONNECTED", (graph.input(1, 40), w, -1), 1, 40)
    graph_ = quantized(graph.model(y, w))
    assert graph_.tensors[graph_.outputs[1]].dtype == "float32"
    assert sorted(constants(graph_)) == ["float32", "int8"]
    assert len({tensor.name for tensor in graph_.tensors}) == len(graph_.tensors)


def gather(users: int, picked: int = 5) -> Model:
    """Return a table of 100 rows, and operators that pick rows of it."""
    graph = Graph()
    indices = graph.input(picked, dtype="int32")
    table = graph.constant(draw(100, 16))
    return graph.model(*(graph.add("GATHER", (table, indices), picked, 16) for _ in range(users)))


def test_gather_picks_int8_rows_and_then_dequantizes() -> None:
    graph = quantized(gather(1))
    assert [(op.op, op.version) for op in graph.operators] == [("GATHER", 2), ("DEQUANTIZE", 2)]
    assert [graph.tensors[t].dtype for t in graph.operators[0].outputs] == ["int8"]
    assert graph.operators[1].outputs == graph.outputs


@pytest.mark.parametrize(("users", "picked"), [(2, 5), (1, 100)])
def test_dequantize_stays_first_where_a_table_has_two_users_or_the_rows_are_no_fewer(
    users: int, picked: int
) -> None:
    operators = quantized(gather(users, picked)).operators
    assert [op.op for op in operators] == ["DEQUANTIZE"] + ["GATHER"] * users


def test_dequantize_goes_behind_all_operators_that_make_the_tensor_smaller() -> None:
    """Behind GATHER and SLICE; not behind RESHAPE, which keeps the size, nor behind ADD."""
    graph = Graph()
    indices, other = graph.input(5, dtype="int32"), graph.input(5, 8)
    rows = graph.add("GATHER", (graph.constant(draw(100, 16)), indices), 5, 16)
    bounds = (graph.constant(np.array(pair, np.int32)) for pair in ((0, 0), (5, 8)))
    part = graph.add("SLICE", (rows, *bounds), 5, 8)
    total = graph.add("ADD", (part, other), 5, 8)
    operators = quantized(graph.model(total)).operators
    assert [op.op for op in operators] == ["GATHER", "SLICE", "DEQUANTIZE", "ADD"]


def test_lstm_takes_all_weights_as_int8_or_none() -> None:
    for units, dtype in ((31, "float32"), (32, "int8")):
        graph = Graph()
        x = graph.input(1, 3, 64)
        inputs = [graph.constant(draw(units, 64)) for _ in range(4)]  # 1984 elements and more
        recurrent = [graph.constant(draw(units, units)) for _ in range(4)]  # 961 elements, or 1024
        bias = [graph.constant(draw(units)) for _ in range(4)]
        nothing = (-1,) * 3
        operands = (x, *inputs, *recurrent, *nothing, *bias, -1, -1)
        graph_ = quantized(graph.model(graph.add("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, 1, 3, units)))
        assert [graph_.tensors[t].dtype for t in graph_.operators[0].inputs[1:9]] == [dtype] * 8
        assert [graph_.tensors[t].dtype for t in graph_.operators[0].inputs[12:16]] == ["float32"] * 4


def test_operators_that_are_to_stay_float() -> None:
    assert constants(quantized(dense(40, 40), Settings("dynamic", float_operators=frozenset({0})))) == [
        "float32"
    ]


def test_called_subgraphs_are_quantized_too() -> None:
    model = dense(40, 40)
    model.subgraphs.append(dense(40, 40).subgraphs[0])
    finished = apply(Plan(model, DYNAMIC), None)
    assert [constants(graph) for graph in finished.subgraphs] == [["int8"], ["int8"]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    array = draw(40, 40)
    array[3, 7] = value
    with pytest.raises(QuantizationError, match=rf"tensor 0 \('constant0'\) holds {value}"):
        quantized(dense(40, 40, array))


def test_scales_are_not_rounded_before_weights_are_divided_by_them() -> None:
    """With the stored scale, or in float32, the quotient is -110.5 and would become -111."""
    codes, quantization = quantize_weights_dynamic(np.array([[-1.8816792, 2.162654]], np.float32), 0)
    assert codes.tolist() == [[-110, 127]]
    assert quantization.scale.tolist() == [float.fromhex("0x1.16ffd8p-6")]


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_codes_against_exact_arithmetic(axis: int | None) -> None:
    """Scales and quotients in float64, one element at a time; ties go away from zero."""
    array = draw(5, 7, 3, seed=1)
    array[1] = 0
    array[:, 2] *= np.float32(1e-8)
    array[..., 1] = np.float32(0.5) * array[..., 0]
    codes, quantization = quantize_weights_dynamic(array, axis)
    others = None if axis is None else tuple(d for d in range(3) if d != axis)
    largest = np.max(np.abs(array.astype(np.float64)), axis=others, keepdims=True)
    scales = np.broadcast_to(2 * np.where(2 * largest <= 1e-6, 5e-7, largest) / 254, array.shape)
    for w, s, code in zip(array.ravel(), scales.ravel(), codes.ravel(), strict=True):
        quotient = float(w) / float(s)
        assert code == math.floor(abs(quotient) + 0.5) * (1 if quotient > 0 else -1)
    assert np.array_equal(np.unique(scales.astype(np.float32)), np.unique(quantization.scale))
    assert not quantization.zero_point.any()


def test_account() -> None:
    graph = Graph()
    x = graph.input(1, 40)
    large, small = graph.constant(draw(40, 40)), graph.constant(draw(4, 40))
    y = graph.add("FULLY_CONNECTED", (x, large, -1), 1, 40)
    model = graph.model(graph.add("FULLY_CONNECTED", (y, small, -1), 1, 4))
    account = Account()
    finished = apply(Plan(model, DYNAMIC), None, account)
    tensors = finished.subgraphs[0].tensors
    found = {tensors[t].name: (entry.rule, entry.source) for t, entry in account.tensors.items()}
    assert found == {
        "constant1": ("weights, channels of axis 0", 1),
        "constant2": ("stays float: 160 elements, fewer than 1024", 2),
    }


def test_account_of_rows() -> None:
    account = Account()
    model = gather(1)
    finished = apply(Plan(model, DYNAMIC), None, account)
    assert [(entry.rule, entry.source) for entry in account.tensors.values()] == [
        ("weights, one scale", 1),
        ("scale of the table", 1),
    ]
    assert set(account.tensors) == {t for t, x in enumerate(finished.subgraphs[0].tensors) if x.is_quantized}
