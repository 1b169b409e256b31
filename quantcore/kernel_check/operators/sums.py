"""Scales and biases of operators that requantize sums of products, aimed at the edges of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantcore.graph import Tensor
from quantcore.kernel_check.draws import Draws, constant, packed, tensor, type_range

__all__ = ["Products", "float_bias", "float_products", "quantize_products"]

ACCUMULATOR_LIMIT = 2**31 - 1


@dataclass(slots=True)
class Products:
    """The tensors of an operator on products: input, filter, bias and output, and the input's value."""

    x: Tensor
    w: Tensor
    bias: Tensor | None
    y: Tensor
    value: np.ndarray


def quantize_products(
    draws: Draws,
    form: str,
    input_shape: tuple[int, ...],
    filter_shape: tuple[int, ...],
    *,
    axis: int,
    needs_bias: bool = False,
) -> Products:
    """Draw data, zero points, scales and bias of a quantized form.

    Accumulators stay within int32 without wrapping, in any order of summation, and so does what a multiplier
    above 1 makes of them: beyond that, C leaves the result of the usual code undefined.
    """
    dtype, _, variant = form.partition(" ")
    filter_dtype = {"uint8": "uint8"}.get(dtype, "int4" if "int4" in variant else "int8")
    zx, zy = draws.zero_point(dtype, "input"), draws.zero_point(dtype, "output")
    zw = draws.zero_point("uint8", "filter") if filter_dtype == "uint8" else 0
    x = draws.integers(input_shape, dtype, zx)
    w = draws.integers(filter_shape, filter_dtype, zw, low=-127 if filter_dtype == "int8" else None)
    channels = filter_shape[axis]
    weights = np.moveaxis(w.astype(np.int64) - zw, axis, 0).reshape(channels, -1)
    largest = max(abs(end - zx) for end in type_range(dtype))
    bounds = np.abs(weights).sum(axis=1) * largest  # of |sum| in each channel
    spread = np.sqrt((weights.astype(float) ** 2).sum(axis=1) * np.mean((x.astype(float) - zx) ** 2))
    bias, kind = draw_bias(draws, bounds, spread, needs_bias=needs_bias)
    reach = bounds + (0 if bias is None else np.abs(bias))
    multipliers = draw_multipliers(draws, dtype, np.maximum(spread, 1), reach, kind)
    single = filter_dtype == "uint8" or draws.flag()
    draws.facts["multipliers"] = "one" if single or channels == 1 else "one per channel"
    if single:
        multipliers = multipliers.min(keepdims=True)
    sx, sy = np.float32(2.0 ** draws.one_of(-4, 0, -8)), np.float32(2.0 ** draws.one_of(-3, 0, -7))
    if draws.one_of(False, False, True):  # scales that are no powers of two
        sx = np.float32(sx * 1.37)
    sw = (multipliers * float(sy) / float(sx)).astype(np.float32)
    made = None
    if bias is not None:
        wide = dtype == "int16" and "int32_bias" not in variant
        made = constant("bias", bias.astype("int64" if wide else "int32"), sx * sw)
    return Products(
        tensor("input", dtype, input_shape, sx, zx),
        filter_constant(w, filter_dtype, sw, zw, 0 if single else axis),
        made,
        tensor("output", dtype, (), sy, zy),
        x,
    )


def float_products(
    draws: Draws,
    form: str,
    input_shape: tuple[int, ...],
    filter_shape: tuple[int, ...],
    *,
    axis: int,
    needs_bias: bool = False,
) -> Products:
    """Draw data of a form on floats: ``float32``, or ``hybrid``, whose filter has integers and scales."""
    channels = filter_shape[axis]
    if form == "float32":
        w = constant("filter", draws.floats(filter_shape))
    else:
        dtype = "int4" if form == "hybrid int4" else "int8"
        lowest = None if draws.flag() else -type_range(dtype)[1]
        single = draws.flag()
        draws.facts["filter scales"] = "one" if single or channels == 1 else "one per channel"
        scales = draws.rng().uniform(0.002, 0.1, 1 if single else channels).astype(np.float32)
        data = draws.integers(filter_shape, dtype, low=lowest)
        w = filter_constant(data, dtype, scales, 0, 0 if single else axis)
    return Products(
        tensor("input", "float32", input_shape),
        w,
        float_bias(draws, channels, needs_bias=needs_bias),
        tensor("output", "float32"),
        draws.floats(input_shape),
    )


def filter_constant(data: np.ndarray, dtype: str, scales: np.ndarray, zero_point: int, axis: int) -> Tensor:
    """Return a filter, whose values of 4 bits are packed."""
    made = constant("filter", packed(data) if dtype == "int4" else data, scales, zero_point, axis)
    made.dtype, made.shape = dtype, data.shape
    return made


def draw_bias(
    draws: Draws, bounds: np.ndarray, spread: np.ndarray, *, needs_bias: bool
) -> tuple[np.ndarray | None, str]:
    """Return a bias and its kind."""
    kinds = ("zero", "none", "like the sums", "large", "like the sums")
    kind = draws.one_of(*[k for k in kinds if k != "none" or not needs_bias])
    draws.facts["bias"] = kind
    if kind == "none":
        return None, kind
    if kind == "zero":
        return np.zeros(bounds.size, np.int64), kind
    rng = draws.rng()
    room = np.maximum(ACCUMULATOR_LIMIT - bounds, 0)
    most = room if kind == "large" else np.minimum(2 * spread + 8, room)
    return np.round(rng.uniform(-1, 1, bounds.size) * most).astype(np.int64), kind


def draw_multipliers(
    draws: Draws, dtype: str, spread: np.ndarray, reach: np.ndarray, bias: str
) -> np.ndarray:
    """Return the real multiplier of each channel."""
    width = 256 if dtype == "int16" else 1
    kind = draws.one_of("half", "ties", "fit", "fit", "saturating", "above 1", "tiny", "step")
    factors = np.ones(spread.size)
    typical = np.maximum(spread, reach / 4) if bias == "large" else spread
    if kind == "half":
        real = factors * 0.5
    elif kind == "ties":
        real = factors * 2.0 ** -draws.integer(1, 9)
        if draws.flag():
            real = real * 2.0 ** -draws.rng().integers(0, 4, spread.size)
    elif kind == "fit":
        real = draws.rng().uniform(30, 90, spread.size) * width / typical
    elif kind == "saturating":
        real = draws.one_of(300.0, 3000.0) * width / typical
    elif kind == "above 1":
        real = factors * draws.one_of(1.0, 2.0, 1.5, 3.7, 63.0)
    elif kind == "tiny":
        real = 2.0 ** -draws.integer(20, 31) * factors * draws.one_of(1.0, 1.41)
    else:  # next to a power of two, where the fixed-point multiplier is next to its ends
        real = factors * np.float32(draws.one_of(0.99999994, 1.0000001)) * 2.0 ** -draws.integer(1, 12)
    # The shift to the left of an accumulator must stay within int32; 16x8 has its own limit.
    limit = np.minimum(2.0 ** np.floor(np.log2(ACCUMULATOR_LIMIT / np.maximum(reach, 1))), 64)
    bounded: np.ndarray = np.minimum(real, limit * 0.49)
    return bounded


def float_bias(draws: Draws, channels: int, *, needs_bias: bool = False) -> Tensor | None:
    """Return a bias of float32."""
    kind = draws.one_of(*(("some",) if needs_bias else ("some", "none", "some")))
    draws.facts["bias"] = kind
    return None if kind == "none" else constant("bias", draws.floats((channels,)))
