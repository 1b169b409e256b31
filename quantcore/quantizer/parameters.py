"""Scales, zero points and codes of constants, as TFLite's converter computes them.

The parameters of activations are those of `quantcore.choose_qparams`. Every function here rounds where the
converter rounds; ``docs/quantization/int8.md`` derives them. Sources: TensorFlow's MLIR quantizer
(``quantization_utils.cc``, ``tfl_quantization_driver.cc``, with legacy float scales) for the mode int8;
``tools/optimize/quantization_utils.cc`` for int16x8; ``quantization_utils.cc`` without legacy float scales,
and MLIR's ``UniformSupport.h``, for dynamic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from quantcore.graph import Quantization
from quantcore.layout import channel_view
from quantcore.qparams import QuantParams, affine_range, choose_qparams
from quantcore.rounding import round_half_away

__all__ = [
    "BIAS_LIMIT",
    "SMALLEST_RANGE",
    "affine_codes",
    "bias_scales",
    "constant_qparams",
    "four_bit_weights",
    "guard_bias",
    "guard_weight_ranges",
    "guarded_scales",
    "quantize_bias",
    "quantize_constant",
    "quantize_weights",
    "quantize_weights_dynamic",
    "quantize_weights_int16x8",
    "stored",
    "weight_qparams",
    "weight_ranges",
]

# Elements that are quantized at a time, so that temporary arrays stay in the cache
BLOCK_ELEMENTS = 1 << 16

# Largest bias in steps of its scale, so that an accumulator that starts from it has room for the products
BIAS_LIMIT = (2**31 - 1) // 2

# In the mode dynamic, ranges up to this one are widened to it
SMALLEST_RANGE = 1e-6


def stored(params: QuantParams) -> Quantization:
    """Return parameters as a tensor of the model stores them."""
    scale = np.atleast_1d(np.asarray(params.scale, np.float32))
    zero_point = np.broadcast_to(np.asarray(params.zero_point, np.int64), scale.shape).copy()
    return Quantization(scale, zero_point, 0 if params.axis is None else params.axis)


def weight_ranges(weights: np.ndarray, axis: int | None) -> np.ndarray:
    """Return ``max |w|`` as float32: of each channel along `axis`, shape (channels,); of all, shape ()."""
    others = None if axis is None else tuple(d for d in range(weights.ndim) if d != axis)
    ends = np.max(weights, axis=others), np.min(weights, axis=others)
    return np.asarray(np.maximum(ends[0], -ends[1]), np.float32)


def weight_qparams(weights: np.ndarray, axis: int | None, bits: int = 8) -> QuantParams:
    """Return the symmetric parameters of weights, codes -127 to 127, or -7 to 7 (mode int8).

    ``scale = f32(max |w| / 127)``, where the maximum is taken to be at least 5e-7: a channel of zeros has the
    scale 3.937e-09. With 4 bits ``f32(max |w| / 7)``.

    Parameters
    ----------
    weights : ndarray of float32, finite
    axis : int or None
        Dimension of the channels; None: one scale.
    bits : {8, 4}
    """
    half = weight_ranges(weights, axis)
    return choose_qparams(-half, half, f"int{bits}", symmetric=True, narrow_range=True, axis=axis)


def quantize_weights(weights: np.ndarray, params: QuantParams) -> np.ndarray:
    """Return int8 codes of weights (mode int8): ``clip(round(f32(w * inverse)), -127, 127)``.

    Per channel ``inverse = f32(1 / scale)``. Per tensor ``inverse = f32(127 / max |w|)``, which may differ in
    the last bit; where the scale is not ``f32(max |w| / 127)``, the codes are those of `quantize_constant`.
    (The converter keeps the former codes where the scales differ by less than 1e-3: they then stand for other
    weights.)
    """
    if params.axis is not None:
        return _weight_codes(weights, _inverse(params.scale), params.axis)
    half = weight_ranges(weights, None)
    if half > 0 and params.scale == half / np.float32(127):
        return _weight_codes(weights, np.float32(127) / half, None)
    return quantize_constant(weights, params)


def quantize_weights_int16x8(
    weights: np.ndarray, ranges: np.ndarray, axis: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 codes and float32 scales of weights (mode int16x8).

    ``scale = f32(range / 127)`` and ``inverse = f32(127 / range)``. A channel of zeros has the scale 0.0;
    weights that are all zero have the scale 1.0 per tensor.

    Parameters
    ----------
    weights : ndarray of float32, finite
    ranges : ndarray of float32, shape (channels,) or ()
        `weight_ranges`, perhaps widened by `guard_weight_ranges`.
    axis : int or None
    """
    limit = np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(ranges == 0, np.float32(0), limit / ranges).astype(np.float32)
    scales = ranges / limit
    if axis is None:
        scales = np.where(ranges == 0, np.float32(1), scales)
    return _weight_codes(weights, inverse, axis), scales


