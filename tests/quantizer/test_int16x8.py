"""The mode int16x8 on small graphs, with expectations derived by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Tensor
from quantcore.quantizer.account import Account
from quantcore.quantizer.int16x8 import quantize
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import Op, graph_model, tensor
from tests.quantizer.networks import network

SHAPE = (1, 2)
LINEAR = {"fused_activation_function": "NONE"}
F32 = np.float32


def graph(operators: list[Op], outputs: list[str], inputs: tuple[str, ...] = ("x",), **others: Any) -> Model:
    return network(operators, outputs, inputs, SHAPE, **others)


def run(
    model: Model, ends: dict[str, tuple[float, float]], io: str = "int16", **settings: Any
) -> tuple[Model, dict[str, Tensor], Account]:
    """Return the quantized model, its tensors by name, and the account."""
    names = [t.name for t in model.subgraphs[0].tensors]
    ranges = Ranges(
        {
            names.index(n): TensorRange(n, float(F32(a)), float(F32(b)))
            for n, (a, b) in ends.items()
            if n in names
        }
    )
    account = Account()
    result = quantize(model, ranges, Settings("int16x8", io, **settings), account)
    return result, {t.name: t for t in result.subgraphs[0].tensors}, account


def scale(t: Tensor) -> np.float32:
    assert t.quantization is not None
    assert t.quantization.zero_point.tolist() == [0] * t.quantization.scale.size
    return F32(t.quantization.scale[0])


def operators(model: Model) -> list[tuple[str, list[str], list[str]]]:
    """Return the operators with the names of their operands and results."""
    tensors = model.subgraphs[0].tensors
    return [
        (op.op, [tensors[t].name for t in op.inputs if t >= 0], [tensors[t].name for t in op.outputs])
        for op in model.subgraphs[0].operators
    ]


def dense(w: Any, b: Any) -> Model:
    return graph([Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"], LINEAR)], ["y"], w=F32(w), b=F32(b))


def test_fully_connected() -> None:
    model = dense([[1.0, -0.5], [0.25, 0.125]], [1.0, -1.0])
    result, t, account = run(model, {"x": (-1.0, 3.2767), "y": (0.5, 2.0)})
    assert [t[n].dtype for n in "xywb"] == ["int16", "int16", "int8", "int64"]
    assert scale(t["x"]) == F32(3.2767) / F32(32767)  # the wider side of the range
    assert scale(t["y"]) == F32(2.0) / F32(32767)
    w, b, x = (t[n].quantization for n in "wbx")
    assert w is not None
    assert b is not None
    assert x is not None
    assert w.scale.tolist() == (F32([1.0, 0.25]) / F32(127)).tolist()
    assert t["w"].data.tolist() == [[127, -64], [127, 64]]  # 63.5 rounds away from zero
    assert b.scale.tolist() == (x.scale * w.scale).tolist()
    assert t["b"].data.tolist() == np.round(F32([1.0, -1.0]) / b.scale.astype(np.float64)).tolist()
    assert (x.min.tolist(), x.max.tolist()) == ([-1.0], [float(F32(3.2767))])  # the record keeps the range
    assert t["y"].quantization.min.tolist() == [0.0]  # widened to hold 0
    assert result.subgraphs[0].operators[0].options["quantized_bias_type"] == "INT64"
    assert account.tensors[0].rule
    assert model.subgraphs[0].tensors[0].dtype == "float32"  # the argument is as it was


def test_per_tensor() -> None:
    _, t, _ = run(
        dense([[1.0, -0.5], [0.25, 0.125]], [1.0, 0.0]), {"x": (-1, 1), "y": (-1, 1)}, per_channel_dense=False
    )
    assert t["w"].quantization.scale.tolist() == [float(F32(1) / F32(127))]
    assert t["w"].data.tolist() == [[127, -64], [32, 16]]
    _, t, _ = run(dense(np.zeros((2, 2)), [0.0, 0.0]), {"x": (-1, 1), "y": (-1, 1)}, per_channel=False)
    assert scale(t["w"]) == 1


def test_channel_of_zeros_has_scale_zero_unless_its_bias_guards_it() -> None:
    _, t, account = run(dense([[0.0, 0.0], [0.0, 0.0]], [0.0, 2.0]), {"x": (-1, 1), "y": (-1, 1)})
    scales, guarded = t["w"].quantization.scale, account.tensors[1]
    assert scales[0] == 0
    half = F32(2.0 * 2.0 / (2**31 - 1) * np.float64(F32(127) / scale(t["x"])))
    assert scales[1] == half / F32(127)
    assert t["b"].data[0] == 0
    assert abs(int(t["b"].data[1]) - 2**30) < 2**8  # half of what int32 holds
    assert t["w"].quantization.max.tolist() == [0.0, float(half)]
    assert [e.facts for e in account.tensors.values() if e.rule == "range of the weights"] == [
        {"guarded_channels": 1}
    ], guarded


def test_fixed_outputs_and_same_scale() -> None:
    ops = [
        Op("TANH", ["x"], ["a"]),
        Op("RESHAPE", ["a", "shape"], ["b"]),
        Op("SOFTMAX", ["b"], ["y"], {"beta": 1.0}),
    ]
    model = graph(ops, ["y"], shape=np.array([1, 2], np.int32))
    _, t, account = run(model, {"x": (-4, 4), "a": (-0.9, 0.9), "b": (-0.5, 0.5), "y": (0, 0.7)})
    assert [scale(t[n]) for n in "aby"] == [F32(1 / 32768)] * 3
    names = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert account.tensors[names.index("a")].rule == "fixed output of TANH"
    assert account.tensors[names.index("b")].source == names.index("a")


def test_inputs_are_brought_to_the_scale_of_the_output() -> None:
    ops = [Op("RELU", ["x"], ["a"]), Op("MAXIMUM", ["a", "c"], ["y"])]
    model = graph(ops, ["y"], c=F32([0.1, -0.3]))
    result, t, _ = run(model, {"x": (-1, 1), "a": (0, 1), "y": (0.1, 2)})
    assert operators(result) == [
        ("RELU", ["x"], ["a"]),
        ("QUANTIZE", ["a"], ["a_requantized"]),
        ("MAXIMUM", ["a_requantized", "c"], ["y"]),
    ]
    wanted = F32(2) / F32(32767)
    assert scale(t["a_requantized"]) == scale(t["c"]) == scale(t["y"]) == wanted
    own = F32(F32(0.3) / F32(32767))  # the constant is quantized twice, first by its own range
    codes = np.round(F32([0.1, -0.3]) * F32(1 / np.float64(own)))
    assert t["c"].data.tolist() == np.round((F32(codes) * own) * F32(1 / np.float64(wanted))).tolist()


def test_constant_that_others_read_too_is_not_requantized_in_place() -> None:
    ops = [Op("MAXIMUM", ["x", "c"], ["a"]), Op("MUL", ["a", "c"], ["y"], LINEAR)]
    model = graph(ops, ["y"], c=F32([0.1, -0.3]))
    result, t, _ = run(model, {"x": (-1, 1), "a": (0.1, 2), "y": (0, 1)})
    assert scale(t["c"]) == F32(0.3) / F32(32767)
    assert operators(result)[:2] == [
        ("QUANTIZE", ["c"], ["c_requantized"]),  # the last input comes first
        ("QUANTIZE", ["x"], ["x_requantized"]),
    ]


def test_float_operators_and_both_ends() -> None:
    ops = [Op("RELU", ["x"], ["a"]), Op("ELU", ["a"], ["b"]), Op("RELU", ["b"], ["y"])]
    model = graph(ops, ["y"])
    ends = {"x": (-1, 1), "a": (0, 1), "b": (-0.5, 1), "y": (0, 2)}
    result, _, account = run(model, ends, "float32", allow_float=True)
    assert operators(result) == [
        ("QUANTIZE", ["x"], ["x_int16"]),
        ("RELU", ["x_int16"], ["a"]),
        ("DEQUANTIZE", ["a"], ["a_float"]),
        ("ELU", ["a_float"], ["b"]),
        ("QUANTIZE", ["b"], ["b_int16"]),
        ("RELU", ["b_int16"], ["y_int16"]),
        ("DEQUANTIZE", ["y_int16"], ["y"]),
    ]
    assert account.kept_float == {1: "not implemented for int16 activations"}
    chosen, _, account = run(graph(ops[:1], ["a"]), ends, "float32", float_operators=frozenset({0}))
    assert operators(chosen) == [("RELU", ["x"], ["a"])]
    assert account.kept_float == {0: "it was asked to stay float"}


def test_float_operators_at_int16_ends() -> None:
    result, t, _ = run(
        graph([Op("ELU", ["x"], ["y"])], ["y"]), {"x": (-1, 1), "y": (-0.5, 1)}, allow_float=True
    )
    assert operators(result) == [
        ("DEQUANTIZE", ["x"], ["x_float"]),
        ("ELU", ["x_float"], ["y_float"]),
        ("QUANTIZE", ["y_float"], ["y"]),
    ]
    assert [t[n].dtype for n in ("x", "y_float", "y")] == ["int16", "float32", "int16"]


def test_input_that_a_float_operator_reads_first() -> None:
    """The converter has this one read int16 codes as if they were float."""
    ops = [Op("ELU", ["x"], ["a"]), Op("ADD", ["x", "a"], ["y"], LINEAR)]
    result, _, _ = run(graph(ops, ["y"]), {"x": (-1, 1), "a": (-1, 1), "y": (-2, 2)}, allow_float=True)
    assert operators(result)[:2] == [("DEQUANTIZE", ["x"], ["x_float"]), ("ELU", ["x_float"], ["a"])]


def test_bias_of_two_operators_has_the_scale_of_each() -> None:
    """The converter gives it the scale of the first."""
    ops = [
        Op("FULLY_CONNECTED", ["x", "w", "b"], ["a"], LINEAR),
        Op("FULLY_CONNECTED", ["a", "w", "b"], ["y"], LINEAR),
        Op("FULLY_CONNECTED", ["x", "w", "b"], ["z"], LINEAR),
    ]
    model = graph(ops, ["y", "z"], w=F32(np.eye(2)), b=F32([1, 2]))
    result, t, _ = run(model, {"x": (-1, 1), "a": (-8, 8), "y": (-9, 9), "z": (-8, 8)})
    assert [ins for _, ins, _ in operators(result)] == [
        ["x", "w", "b"], ["a", "w", "b_duplicate_1"], ["x", "w", "b"]
    ]  # fmt: skip
    assert scale(t["b_duplicate_1"]) == scale(t["a"]) * scale(t["w"])
    assert t["b"].data.tolist() == [n * 32767 * 127 for n in (1, 2)]


def test_constant_in_three_forms() -> None:
    """The converter leaves it in the form for the first operator."""
    ops = [
        Op("ELU", ["c"], ["a"]),
        Op("FULLY_CONNECTED", ["x", "c", ""], ["b"], LINEAR),
        Op("ADD", ["b", "c"], ["y"], LINEAR),
        Op("ADD", ["y", "a"], ["z"], LINEAR),
    ]
    model = graph(ops, ["z"], c=F32(np.eye(2)))
    ends = dict.fromkeys("xabyz", (-1.0, 1.0))
    result, t, _ = run(model, ends, allow_float=True)
    assert [t[n].dtype for n in ("c", "c_duplicate_1", "c_duplicate_2")] == ["float32", "int8", "int16"]
    assert operators(result)[0] == ("ELU", ["c"], ["a"])
    assert t["c"].data.tolist() == np.eye(2).tolist()


def test_constant_of_zeros_has_a_scale_that_add_can_divide_by() -> None:
    ops = [Op("ADD", ["x", "c"], ["a"], LINEAR), Op("MUL", ["a", "c"], ["y"], LINEAR)]
    _, t, _ = run(graph(ops, ["y"], c=F32([0, 0])), dict.fromkeys("xay", (-1.0, 1.0)))
    assert scale(t["c"]) == F32(1) / F32(32767)
    assert scale(t["c_duplicate_1"]) == 0


@pytest.mark.parametrize("high", [0.0, float(np.finfo(F32).smallest_normal)])
def test_activation_that_is_always_zero(high: float) -> None:
    """Its range ends where the converter's does, whether calibration reports that end or 0."""
    _, t, _ = run(graph([Op("RELU", ["x"], ["y"])], ["y"]), {"x": (-1, -0.5), "y": (0, high)})
    assert scale(t["y"]) == np.finfo(F32).smallest_normal / F32(32767)


