"""The demo's float networks, quantized by us without TensorFlow, beside what the converter made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import MinMax
from quantcore.comparison.agreement import compare_structure
from quantcore.demo.data import DataSet, load_digits
from quantcore.demo.pipeline import REPRESENTATIVE
from quantcore.demo.training import NETWORKS
from quantcore.evaluate import predict, score
from quantcore.graph import Model, Tensor
from quantcore.images import prepare_images

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

SCALES = 2e-6  # relative, between float engines

# The converter's file: mode and io
FILES = {
    "int8": ("int8", "int8"),
    "uint8": ("int8", "uint8"),
    "float_fallback": ("int8", "float32"),
    "dynamic_range": ("dynamic", "float32"),
    "float16": ("float16", "float32"),
}


@pytest.fixture(scope="module")
def digits() -> DataSet:
    """Return the data that the demo learned from."""
    return load_digits(0)


def correct(model: Model, digits: DataSet) -> int:
    scores = predict(model, prepare_images(model, digits.test_images).images)
    return score(scores, digits.test_labels).correct


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("network", NETWORKS)
def test_as_the_converter(network: str, file: str, demo_output: Path, digits: DataSet) -> None:
    mode, io = FILES[file]
    samples = digits.train_images[:REPRESENTATIVE] if mode == "int8" else None
    ours = qc.quantize_model(demo_output / f"{network}_float.tflite", samples, mode, io)
    theirs = qc.load(demo_output / f"{network}_{file}.tflite")
    found = compare_structure(ours, theirs, scale_tolerance=SCALES)
    assert found.compared.total() > 5
    assert found.differences == []
    assert abs(correct(ours, digits) - correct(theirs, digits)) <= 1


@pytest.mark.parametrize("network", NETWORKS)
def test_16x8_is_as_good_as_float(network: str, demo_output: Path, digits: DataSet) -> None:
    path = demo_output / f"{network}_float.tflite"
    ours = qc.quantize_model(path, digits.train_images[:REPRESENTATIVE], "int16x8")
    assert abs(correct(ours, digits) - correct(qc.load(path), digits)) <= 1


def weights(path: Path) -> list[Tensor]:
    """Return the weights of a model's layers."""
    main = qc.load(path).subgraphs[0]
    return [main.tensors[op.inputs[1]] for op in main.operators if op.op in ("CONV_2D", "FULLY_CONNECTED")]


@pytest.mark.parametrize("network", NETWORKS)
def test_choose_qparams_gives_the_converters_weight_scales(network: str, demo_output: Path) -> None:
    """Per channel, symmetric, narrow range: the scales of every layer, bit for bit; and the codes."""
    plain = weights(demo_output / f"{network}_float.tflite")
    quantized = weights(demo_output / f"{network}_int8.tflite")
    assert len(plain) == len(quantized) > 0
    for w, stored in zip((tensor.data for tensor in plain), quantized, strict=True):
        tracker = MinMax(axis=stored.quantization.quantized_dimension)
        tracker.update(w)
        p = qc.choose_qparams(*tracker.range(), symmetric=True, narrow_range=True, axis=tracker.axis)
        np.testing.assert_array_equal(p.scale, stored.quantization.scale)
        assert not stored.quantization.zero_point.any()
        # the codes are not QUANTIZE's: the converter multiplies by float32(1 / scale)
        column = [-1 if d == tracker.axis else 1 for d in range(w.ndim)]
        steps = w * (1.0 / p.scale.astype(np.float64)).astype(np.float32).reshape(column)
        codes = np.clip(np.copysign(np.floor(np.abs(steps) + 0.5), steps), -127, 127)
        np.testing.assert_array_equal(codes, stored.data)
