"""Operators of an int8 model that run in 16x8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Ranges, collect_ranges
from quantcore.comparison.agreement import compare_structure
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply, plan
from tests.ops.harness import Op, check_samples, const, graph_model, tensor
from tests.quantizer.networks import images

LINEAR = {"fused_activation_function": "NONE"}
WINDOW = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
CONV = WINDOW | {"fused_activation_function": "RELU"}
POOL = {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2, **LINEAR}
SHAPE = (1, 6, 6, 2)
FIRST, DEPTHWISE, SHARED, ADD, JOIN, POOLED, DENSE, LAST, LARGEST = range(9)  # the operators of `network`
CHOICES = [{DEPTHWISE}, {FIRST, SHARED}, {ADD, JOIN}, {DENSE, LAST}, {JOIN, POOLED}, {FIRST, ADD, LAST}]
CASTS = ("QUANTIZE", "DEQUANTIZE")


def network(largest: bool = True) -> Model:
    """Return convolutions, two of which share weights, a residual ADD and more; `y` is also an operand."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return const(rng.normal(0, 1, shape).astype(np.float32))

    tensors = {
        "x": tensor(SHAPE, "float32"), "w1": normal(2, 3, 3, 2), "b1": normal(2), "w2": normal(1, 3, 3, 2),
        "b2": normal(2), "w3": normal(4, 36), "b3": normal(4), "last": const(np.int32([1])),
        "join": tensor((1, 6, 6, 4), "float32"), "pool": tensor((1, 3, 3, 4), "float32"),
        "y": tensor((1, 4), "float32"), "p": tensor((1, 4), "float32"), "k": tensor((1,), "int32"),
        **{name: tensor(SHAPE, "float32") for name in "abcd"},
    }  # fmt: skip
    operators = [
        Op("CONV_2D", ("x", "w1", "b1"), ("a",), CONV),
        Op("DEPTHWISE_CONV_2D", ("a", "w2", "b2"), ("b",), CONV | {"depth_multiplier": 1}),
        Op("CONV_2D", ("b", "w1", "b1"), ("c",), CONV),
        Op("ADD", ("a", "c"), ("d",), LINEAR),
        Op("CONCATENATION", ("d", "b"), ("join",), {"axis": 3, **LINEAR}),
        Op("MAX_POOL_2D", ("join",), ("pool",), POOL),
        Op("FULLY_CONNECTED", ("pool", "w3", "b3"), ("y",), LINEAR),
        Op("SOFTMAX", ("y",), ("p",), {"beta": 1.0}),
        Op("ARG_MAX", ("p", "last"), ("k",), {"output_type": "INT32"}),
    ]
    if largest:
        return graph_model(tensors, operators, ["x"], ["p", "y", "k"])
    del tensors["k"], tensors["last"]
    return graph_model(tensors, operators[:LARGEST], ["x"], ["p", "y"])


@pytest.fixture(scope="module")
def ranges() -> Ranges:
    """Return the ranges of `network`."""
    return collect_ranges(network(), images())


def quantized(
    model: Model,
    ranges: Ranges,
    chosen: set[int],
    io: str = "int8",
    account: Account | None = None,
    **more: Any,
) -> Model:
    return apply(
        Plan(model, Settings("int8", io, int16_operators=frozenset(chosen), **more)), ranges, account
    )


def forms(model: Model) -> list[tuple[str, str]]:
    """Return kind and dtype of the result of each operator, but for casts."""
    graph = model.subgraphs[0]
    return [(op.op, graph.tensors[op.outputs[0]].dtype) for op in graph.operators if op.op not in CASTS]


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("chosen", CHOICES)
def test_the_chosen_operators_are_int16(chosen: set[int], io: str, ranges: Ranges) -> None:
    model, account = quantized(network(), ranges, chosen, io), Account()
    graph = model.subgraphs[0]
    kinds = [op.op for op in network().subgraphs[0].operators]
    dtypes = ["int16" if i in chosen else "int8" for i in range(len(kinds))]
    dtypes[LARGEST] = "int32"
    assert forms(model) == list(zip(kinds, dtypes, strict=True))
    assert [graph.tensors[t].dtype for t in (*graph.inputs, *graph.outputs)] == [io, io, io, "int32"]
    assert [graph.tensors[t].name for t in (*graph.inputs, *graph.outputs)][1:3] == ["p", "y"]
    assert len({t.name for t in graph.tensors}) == len(graph.tensors)
    again = quantized(network(), ranges, chosen, io, account)
    assert qc.flatbuffer.write_model(again) == qc.flatbuffer.write_model(model)
    assert not account.kept_float
    made = {t for t, found in enumerate(graph.tensors) if found.is_quantized}
    assert made == set(account.tensors)


def test_weights_and_biases_are_those_of_the_mode_int16x8(ranges: Ranges) -> None:
    """Of weights that an int8 operator shares, both forms are there."""
    graph = quantized(network(), ranges, {FIRST}).subgraphs[0]
    other = apply(Plan(network(), Settings("int16x8", "int16", allow_float=True)), ranges).subgraphs[0]
    ours = next(op for op in graph.operators if op.op == "CONV_2D")
    expected = next(op for op in other.operators if op.op == "CONV_2D")
    for t, e in zip(ours.inputs, expected.inputs, strict=True):
        tensor_, wanted = graph.tensors[t], other.tensors[e]
        assert tensor_.dtype == wanted.dtype
        assert tensor_.quantization is not None
        assert wanted.quantization is not None
        assert np.array_equal(tensor_.quantization.scale, wanted.quantization.scale)
        if wanted.data is not None:
            assert np.array_equal(tensor_.data, wanted.data)
    shared = [op for op in graph.operators if op.op == "CONV_2D"][1]
    assert [graph.tensors[t].dtype for t in shared.inputs] == ["int8", "int8", "int32"]


