"""The converter's calibrator and quantizers, driven through the worker for a float ``.tflite``."""

from __future__ import annotations

import numpy as np
import pytest

from quantcore.errors import OracleRefused
from quantcore.flatbuffer import read_model
from quantcore.graph import Model, Operator, Subgraph, Tensor
from tests.ops.harness import get_oracle

pytestmark = pytest.mark.oracle

SAMPLES = [np.array([[-1.0, 2.0]], np.float32), np.array([[3.0, 0.5]], np.float32)]


@pytest.fixture(scope="module")
def dense() -> Model:
    tensors = [
        Tensor("x", (1, 2), "float32"),
        Tensor("w", (2, 2), "float32", data=np.array([[1.0, 0.0], [0.5, -2.0]], np.float32)),
        Tensor("b", (2,), "float32", data=np.array([0.25, 0.0], np.float32)),
        Tensor("y", (1, 2), "float32"),
    ]
    options = {"fused_activation_function": "NONE"}
    operator = Operator("FULLY_CONNECTED", 1, (0, 1, 2), (3,), options)
    return Model([Subgraph("main", tensors, [operator], (0,), (3,))])


def test_calibrate_records_ranges(dense: Model) -> None:
    tensors = get_oracle().calibrate(dense, SAMPLES).subgraphs[0].tensors
    found = {t.name: t.quantization for t in tensors}
    assert [float(found["x"].min[0]), float(found["x"].max[0])] == [-1.0, 3.0]
    assert [float(found["y"].min[0]), float(found["y"].max[0])] == [-4.5, 3.25]
    assert found["w"] is None


@pytest.mark.parametrize(
    ("mode", "io", "weight", "bias"),
    [("int8", "float32", "int8", "int32"), ("int8", "uint8", "int8", "int32"),
     ("int16x8", "int16", "int8", "int64"), ("int16x8", "float32", "int8", "int64")],
)  # fmt: skip
def test_quantize(dense: Model, mode: str, io: str, weight: str, bias: str) -> None:
    main = read_model(get_oracle().quantize(dense, SAMPLES, mode=mode, io=io)).subgraphs[0]
    assert [main.tensors[t].dtype for t in (*main.inputs, *main.outputs)] == [io, io]
    (operator,) = (op for op in main.operators if op.op == "FULLY_CONNECTED")
    assert [main.tensors[t].dtype for t in operator.inputs[1:]] == [weight, bias]


def test_ranges_of_the_file_do(dense: Model) -> None:
    """Without samples the quantizer takes the ranges that calibration wrote."""
    oracle = get_oracle()
    calibrated = oracle.calibrate(dense, SAMPLES)
    assert oracle.quantize(calibrated, []) == oracle.quantize(dense, SAMPLES)


def test_denylisted_operators_stay_float(dense: Model) -> None:
    data = get_oracle().quantize(dense, SAMPLES, io="float32", denylisted_ops=["FULLY_CONNECTED"])
    assert read_model(data).subgraphs[0].tensors[1].dtype == "float32"


def test_refusal_quotes_the_reason(dense: Model) -> None:
    with pytest.raises(OracleRefused, match="calibrating a model"):
        get_oracle().calibrate(dense, [np.zeros((1, 2), np.int8)])
