"""The static int8 quantizer on small graphs, with expectations derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Quantization
from quantcore.quantizer.account import Account
from quantcore.quantizer.int8 import quantize
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import Op, const, graph_model, tensor


def model_of(
    operators: list[tuple[str, list[str], list[str]]],
    shapes: dict[str, tuple[int, ...]],
    constants: dict[str, np.ndarray] | None = None,
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
) -> Model:
    """Return a model from operators, given as (name, inputs, outputs) by tensor name."""
    tensors = {name: tensor(shape, "float32") for name, shape in shapes.items()}
    tensors |= {name: const(value) for name, value in (constants or {}).items()}
    return graph_model(tensors, [Op(*op) for op in operators], inputs, outputs)


def ranges_of(model: Model, **ends: tuple[float, float]) -> Ranges:
    names = [t.name for t in model.subgraphs[0].tensors]
    return Ranges({names.index(n): TensorRange(n, *r) for n, r in ends.items()})


def run(model: Model, ranges: Ranges, io: str = "int8", **settings: object) -> tuple[Model, Account]:
    account = Account()
    return quantize(model, ranges, Settings("int8", io, **settings), account), account  # type: ignore[arg-type]


def dense() -> tuple[Model, Ranges]:
    w = np.array([[1.0, -0.5], [0.25, 0.125]], np.float32)
    model = model_of(
        [("FULLY_CONNECTED", ["x", "w", "b"], ["y"])],
        {"x": (1, 2), "y": (1, 2)},
        {"w": w, "b": np.array([1.0, -1.0], np.float32)},
    )
    return model, ranges_of(model, x=(-1.0, 1.55), y=(-2.0, 3.1))


def test_fully_connected() -> None:
    model, ranges = dense()
    quantized, account = run(model, ranges)
    x, y, w, b = quantized.subgraphs[0].tensors
    assert [t.dtype for t in (x, y, w, b)] == ["int8", "int8", "int8", "int32"]
    assert x.quantization.scale[0] == pytest.approx(0.01)
    assert x.quantization.zero_point.tolist() == [-28]
    assert y.quantization.zero_point.tolist() == [-28]
    assert w.quantization.scale.tolist() == pytest.approx([1 / 127, 0.25 / 127])
    assert w.data.tolist() == [[127, -64], [127, 64]]  # 63.5 goes away from zero
    assert b.data.tolist() == [12700, -50800]
    assert account.tensors[2].rule == "range of the weights"
    assert model.subgraphs[0].tensors[0].dtype == "float32"


@pytest.mark.parametrize(
    ("io", "operators", "ends"),
    [
        ("int8", ["FULLY_CONNECTED"], "int8"),
        ("uint8", ["QUANTIZE", "FULLY_CONNECTED", "QUANTIZE"], "uint8"),
        ("float32", ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"], "float32"),
    ],
)
def test_inputs_and_outputs(io: str, operators: list[str], ends: str) -> None:
    quantized, _ = run(*dense(), io=io)
    graph = quantized.subgraphs[0]
    assert [op.op for op in graph.operators] == operators
    for t, name in zip(graph.inputs + graph.outputs, "xy", strict=True):
        assert (graph.tensors[t].name, graph.tensors[t].dtype) == (name, ends)
    x = np.array([[0.5, -0.25]], np.float32)
    if io != "float32":
        x = qc.quantize(x, graph.tensors[graph.inputs[0]].params)
    result = qc.Interpreter(quantized).run(x)[0]
    if io != "float32":
        result = qc.dequantize(result, graph.tensors[graph.outputs[0]].params)
    assert result.ravel() == pytest.approx([1.625, -0.90625], abs=0.02)


def test_a_pool_takes_its_inputs_range_and_a_concatenation_imposes_its_own() -> None:
    model = model_of(
        [
            ("MAX_POOL_2D", ["x"], ["p"]),
            ("CONCATENATION", ["p", "v"], ["y"]),
            ("MAX_POOL_2D", ["w"], ["z"]),
        ],
        dict.fromkeys("xvwpyz", (1, 2, 2, 1)),
        inputs=("x", "v", "w"),
        outputs=("y", "z"),
    )
    ends = {"x": (0, 1.0), "v": (0, 2.0), "p": (0, 3.0), "y": (0, 2.55), "w": (0, 5.1), "z": (0, 9.0)}
    quantized, account = run(model, ranges_of(model, **ends))
    found = {t.name: round(float(t.quantization.scale[0]), 5) for t in quantized.subgraphs[0].tensors}
    assert found == {"x": 0.01, "v": 0.01, "p": 0.01, "y": 0.01, "w": 0.02, "z": 0.02}
    assert (account.tensors[0].source, account.tensors[0].rule) == (
        4,
        "same scale as MAX_POOL_2D's operands and results",
    )


def test_a_fixed_output_is_requantized_for_a_concatenation() -> None:
    model = model_of(
        [("SOFTMAX", ["x"], ["s"]), ("CONCATENATION", ["s", "x"], ["y"])],
        dict.fromkeys("xs", (1, 4)) | {"y": (1, 8)},
    )
    quantized, account = run(model, ranges_of(model, x=(-1, 1), s=(0, 1), y=(-1.28, 1.27)))
    graph = quantized.subgraphs[0]
    assert [op.op for op in graph.operators] == ["SOFTMAX", "QUANTIZE", "CONCATENATION"]
    (s,), (q,) = graph.operators[0].outputs, graph.operators[1].outputs
    assert graph.tensors[s].quantization.scale.tolist() == [1 / 256]
    assert graph.tensors[s].quantization.zero_point.tolist() == [-128]
    assert graph.tensors[q].quantization.scale.tolist() == pytest.approx([0.01])
    assert graph.operators[2].inputs == (q, 0)
    assert not account.kept_float


def test_operators_that_stay_float() -> None:
    model = model_of(
        [("SIN", ["x"], ["s"]), ("ADD", ["s", "bad"], ["a"]), ("ABS", ["a"], ["y"])],
        dict.fromkeys("xsay", (1, 2)),
        {"bad": np.array([1, np.nan], np.float32)},
    )
    quantized, account = run(model, ranges_of(model, x=(-1, 1), s=(-1, 1), a=(-1, 1), y=(0, 1)))
    assert [op.op for op in quantized.subgraphs[0].operators] == [
        "DEQUANTIZE",
        "SIN",
        "ADD",
        "QUANTIZE",
        "ABS",
    ]
    assert account.kept_float == {
        0: "the operator has no int8 form",
        1: "its constant 'bad' holds NaN or infinity, or nothing",
    }


def test_bias_with_infinity_keeps_its_operator_float() -> None:
    model, ranges = dense()
    model.subgraphs[0].tensors[3].data = np.array([1, np.inf], np.float32)
    _, account = run(model, ranges)
    assert account.kept_float == {0: "its constant 'b' holds NaN or infinity, or nothing"}


@pytest.mark.parametrize("user", ["MUL", "DEPTHWISE_CONV_2D"])
def test_weights_with_channels_are_not_shared_with_other_users(user: str) -> None:
    """MUL can take one scale only, and DEPTHWISE_CONV_2D has its channels along another axis."""
    w = np.array([[100, 50], [1, 0.5]], np.float32).reshape(2, 1, 1, 2)
    operands = ["m", "w"] if user == "MUL" else ["m", "w", "b"]
    model = model_of(
        [("CONV_2D", ["x", "w", "b"], ["m"]), (user, operands, ["y"])],
        dict.fromkeys("xmy", (1, 1, 1, 2)),
        {"w": w, "b": np.zeros(2, np.float32)},
    )
    quantized, _ = run(model, ranges_of(model, x=(-1, 1), m=(-9, 9), y=(-9, 9)))
    graph = quantized.subgraphs[0]
    ours, others = (graph.tensors[op.inputs[1]] for op in graph.operators)
    assert ours.quantization.scale.tolist() == pytest.approx([100 / 127, 1 / 127])
    expected = [100 / 255] if user == "MUL" else [100 / 127, 50 / 127]
    assert others.quantization.scale.tolist() == pytest.approx(expected)
    for stored, axis in ((ours, 0), (others, 3)):
        q = stored.quantization
        steps = q.scale.reshape([-1 if d == axis else 1 for d in range(4)])
        zero = int(q.zero_point[0])
        np.testing.assert_allclose((stored.data.astype(float) - zero) * steps, w, atol=steps.max())


def test_weights_of_two_users_are_copied_where_one_is_guarded() -> None:
    """The bias of the first is far beyond int32 in steps of 3.9e-9 * 0.01; the second has none."""
    model = model_of(
        [("FULLY_CONNECTED", ["x", "w", "b"], ["m"]), ("FULLY_CONNECTED", ["m", "w"], ["y"])],
        dict.fromkeys("xmy", (1, 2)),
        {"w": np.zeros((2, 2), np.float32), "b": np.array([1, 0], np.float32)},
    )
    quantized, account = run(model, ranges_of(model, x=(-1.28, 1.27), m=(0, 1), y=(0, 1)))
    graph = quantized.subgraphs[0]
    first, second = (graph.tensors[op.inputs[1]] for op in graph.operators)
    tiny = np.float32(5e-7) / np.float32(127)
    assert second.quantization.scale.tolist() == [tiny, tiny]
    assert first.quantization.scale[0] == pytest.approx(1 / (2**30 - 1) / 0.01)
    assert first.quantization.scale[1] == tiny
    bias = graph.tensors[graph.operators[0].inputs[2]]
    assert abs(int(bias.data[0]) - 2**30) < 100
    guarded = account.tensors[graph.operators[0].inputs[1]]
    assert guarded.facts == {"guarded_channels": 1}


def test_squeeze_becomes_reshape() -> None:
    model = model_of([("SQUEEZE", ["x"], ["y"])], {"x": (1, 1, 3), "y": (3,)})
    quantized, _ = run(model, ranges_of(model, x=(-1, 1), y=(-1, 1)))
    graph = quantized.subgraphs[0]
    (op,) = graph.operators
    assert op.op == "RESHAPE"
    assert graph.tensors[op.inputs[1]].data.tolist() == [3]


@pytest.mark.parametrize(
    ("signature", "shape"), [((1, -1, 4), [1, -1, 4]), ((-1, 3, 4), [-1, 3, 4]), ((-1, -1, 4), None)]
)
def test_squeeze_of_unknown_dimensions(signature: tuple[int, ...], shape: list[int] | None) -> None:
    """One unknown dimension follows from the others."""
    model = model_of([("SQUEEZE", ["x"], ["y"])], {"x": (1, 1, 3, 4), "y": (1, 3, 4)})
    model.subgraphs[0].tensors[1].shape_signature = signature
    quantized, _ = run(model, ranges_of(model, x=(-1, 1), y=(-1, 1)))
    graph = quantized.subgraphs[0]
    (op,) = graph.operators
    if shape is None:
        assert op.op == "SQUEEZE"
    else:
        assert graph.tensors[op.inputs[1]].data.tolist() == shape


def test_weights_behind_dequantize() -> None:
    """int8 weights stay as they are."""
    model = model_of(
        [
            ("DEQUANTIZE", ["q"], ["v"]),
            ("FULLY_CONNECTED", ["x", "w"], ["m"]),
            ("FULLY_CONNECTED", ["m", "v"], ["y"]),
        ],
        dict.fromkeys("xmy", (1, 2)) | {"v": (2, 2)},
        {"w": np.array([[1, 2], [3, 4]], np.float32), "q": np.array([[1, 2], [3, 4]], np.int8)},
    )
    stored = Quantization(np.array([0.5], np.float32), np.array([0]))
    next(t for t in model.subgraphs[0].tensors if t.name == "q").quantization = stored
    quantized, account = run(model, ranges_of(model, x=(-1, 1), m=(-1, 1), y=(-1, 1), v=(0, 2)))
    graph = quantized.subgraphs[0]
    assert [op.op for op in graph.operators] == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
    first, second = (graph.tensors[op.inputs[1]] for op in graph.operators)
    assert first.data.tolist() == [[64, 127], [95, 127]]  # 63.5 and 95.25
    assert second.data.tolist() == [[1, 2], [3, 4]]
    assert second.quantization.scale.tolist() == [0.5]
    assert not account.kept_float


def test_without_ranges() -> None:
    model, _ = dense()
    with pytest.raises(QuantizationError, match="calibrate the model first"):
        apply(Plan(model, Settings("int8")), None)


def test_a_range_that_gives_no_scale_names_its_tensor() -> None:
    model, _ = dense()
    with pytest.raises(QuantizationError, match=r"tensor 1 \('y'\): the range is \[0.0, inf\]"):
        run(model, ranges_of(model, x=(0, 1), y=(0, float("inf"))))


def test_a_computed_bias_keeps_its_operator_float() -> None:
    model = model_of(
        [("RELU", ["v"], ["b"]), ("FULLY_CONNECTED", ["x", "w", "b"], ["y"])],
        {"x": (1, 2), "v": (2,), "b": (2,), "y": (1, 2)},
        {"w": np.eye(2, dtype=np.float32)},
        inputs=("x", "v"),
    )
    quantized, account = run(model, ranges_of(model, x=(-1, 1), v=(-1, 1), b=(0, 1), y=(-1, 1)))
    assert list(account.kept_float) == [1]
    assert "its bias 'b' is computed" in account.kept_float[1]
    found = [op.op for op in quantized.subgraphs[0].operators]
    assert found == ["DEQUANTIZE", "RELU", "DEQUANTIZE", "FULLY_CONNECTED", "QUANTIZE"]