def quantize_weights_dynamic(weights: np.ndarray, axis: int | None) -> tuple[np.ndarray, Quantization]:
    """Return int8 codes and parameters of weights (mode dynamic): ``round(w / scale)``.

    ``scale = 2 max |w| / 254``, both in float64: unlike in the other modes, it is rounded to float32 only
    where it is stored. ``max |w|`` is taken to be at least 5e-7.

    Parameters
    ----------
    weights : ndarray of float32, finite
    axis : int or None
        Dimension of the channels; None: one scale.
    """
    largest = np.atleast_1d(weight_ranges(weights, axis)).astype(np.float64)
    largest = np.where(2 * largest > SMALLEST_RANGE, largest, SMALLEST_RANGE / 2)
    scales = 2 * largest / 254

    def code(block: np.ndarray, scale: np.ndarray) -> np.ndarray:
        steps = block.astype(np.float64)
        steps /= scale
        return _rounded(steps)

    codes = _codes(weights, scales, axis, code)
    zero_points = np.zeros(scales.size, np.int64)
    return codes, Quantization(scales.astype(np.float32), zero_points, 0 if axis is None else axis)


def constant_qparams(constant: np.ndarray) -> QuantParams:
    """Return the int8 parameters of a constant that is neither weights nor bias, from its own values.

    As `choose_qparams`, but a range of 1e-6 or less, once it holds 0, is widened to hold -5e-7 and 5e-7.
    """
    low = np.minimum(np.min(constant), 0).astype(np.float64)
    high = np.maximum(np.max(constant), 0).astype(np.float64)
    if not high - low > 1e-6:
        low, high = np.minimum(low, -5e-7), np.maximum(high, 5e-7)
    scale, zero_point = affine_range(np.asarray(low), np.asarray(high), -128, 127)
    return QuantParams(scale, zero_point)


def quantize_constant(constant: np.ndarray, params: QuantParams) -> np.ndarray:
    """Return int8 codes of a constant, per tensor: ``clip(round(c / scale + zero_point), qmin, qmax)``.

    In float64, rounded after the zero point is added, unlike QUANTIZE.
    """

    def code(block: np.ndarray, scale: np.ndarray) -> np.ndarray:
        steps = round_half_away(block.astype(np.float64) / scale + params.zero_point)
        return np.clip(steps, params.qmin, params.qmax, out=steps)

    return _codes(constant, np.asarray(params.scale, np.float64), None, code)


def four_bit_weights(weights: np.ndarray, params: QuantParams) -> np.ndarray:
    """Return int4 codes of weights, -7 to 7, one per int8 element: those of fake quantization.

    ``floor((clip(w, -7 s, 7 s) + 7 s) * f32(1 / s) + 0.5) - 7``, each step in float32, as TensorFlow's
    ``fake_quant_with_min_max_vars`` with `narrow_range` computes it, whose ranges are ``-max |w|`` and
    ``max |w|``.
    """

    def code(block: np.ndarray, scale: np.ndarray) -> np.ndarray:
        scale = scale.astype(np.float32)
        end = np.float32(params.qmax) * scale
        steps = (np.clip(block, -end, end) + end) * (np.float32(1) / scale)
        codes: np.ndarray = np.floor(steps + np.float32(0.5)) - np.float32(params.qmax)
        return codes

    return _codes(weights, np.asarray(params.scale), params.axis, code)