def test_all_operators_make_the_mode_int16x8() -> None:
    model = network(largest=False)
    found = collect_ranges(model, images())
    ours = quantized(model, found, set(range(LARGEST)), "float32")
    expected = apply(Plan(model, Settings("int16x8", "float32")), found)
    agreement = compare_structure(ours, expected, versions=False)
    assert agreement.agrees, agreement.differences


def test_int8_operators_far_away_do_not_change(ranges: Ranges) -> None:
    mixed, plain = (
        {t.name: t for t in quantized(network(), ranges, c).subgraphs[0].tensors} for c in ({DENSE}, set())
    )
    for name in ("a", "b", "c", "d", "join", "pool", "w1", "w2"):
        ours, expected = mixed[name].quantization, plain[name].quantization
        assert ours is not None
        assert expected is not None
        assert np.array_equal(ours.scale, expected.scale)
        assert np.array_equal(ours.zero_point, expected.zero_point)


def test_operands_of_an_int16_concatenation_keep_their_own_int8_scales(ranges: Ranges) -> None:
    names = {t.name: t for t in quantized(network(), ranges, {JOIN}).subgraphs[0].tensors}
    scales = [names[name].quantization for name in ("d", "b")]
    for name, found in zip(("d", "b"), scales, strict=True):
        t = next(t for t, r in ranges.items() if r.name == name)
        span = max(ranges[t].rmax, 0) - min(ranges[t].rmin, 0)
        assert found is not None
        assert found.scale[0] == pytest.approx(span / 255, rel=1e-6)


def test_compare_matches_every_tensor(ranges: Ranges) -> None:
    for chosen in CHOICES:
        found = qc.compare(network(), quantized(network(), ranges, chosen), images())
        assert not found.unmatched_quant
        assert not found.unmatched_float


def test_int16_is_finer(ranges: Ranges) -> None:
    """Fed with float inputs, an int16 ADD has little of the error that an int8 one has."""
    sqnr = []
    for chosen in (set[int](), {ADD}):
        found = qc.compare(network(), quantized(network(), ranges, chosen), images(), feed="float")
        (row,) = (row for row in found.tensors if row.float_operators == (ADD,))
        sqnr.append(row.measures.sqnr_db)
    assert sqnr[1] > sqnr[0] + 30


def test_constants_that_others_read_as_float() -> None:
    """One tensor as float for SIN, one for each integer form."""
    scale = const(np.float32([0.5, 2]))
    tensors = {"x": tensor((1, 2), "float32"), "k": scale}
    tensors |= {name: tensor((1, 2), "float32") for name in "abc"} | {"s": tensor((2,), "float32")}
    operators = [
        Op("MUL", ("x", "k"), ("a",), LINEAR),
        Op("SIN", ("k",), ("s",)),
        Op("ADD", ("a", "k"), ("b",), LINEAR),
        Op("MUL", ("b", "s"), ("c",), LINEAR),
    ]
    model = graph_model(tensors, operators, ["x"], ["c"])
    x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    ours = quantized(model, collect_ranges(model, x), {0, 3}, allow_float=True)
    assert [dtype for _, dtype in forms(ours)] == ["int16", "float32", "int8", "int16"]
    assert qc.compare(model, ours, x).outputs[0].measures.sqnr_db > 30


def test_a_result_that_is_always_zero() -> None:
    """Its scale leaves multipliers within bounds, also where int8 operators are beside it."""
    tensors = {name: tensor((1, 4), "float32") for name in "xaby"} | {"k": const(np.float32(-1))}
    operators = [
        Op("ABS", ("x",), ("a",)),
        Op("MUL", ("a", "k"), ("b",), LINEAR | {"fused_activation_function": "RELU"}),
        Op("ADD", ("a", "b"), ("y",), LINEAR),
    ]
    model = graph_model(tensors, operators, ["x"], ["y"])
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    found = collect_ranges(model, x)
    for chosen in ({1}, {0, 1}, {1, 2}, {2}):
        ours = quantized(model, found, chosen)
        assert qc.compare(model, ours, x).outputs[0].measures.sqnr_db > 30


@pytest.mark.oracle
@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_same_bits_as_tensorflow(io: str, ranges: Ranges) -> None:
    x = images(2, seed=3)
    for chosen in [*CHOICES, set(range(LARGEST))]:
        model = quantized(network(), ranges, chosen, io)
        params = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization
        codes = x
        if params is not None:
            codes = np.round(x / params.scale[0] + params.zero_point[0]).astype(io)
        check_samples(model, [[sample[None]] for sample in codes])


def test_refusals(ranges: Ranges) -> None:
    chosen = frozenset({ADD, LARGEST})
    with pytest.raises(QuantizationError, match=r"operator 8 \(ARG_MAX, 'k'\): not implemented for int16"):
        plan(network(), Settings("int8", int16_operators=chosen))
    with pytest.raises(QuantizationError, match="cannot run in 16x8"):
        quantized(network(), ranges, {LARGEST})
    with pytest.raises(QuantizationError, match="no operator 9"):
        plan(network(), Settings("int8", int16_operators=frozenset({9})))
    with pytest.raises(QuantizationError, match="for mode 'int8'"):
        Settings("int16x8", int16_operators=chosen)
    with pytest.raises(QuantizationError, match="operators 3 are to stay float and to run in 16x8"):
        Settings("int8", int16_operators=chosen, float_operators=frozenset({ADD}))
    without = Ranges({t: r for t, r in ranges.items() if r.name != "d"})
    with pytest.raises(QuantizationError, match=r"operator 3 \(ADD\) .*'d'\) has no range"):
        quantized(network(), without, {ADD})
