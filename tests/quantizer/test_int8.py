"""The static int8 quantizer on small graphs, with expectations derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.quantizer.account import Account
from quantcore.quantizer.int8 import quantize
from quantcore.quantizer.settings import Settings


def model_of(
    operators: list[tuple[str, list[str], list[str]]],
    shapes: dict[str, tuple[int, ...]],
    constants: dict[str, np.ndarray] | None = None,
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
) -> Model:
    """Return a model from operators, given as (name, inputs, outputs) by tensor name."""
    constants = constants or {}
    names = list(shapes) + list(constants)
    tensors = [Tensor(n, s, "float32") for n, s in shapes.items()]
    tensors += [Tensor(n, c.shape, str(c.dtype), data=c) for n, c in constants.items()]
    ops = [
        Operator(op, 1, tuple(names.index(n) for n in ins), tuple(names.index(n) for n in outs))
        for op, ins, outs in operators
    ]
    ends = (tuple(names.index(n) for n in group) for group in (inputs, outputs))
    return Model([Subgraph("main", tensors, ops, *ends)])


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
        t = graph.tensors[graph.inputs[0]]
        x = qc.quantize(x, qc.QuantParams(t.quantization.scale[0], int(t.quantization.zero_point[0]), io))
    result = qc.Interpreter(quantized).run(x)[0]
    if io != "float32":
        t = graph.tensors[graph.outputs[0]]
        result = qc.dequantize(
            result, qc.QuantParams(t.quantization.scale[0], int(t.quantization.zero_point[0]), io)
        )
    assert result.ravel() == pytest.approx([1.625, -0.90625], abs=0.02)
