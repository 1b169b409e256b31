"""Scales and codes of constants against exact rational arithmetic, rounded where the converter rounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import quantcore as qc
from quantcore.quantizer import parameters
from quantcore.quantizer.parameters import (
    bias_scales,
    constant_qparams,
    guard_bias,
    guard_weight_ranges,
    quantize_bias,
    quantize_constant,
    quantize_weights,
    quantize_weights_int16x8,
    weight_qparams,
    weight_ranges,
)

K = (2**31 - 1) // 2


def f32(exact: Fraction) -> np.float32:
    """Round to the nearest float32, ties to even, from an exact value."""
    guess = np.float32(float(exact))
    near = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    error = [abs(Fraction(float(x)) - exact) for x in near]
    best = min(error)
    ties = [x for x, e in zip(near, error, strict=True) if e == best]
    return min(ties, key=lambda x: int(x.view(np.uint32)) & 1)


def exact(x: float | np.floating) -> Fraction:
    return Fraction(float(x))


def half_away(x: Fraction) -> int:
    sign = 1 if x >= 0 else -1
    return sign * int(abs(x) + Fraction(1, 2))


def weight_code(w: np.float32, inverse: np.float32) -> int:
    return max(-127, min(127, half_away(exact(f32(exact(w) * exact(inverse))))))


@pytest.mark.parametrize(("shape", "axis"), [((5, 3, 2, 4), 0), ((1, 3, 3, 6), 3), ((4, 9), 0), ((1, 7), 0)])
def test_weights_per_channel(shape: tuple[int, ...], axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks smaller than a channel; channels of zeros, of a tiny value, and of one whose codes are ties."""
    monkeypatch.setattr(parameters, "BLOCK_ELEMENTS", 5)
    w = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    rows = np.moveaxis(w, axis, 0)
    rows[0] = 0
    if len(rows) > 2:
        rows[1] = 3e-7
        rows[2].reshape(-1)[:4] = [63.5, 0.25, -1.25, 0.75]  # the scale is 0.5: halves of a step
    p = weight_qparams(w, axis)
    codes = quantize_weights(w, p)
    assert codes.dtype == np.int8
    assert codes.shape == w.shape
    for channel, (values, stored) in enumerate(zip(rows, np.moveaxis(codes, axis, 0), strict=True)):
        largest = max(abs(exact(v)) for v in values.reshape(-1))
        scale = f32(exact(max(np.float32(5e-7), f32(largest))) / 127)
        assert p.scale[channel] == scale
        inverse = f32(exact(np.float64(1) / np.float64(scale)))
        assert stored.reshape(-1).tolist() == [weight_code(v, inverse) for v in values.reshape(-1)]
    assert float(p.scale[0]) == pytest.approx(3.937e-9, rel=1e-4)


def test_weights_per_tensor_use_another_inverse() -> None:
    rng = np.random.default_rng(2)
    differs = 0
    for _ in range(200):
        w = rng.normal(size=50).astype(np.float32)
        p = weight_qparams(w, None)
        half = weight_ranges(w, None)
        inverse = f32(127 / exact(half))
        expected = [weight_code(v, inverse) for v in w]
        assert quantize_weights(w, p).tolist() == expected
        differs += inverse != np.float32(1 / np.float64(p.scale))
    assert differs > 20  # the two inverses are not the same rule


def test_weights_per_tensor_by_another_scale() -> None:
    w = np.array([1.0, -0.5, 0.015], np.float32)
    p = qc.QuantParams(0.01, 0, narrow_range=True)
    assert quantize_weights(w, p).tolist() == [100, -50, 2]
    assert (
        quantize_weights(np.zeros(3, np.float32), weight_qparams(np.zeros(3, np.float32), None)).tolist()
        == [0] * 3
    )


def test_weights_int16x8_keep_a_scale_of_zero() -> None:
    w = np.array([[0, 0], [1.0, -3.0], [1e-7, 2e-7]], np.float32)
    codes, scales = quantize_weights_int16x8(w, weight_ranges(w, 0), 0)
    assert scales.tolist() == [0.0, f32(Fraction(3, 127)), f32(exact(np.float32(2e-7)) / 127)]
    assert codes.tolist() == [[0, 0], [42, -127], [64, 127]]
    codes, scale = quantize_weights_int16x8(w, weight_ranges(w, None), None)
    assert scale.shape == ()
    assert codes[1].tolist() == [42, -127]


@pytest.mark.parametrize(
    ("values", "scale", "zero_point"),
    [
        ([2.0], f32(Fraction(2, 255)), -128),
        ([-2.0], f32(Fraction(2, 255)), 127),
        ([0.0], f32(2 * exact(np.float32(5e-7)) / 255), 0),  # 5e-7 is more than its float32: above -0.5
        ([3e-7], f32(2 * exact(np.float32(5e-7)) / 255), 0),
        ([1.0, 3.0, -1.0], f32(Fraction(4, 255)), -64),
    ],
)
def test_constants(values: list[float], scale: np.float32, zero_point: int) -> None:
    p = constant_qparams(np.array(values, np.float32))
    assert (p.scale, p.zero_point) == (scale, zero_point)


