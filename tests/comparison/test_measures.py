"""The measures, against their definitions in NumPy, and the exact merging of partial sums."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from quantcore.affine import QuantParams, choose_qparams, dequantize, quantize
from quantcore.comparison.measures import ErrorSums, measure, params_of
from tests.ops.harness import tensor

PARAMS = QuantParams(0.05, 10, "int8")


@pytest.fixture
def real() -> np.ndarray:
    """Return values of which some are beyond what `PARAMS` can express."""
    return np.random.default_rng(0).normal(0, 3, (4, 50)).astype(np.float32)


def test_definitions(real: np.ndarray) -> None:
    codes = quantize(real, PARAMS)
    error = dequantize(codes, PARAMS).astype(np.float64) - real
    signal = real.astype(np.float64)
    found = measure(real, codes, PARAMS)
    assert found.elements == 200
    assert found.mean_error == pytest.approx(error.mean(), rel=1e-12)
    assert found.stddev == pytest.approx(error.std(), rel=1e-12)
    assert found.max_abs_error == np.abs(error).max()
    assert found.mean_squared_error == pytest.approx((error**2).mean(), rel=1e-12)
    assert found.rmse == pytest.approx(math.sqrt((error**2).mean()), rel=1e-12)
    assert found.rmse_over_scale == pytest.approx(found.rmse / np.float32(0.05), rel=1e-12)
    assert found.sqnr_db == pytest.approx(10 * np.log10((signal**2).sum() / (error**2).sum()), rel=1e-12)
    dequantized = signal + error
    norms = np.linalg.norm(signal) * np.linalg.norm(dequantized)
    assert found.cosine == pytest.approx((signal * dequantized).sum() / norms, rel=1e-12)
    assert found.range_use == (int(codes.max()) - int(codes.min()) + 1) / 256
    assert found.clipped_low == np.mean(np.round(signal / np.float32(0.05)) + 10 < -128) > 0
    assert found.clipped_high == np.mean(np.round(signal / np.float32(0.05)) + 10 > 127) > 0


def test_rounding_alone_is_a_twelfth_of_a_step_squared() -> None:
    values = np.linspace(-5, 5, 100_001)
    found = measure(values, quantize(values, PARAMS), PARAMS)
    assert found.rmse_over_scale == pytest.approx(1 / math.sqrt(12), rel=1e-3)
    assert found.clipped_low == found.clipped_high == 0


@pytest.mark.parametrize("seed", range(5))
def test_merging_is_exact_whatever_the_split(real: np.ndarray, seed: int) -> None:
    """Sums in float64 would depend on the order: the samples differ by ten orders of magnitude."""
    rng = np.random.default_rng(seed)
    samples = [real[i % 4] * 10.0 ** (i - 6) for i in range(12)]
    whole = ErrorSums()
    parts = [ErrorSums() for _ in range(3)]
    for sample in samples:
        whole.update(sample, quantize(sample, PARAMS), PARAMS)
    for i in rng.permutation(12):
        parts[rng.integers(3)].update(samples[i], quantize(samples[i], PARAMS), PARAMS)
    merged = ErrorSums()
    for k in rng.permutation(3):
        merged.merge(pickle.loads(pickle.dumps(parts[k])))
    assert merged == whole
    assert merged.result(PARAMS) == whole.result(PARAMS)


def test_no_error_no_signal_and_nothing_at_all() -> None:
    assert measure(np.float32([1, 2]), np.float32([1, 2])).sqnr_db == math.inf
    silent = measure(np.zeros(3, np.float32), np.float32([0, 0, 1]))
    assert (silent.sqnr_db, silent.cosine) == (-math.inf, 0)
    assert measure(np.zeros(3), np.zeros(3)).cosine == 1
    empty = measure(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.int8), PARAMS)
    assert (empty.elements, empty.rmse, empty.range_use) == (0, 0, None)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    found = measure(np.float32([1, np.nan, np.inf, 4]), np.float32([1, 2, 3, 5]))
    assert (found.non_finite, found.elements, found.mean_error) == (2, 2, 0.5)


def test_huge_and_tiny_values_keep_their_cosine() -> None:
    x = np.float32([3e38, 4e38 / 2])
    assert measure(x, x * np.float32(0.5)).cosine == pytest.approx(1, abs=1e-15)
    assert measure(x * np.float32(1e-44), x * np.float32(-1e-44)).cosine == -1


@pytest.mark.filterwarnings("error")
def test_a_scale_of_the_largest_range_bounds_nothing() -> None:
    """A half step beyond the last code is more than float32 holds."""
    largest = np.finfo(np.float32).max
    params = choose_qparams(-largest, largest, "int16")
    x = np.float32([-3e38, 0, 3e38])
    found = measure(x, quantize(x, params), params)
    assert (found.clipped_low, found.clipped_high, found.elements) == (0, 0, 3)


def test_per_channel_parameters_have_no_single_scale() -> None:
    w = np.float32([[1, -2], [30, 40]])
    params = QuantParams([2 / 127, 40 / 127], [0, 0], "int8", 0)
    found = measure(w, quantize(w, params), params)
    assert found.rmse_over_scale is found.clipped_low is None
    assert found.range_use == (127 + 127 + 1) / 256
    assert params_of(tensor((2, 2), "int8", [0.1, 0.2], axis=0)) == QuantParams([0.1, 0.2], 0, "int8", 0)
    assert params_of(tensor((2, 2), "float32")) is None


def test_channels_of_zeros_have_the_scale_zero_in_int16x8() -> None:
    params = params_of(tensor((2, 2), "int8", [0.5, 0.0], axis=0))
    assert params is not None
    codes = np.int8([[1, 2], [0, 0]])
    assert measure(np.float32([[0.5, 1], [0, 0]]), codes, params).max_abs_error == 0