def test_bias_of_zeros_is_shared() -> None:
    ops = [
        Op("FULLY_CONNECTED", ["x", "w", "b"], ["a"], LINEAR),
        Op("FULLY_CONNECTED", ["a", "w", "b"], ["y"], LINEAR),
    ]
    model = graph(ops, ["y"], w=F32(np.eye(2)), b=F32([0, 0]))
    result, t, _ = run(model, {"x": (-1, 1), "a": (-8, 8), "y": (-9, 9)})
    assert [ins for _, ins, _ in operators(result)] == [["x", "w", "b"], ["a", "w", "b"]]
    assert scale(t["b"]) == scale(t["x"]) * scale(t["w"])


def test_tiny_activation_keeps_the_bias() -> None:
    """127 / input scale is no float32 here, and the converter's weight scales are infinite."""
    _, t, _ = run(dense(np.eye(2), [1.0, 0.0]), {"x": (0, 1e-34), "y": (0, 1)})
    assert np.isfinite(t["w"].quantization.scale).all()
    assert t["b"].data[0] * np.float64(t["b"].quantization.scale[0]) == pytest.approx(1, rel=1e-6)


def test_padding_value_has_the_scale_of_what_is_padded() -> None:
    """The converter leaves it float32, which no kernel takes."""
    ops = [Op("PADV2", ["x", "pads", "value"], ["y"])]
    model = graph(ops, ["y"], pads=np.zeros((2, 2), np.int32), value=F32(-0.5))
    _, t, _ = run(model, {"x": (-1, 1), "y": (-1, 1)})
    assert scale(t["value"]) == scale(t["y"]) == scale(t["x"])
    assert t["value"].data == -16384