def affine_codes(values: np.ndarray, scales: np.ndarray, params: QuantParams) -> np.ndarray:
    """Return the codes of a constant by float64 scales: ``clip(round(v / scale + zero_point), qmin, qmax)``.

    Half is rounded away from zero; codes of another width than 8 bits are rounded before the zero point is
    added.

    Parameters
    ----------
    values : ndarray of float32
    scales : ndarray of float64, shape () or (channels,)
    params : QuantParams
        Its scales are not used.
    """
    shape = [1] * values.ndim
    if params.axis is not None:
        shape[min(params.axis, values.ndim - 1)] = -1  # a bias is given as one dimension
    scales, zero_points = (np.asarray(v).reshape(shape) for v in (scales, params.zero_point))
    steps = values.astype(np.float64) / scales
    if params.dtype == "int8":
        whole = round_half_away(steps + zero_points)
    else:
        whole = round_half_away(steps) + zero_points
    codes: np.ndarray = np.clip(whole, params.qmin, params.qmax).astype(params.storage)
    return codes.reshape(values.shape)


def bias_scales(input_scale: np.ndarray, weight_scales: np.ndarray) -> np.ndarray:
    """Return ``f32(input scale * weight scale)`` for each scale of the weights."""
    exact = np.atleast_1d(weight_scales).astype(np.float64) * np.float64(input_scale)
    return exact.astype(np.float32)


