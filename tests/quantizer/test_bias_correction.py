"""Bias correction: the mean error of each channel is taken back, in whatever mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quantcore as qc
from quantcore.affine import dequantize, quantize
from quantcore.calibration import Ranges, collect_ranges
from quantcore.comparison.measures import params_of
from quantcore.graph import Model
from quantcore.qparams import QuantParams
from quantcore.quantizer.bias_correction import correct_biases
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import Op, const, graph_model, tensor

RNG = np.random.default_rng(0)
WEIGHTS = RNG.uniform(0.2, 1, (5, 24)).astype(np.float32)
WEIGHTS[:, 0] = 60  # makes the step coarse: every other weight is rounded by much
X = RNG.uniform(0, 1, (40, 24)).astype(np.float32)
SETTINGS = Settings("int8", "int8", per_channel=False, per_channel_dense=False)


def dense(bias: bool = True, activation: str = "RELU") -> Model:
    """Return one FULLY_CONNECTED."""
    tensors = {
        "x": tensor((1, 24), "float32"),
        "w": const(WEIGHTS),
        "b": const(np.float32([-40, -30, -35, -38, -36])),
        "y": tensor((1, 5), "float32"),
    }
    op = Op(
        "FULLY_CONNECTED", ("x", "w", "b" if bias else ""), ("y",), {"fused_activation_function": activation}
    )
    return graph_model(tensors, [op], ["x"], ["y"])


def test_shift_is_the_expected_error_before_the_activation() -> None:
    model = dense()
    ranges = collect_ranges(model, X)
    found = correct_biases(model, ranges, X, SETTINGS)
    scale = np.float32(60) / np.float32(127)
    rounded = dequantize(quantize(WEIGHTS, QuantParams(scale, 0)), QuantParams(scale, 0)).astype(np.float64)
    params = params_of(apply(Plan(model, SETTINGS), ranges).subgraphs[0].tensors[0])
    assert params is not None
    inputs = dequantize(quantize(X, params), params).astype(np.float64)
    expected = (X.astype(np.float64) @ WEIGHTS.T - inputs @ rounded.T).mean(axis=0)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found.shifts[0], expected, rtol=1e-4, atol=1e-5)
    tensors = found.model.subgraphs[0].tensors
    np.testing.assert_allclose(
        tensors[2].data - model.subgraphs[0].tensors[2].data, expected, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic"])
def test_mean_error_and_gain(mode: str) -> None:
    model = dense(activation="NONE")
    settings = Settings(mode, per_channel=False, per_channel_dense=False)
    if mode == "dynamic":  # weights of fewer than 1024 elements stay float
        wide = np.repeat(WEIGHTS, 10, axis=0)
        model.subgraphs[0].tensors[1] = replace(model.subgraphs[0].tensors[1], data=wide, shape=wide.shape)
        bias = np.zeros(50, np.float32)
        model.subgraphs[0].tensors[2] = replace(model.subgraphs[0].tensors[2], data=bias, shape=bias.shape)
        model.subgraphs[0].tensors[3] = replace(model.subgraphs[0].tensors[3], shape=(1, 50))
    ranges: Ranges | None = None if mode == "dynamic" else collect_ranges(model, X)
    corrected = correct_biases(model, ranges, X, settings).model
    before, after = (
        qc.compare(model, apply(Plan(m, settings), ranges), X).outputs[0].measures for m in (model, corrected)
    )
    assert abs(after.mean_error) < abs(before.mean_error) / 3
    assert after.sqnr_db > before.sqnr_db + 3


def test_an_operator_without_bias_gets_one() -> None:
    model = dense(bias=False)
    found = correct_biases(model, collect_ranges(model, X), X, SETTINGS)
    main = found.model.subgraphs[0]
    assert main.operators[0].inputs == (0, 1, 4)
    np.testing.assert_array_equal(main.tensors[4].data, found.shifts[0].astype(np.float32))
    assert model.subgraphs[0].operators[0].inputs == (0, 1, -1)
    assert len(model.subgraphs[0].tensors) == 4


def test_a_shared_bias_is_parted() -> None:
    zeros = const(np.zeros(24, np.float32))
    square = RNG.uniform(0, 1, (2, 24, 24)).astype(np.float32)
    tensors = {
        "x": tensor((1, 24), "float32"), "w1": const(square[0]), "w2": const(square[1]), "b": zeros,
        "h": tensor((1, 24), "float32"), "y": tensor((1, 24), "float32"),
    }  # fmt: skip
    operators = [
        Op("FULLY_CONNECTED", ("x", "w1", "b"), ("h",)),
        Op("FULLY_CONNECTED", ("h", "w2", "b"), ("y",)),
    ]
    model = graph_model(tensors, operators, ["x"], ["y"])
    main = correct_biases(model, collect_ranges(model, X), X, SETTINGS).model.subgraphs[0]
    first, second = (main.tensors[op.inputs[2]].data for op in main.operators)
    assert not np.array_equal(first, second)
    assert not main.tensors[3].data.any()


def test_nothing_to_correct() -> None:
    model = graph_model({"x": tensor((1, 24), "float32"), "y": tensor((1, 24), "float32")},
                        [Op("RELU", ("x",), ("y",))], ["x"], ["y"])  # fmt: skip
    assert correct_biases(model, collect_ranges(model, X), X, SETTINGS).model is model