def test_both_branches_of_select_have_one_scale() -> None:
    """The converter lets the second have its own, which the kernel does not see."""
    model = graph([Op("LESS", ["x", "v"], ["c"]), Op("SELECT", ["c", "x", "v"], ["y"])], ["y"], ("x", "v"))
    model.subgraphs[0].tensors[2].dtype = "bool"
    _, t, _ = run(model, {"x": (-1, 1), "v": (-3, 3), "y": (-2, 2)}, allow_float=True)
    assert scale(t["x_requantized"]) == scale(t["v_requantized"]) == scale(t["y"]) == F32(2) / F32(32767)


def test_options_and_signatures() -> None:
    model = graph([Op("ADD", ["x", "v"], ["y"], {"pot_scale_int16": True, **LINEAR})], ["y"], ("x", "v"))
    result, t, _ = run(model, dict.fromkeys("xvy", (-1.0, 1.0)), "float32")
    assert result.subgraphs[0].operators[2].options["pot_scale_int16"] is False
    assert operators(result)[:2] == [("QUANTIZE", ["v"], ["v_int16"]), ("QUANTIZE", ["x"], ["x_int16"])]
    assert [result.subgraphs[0].tensors[i].name for i in result.subgraphs[0].inputs] == ["x", "v"]
    assert t["x"].buffer == 0