def guard_bias(
    bias: np.ndarray, input_scale: np.ndarray, weight_scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``(bias scales, weight scales, guarded)`` so that no bias overflows int32 (mode int8).

    A bias of more than ``K = (2**31 - 1) // 2`` steps gets the scale ``|bias| / K``, and its weights that
    scale divided by the input's: the product of scales must remain that of the bias. This happens where
    weights are (nearly) zero and the bias is not.

    Parameters
    ----------
    bias : ndarray of float32, shape (channels,)
    input_scale : float32
    weight_scales : ndarray of float32, shape (channels,), or (1,) per tensor

    Returns
    -------
    bias scales, weight scales : ndarray of float32, the shape of `weight_scales`
    guarded : ndarray of bool, the same shape
    """
    scales = bias_scales(input_scale, weight_scales)
    wide, weights, guarded = guarded_scales(
        bias, scales, np.asarray(input_scale, np.float64), np.atleast_1d(weight_scales)
    )
    return wide.astype(np.float32), weights.astype(np.float32), guarded


def guarded_scales(
    bias: np.ndarray, scales: np.ndarray, input_scale: np.ndarray, weight_scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `guard_bias` does, before it is rounded; `scales` are those that the bias would have."""
    largest = np.abs(bias.reshape(-1)).astype(np.float64)
    if scales.size == 1:
        largest = np.max(largest, keepdims=True, initial=0)
        guarded = ~(largest / scales < BIAS_LIMIT)
    else:
        guarded = largest / scales > BIAS_LIMIT
    wide = largest / BIAS_LIMIT
    weights = np.where(guarded, wide / input_scale, weight_scales)
    return np.where(guarded, wide, scales), weights, guarded


def guard_weight_ranges(bias: np.ndarray, input_scale: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Return the ranges of weights, widened so that no bias exceeds half of int32 (mode int16x8).

    Where ``|bias| >= 0.5 * input scale * range / 127 * (2**31 - 1)``, the range becomes
    ``f32(2 |bias| / (2**31 - 1) * f32(127 / input scale))``, with the last quotient in float64 where float32
    cannot hold it.

    Parameters
    ----------
    bias : ndarray of float32, shape (channels,)
    input_scale : float32
    ranges : ndarray of float32, shape (channels,), or () per tensor
    """
    limit = np.float64(2**31 - 1)
    scales = np.atleast_1d(ranges / np.float32(127)).astype(np.float64)
    largest = np.abs(bias.reshape(-1))
    if scales.size == 1:
        largest = np.max(largest, keepdims=True, initial=0)
        guarded = (largest / np.float32(limit)) >= 0.5 * np.float64(input_scale) * scales
    else:
        guarded = largest >= 0.5 * np.float64(input_scale) * scales * limit
    with np.errstate(over="ignore"):
        ratio = np.float64(np.float32(127) / np.float32(input_scale))
    if not np.isfinite(ratio):  # the converter's ranges would be infinite, and the bias lost
        ratio = 127 / np.float64(input_scale)
    wide = np.minimum(2.0 * largest.astype(np.float64) / limit * ratio, np.finfo(np.float32).max)
    return np.where(guarded, wide.astype(np.float32), np.atleast_1d(ranges)).reshape(ranges.shape)


def quantize_bias(bias: np.ndarray, scales: np.ndarray, dtype: str = "int32") -> np.ndarray:
    """Return the codes of a bias: ``round(f32(bias * f32(1 / scale)))``, saturated; 0 where the scale is 0.

    Parameters
    ----------
    bias : ndarray of float32
    scales : ndarray of float32, shape (1,), or one per element of `bias`
    dtype : {"int32", "int64"}
        int32 in the mode int8, int64 in the mode int16x8.
    """
    largest = int(np.iinfo(dtype).max)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = bias.reshape(-1) * np.where(scales == 0, np.float32(0), _inverse(scales))
    steps = round_half_away(np.where(np.isnan(steps), np.float32(0), steps)).astype(np.float64)
    inside = np.abs(steps) < largest
    codes = np.where(inside, steps, 0).astype(np.int64)
    codes[~inside] = np.where(steps[~inside] > 0, largest, -largest)
    return codes.astype(dtype).reshape(bias.shape)


def _inverse(scales: np.ndarray) -> np.ndarray:
    """Return ``f32(1 / scale)``, divided in float64."""
    with np.errstate(divide="ignore", over="ignore"):
        return (1.0 / scales.astype(np.float64)).astype(np.float32)


def _weight_codes(weights: np.ndarray, inverse: np.ndarray, axis: int | None) -> np.ndarray:
    """Return ``clip(round(f32(w * inverse)), -127, 127)`` as int8."""

    def code(block: np.ndarray, factor: np.ndarray) -> np.ndarray:
        steps = round_half_away(block * factor)
        return np.clip(steps, -127, 127, out=steps)

    return _codes(weights, inverse, axis, code)


def _rounded(steps: np.ndarray) -> np.ndarray:
    """Return C's ``round`` of values of at most 127: NumPy's, which is faster, where no value is a tie."""
    even: np.ndarray = np.rint(steps)
    ties = np.abs(steps - even) == 0.5
    return round_half_away(steps) if ties.any() else even


def _codes(
    values: np.ndarray,
    factors: np.ndarray,
    axis: int | None,
    code: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return int8 codes of values, piece by piece: ``code(piece, its factors)``.

    Parameters
    ----------
    values : ndarray of float32
    factors : ndarray, shape (channels,), or one value if `axis` is None
    axis : int or None
        Dimension of the channels.
    code : callable
    """
    codes = np.empty(values.shape, np.int8)
    outer, channels, inner = (values.size, 1, 1) if axis is None else channel_view(values.shape, axis)
    source, target = (array.reshape(outer, channels, inner) for array in (values, codes))
    columns_of = np.broadcast_to(factors, (channels,)).reshape(channels, 1)
    for rows, columns in _blocks(outer, channels, inner):
        target[rows, columns] = code(source[rows, columns], columns_of[columns])
    return codes


def _blocks(outer: int, channels: int, inner: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of the two first dimensions that cut an array into pieces of `BLOCK_ELEMENTS` or so."""
    height = max(1, BLOCK_ELEMENTS // max(1, channels * inner))
    width = channels if channels * inner <= BLOCK_ELEMENTS else max(1, BLOCK_ELEMENTS // max(1, inner))
    for row in range(0, outer, height):
        for column in range(0, channels, width):
            yield slice(row, row + height), slice(column, column + width)