def test_constant_codes_round_after_the_zero_point() -> None:
    """0.5 steps above a zero point of -3 is -2.5, which goes to -3; below it -3.5, to -4."""
    p = qc.QuantParams(1.0, -3)
    c = np.array([0.5, -0.5, 1.5, 200.0, -200.0], np.float32)
    assert quantize_constant(c, p).tolist() == [-3, -4, -2, 127, -128]
    rng = np.random.default_rng(3)
    c = rng.uniform(-3, 5, 500).astype(np.float32)
    p = constant_qparams(c)
    step = [np.float64(v) / np.float64(p.scale) + p.zero_point for v in c]
    assert quantize_constant(c, p).tolist() == [max(-128, min(127, half_away(exact(s)))) for s in step]


def test_bias() -> None:
    rng = np.random.default_rng(4)
    b, weight_scale = (rng.normal(size=300).astype(np.float32) for _ in range(2))
    weight_scale, input_scale = np.abs(weight_scale) / 100, np.float32(0.0123)
    scales = bias_scales(input_scale, weight_scale)
    for c in range(b.size):
        assert scales[c] == f32(exact(input_scale) * exact(weight_scale[c]))
        inverse = f32(exact(np.float64(1) / np.float64(scales[c])))
        assert quantize_bias(b, scales)[c] == half_away(exact(f32(exact(b[c]) * exact(inverse))))


def test_bias_saturates_and_knows_a_scale_of_zero() -> None:
    b = np.array([1e9, -1e9, 5.0, 2.5, -2.5], np.float32)
    scales = np.array([1e-3, 1e-3, 0.0, 1.0, 1.0], np.float32)
    assert quantize_bias(b, scales).tolist() == [2**31 - 1, 1 - 2**31, 0, 3, -3]
    wide = quantize_bias(b, scales, "int64")
    assert wide.dtype == np.int64
    large = int(f32(exact(np.float32(1e9)) * exact(f32(exact(1 / np.float64(np.float32(1e-3)))))))
    assert wide.tolist() == [large, -large, 0, 3, -3]


def test_guard_moves_the_scales_of_weights_and_bias_together() -> None:
    bias = np.array([0.9, -0.9, 0.9], np.float32)
    weight_scales = np.array([5e-7 / 127, 5e-7 / 127, 0.01], np.float32)
    input_scale = np.float32(0.02)
    scales, weights, guarded = guard_bias(bias, input_scale, weight_scales)
    assert guarded.tolist() == [True, True, False]
    wide = np.float64(np.float32(0.9)) / K
    assert scales[0] == scales[1] == f32(exact(wide))
    assert weights[0] == f32(exact(wide / np.float64(input_scale)))
    assert (scales[2], weights[2]) == (f32(exact(input_scale) * exact(weight_scales[2])), weight_scales[2])
    codes = quantize_bias(bias, scales)
    assert abs(int(codes[0]) - K) < 100
    assert codes[1] == -codes[0]


def test_guard_per_tensor_looks_at_the_largest_bias() -> None:
    bias = np.array([0.1, -0.9], np.float32)
    scales, weights, guarded = guard_bias(bias, np.float32(0.02), np.array([1e-9], np.float32))
    assert guarded.tolist() == [True]
    assert scales.shape == weights.shape == (1,)
    assert scales[0] == f32(exact(np.float64(np.float32(0.9)) / K))
    assert not guard_bias(0 * bias, np.float32(0.02), np.array([1e-9], np.float32))[2].any()


def test_guard_at_its_limit() -> None:
    """2**30 steps are guarded, the next float32 below is less than K = 2**30 - 1."""
    one, ones = np.ones(1, np.float32), np.ones(2, np.float32)
    for bias, guarded in ((np.float32(2**30 - 64), False), (np.float32(2**30), True)):
        for scales in (one, ones):
            assert guard_bias(bias * ones, one[0], scales)[2].all() == guarded


def test_guard_of_ranges_int16x8() -> None:
    bias = np.array([0.9, 0.9], np.float32)
    ranges = np.array([0.0, 1.0], np.float32)
    input_scale = np.float32(1e-4)
    wide = guard_weight_ranges(bias, input_scale, ranges)
    step = 2.0 * np.float64(bias[0]) / (2**31 - 1)
    assert wide[0] == f32(exact(step * np.float64(f32(127 / exact(input_scale)))))
    assert wide[1] == 1.0
    assert guard_weight_ranges(bias, input_scale, np.float32(0)).shape == ()


def test_activations_round_the_zero_point_to_float32_first() -> None:
    """-128 - rmin / scale may be just below a half in float64, and in float32 the half."""
    rng = np.random.default_rng(5)
    moved = 0
    for _ in range(20000):
        low = np.float32(-rng.uniform(0.1, 10))
        high = np.float32(
            -float(low) * rng.choice([0.2, 1 / 3, 1, 3, 5]) * (1 + rng.integers(-3, 4) * 2.0**-24)
        )
        p = qc.choose_qparams(low, high)
        point = -128 - np.float64(low) / np.float64(p.scale)
        assert p.zero_point == half_away(exact(np.float32(point)))
        moved += half_away(exact(point)) != p.zero_point
    assert moved > 0