@pytest.mark.parametrize(("io", "conversion"), [("float32", "DEQUANTIZE"), ("int16", "QUANTIZE")])
def test_output_that_is_there_twice(io: str, conversion: str) -> None:
    """Each has a conversion of its own; none computes what nobody reads."""
    kind = "RELU" if io == "float32" else "SIN"
    result, _, _ = run(graph([Op(kind, ["x"], ["y"])], ["y", "y"]), dict.fromkeys("xy", (0.0, 1.0)), io)
    main = result.subgraphs[0]
    assert [op.outputs for op in main.operators if op.op == conversion][-2:] == [(t,) for t in main.outputs]
    assert len(set(main.outputs)) == 2
    assert {main.tensors[t].dtype for t in main.outputs} == {io}


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ({"x": (-1, 1)}, r"tensor \d+ \('y'\) has no range"),
        ({"y": (-1, 1)}, r"tensor \d+ \('x'\) has no range"),
    ],
)
def test_missing_ranges(ends: dict[str, tuple[float, float]], reason: str) -> None:
    with pytest.raises(QuantizationError, match=reason):
        run(graph([Op("RELU", ["x"], ["y"])], ["y"]), ends)


def test_refusals() -> None:
    both = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
    with pytest.raises(QuantizationError, match="calibrate"):
        apply(Plan(dense(np.eye(2), [0, 0]), Settings("int16x8")), None)
    with pytest.raises(QuantizationError, match=r"constant \d+ \('w'\) holds NaN or infinity"):
        run(dense([[np.nan, 0], [0, 1]], [0, 0]), both)
    with pytest.raises(
        QuantizationError, match=r"its bias has shape \(3,\); expected one value for each of 2 ch"
    ):
        run(dense(np.eye(2), [0, 0, 0]), both)
    model = graph([Op("FULLY_CONNECTED", ["x", "v", ""], ["y"], LINEAR)], ["y"], ("x", "v"))
    _, _, account = run(model, {**both, "v": (-1, 1)})
    assert "its weights are computed at run time" in account.kept_float[0]
    weights = tensor((2, 2), "int8", 0.1, data=np.eye(2, dtype=np.int8))
    hybrid = graph_model(
        {"x": tensor(SHAPE, "float32"), "w": weights, "y": tensor(SHAPE, "float32")},
        [Op("FULLY_CONNECTED", ["x", "w", ""], ["y"], LINEAR)], ["x"], ["y"],
    )  # fmt: skip
    with pytest.raises(
        QuantizationError, match=r"tensor 1 \('w'\) is quantized already; expected a float model"
    ):
        run(hybrid, both)


def test_constant_operand_of_an_operator_with_one_input() -> None:
    """The converter makes it int8, which no kernel takes beside int16."""
    ops = [Op("RELU", ["c"], ["a"]), Op("ADD", ["x", "a"], ["y"], LINEAR)]
    _, t, _ = run(graph(ops, ["y"], c=F32([[1, 2]])), dict.fromkeys("xay", (-2.0, 2.0)))
    assert t["c"].dtype == "int16"
    assert t["c"].data.tolist() == [[16384, 32767]]
