"""AVERAGE_POOL_2D and MAX_POOL_2D on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels.arguments import (
    QUANTIZED,
    Pair,
    activation_bounds,
    contiguous_input,
    padding_of_axes,
    run,
)
from quantcore.kernels.padding import place_window
from quantcore.kernels.pool import MAX_WINDOW, pool_call

__all__ = ["average_pool2d", "max_pool2d"]


def average_pool2d(
    input: Any,
    *,
    filter_size: Pair,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    activation_min: int | None = None,
    activation_max: int | None = None,
) -> np.ndarray:
    """Average windows of a quantized image; what lies outside the image is not counted.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (N, H, W, C)
    filter_size, stride : (int, int)
        Height and width, each at least 1.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        Explicit padding is less than the filter.
    activation_min, activation_max : int, optional
        Bounds of the output; default: those of the dtype.

    Returns
    -------
    ndarray of the input's dtype, shape (N, H_out, W_out, C)

    Raises
    ------
    KernelError
        An argument outside its range, or a window that does not fit.

    Notes
    -----
    The sum is divided to nearest, ties away from zero. TFLite
    ``kernels/internal/reference/integer_ops/pooling.h``, CMSIS-NN ``arm_avgpool_s8`` and ``_s16``.
    """
    return _pool("average", input, filter_size, stride, padding, (activation_min, activation_max))


def max_pool2d(
    input: Any,
    *,
    filter_size: Pair,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    activation_min: int | None = None,
    activation_max: int | None = None,
) -> np.ndarray:
    """Take the maximum of windows of a quantized image.

    Parameters, results and errors are those of `average_pool2d`. TFLite
    ``kernels/internal/reference/integer_ops/pooling.h``, CMSIS-NN ``arm_max_pool_s8`` and ``_s16``.
    """
    return _pool("max", input, filter_size, stride, padding, (activation_min, activation_max))


def _pool(
    kind: str,
    input: Any,
    filter_size: Pair,
    stride: Pair,
    padding: str | Sequence[Pair],
    bounds: tuple[int | None, int | None],
) -> np.ndarray:
    x = contiguous_input("input", input, QUANTIZED, rank=4)
    sides = padding_of_axes(padding)
    for side, size in zip(sides, filter_size, strict=True):
        if not isinstance(side, str) and max(side) >= size:
            raise KernelError(f"padding is {padding}; expected less than the filter, {filter_size}")
    window = place_window((x.shape[1], x.shape[2]), filter_size, stride, (1, 1), sides)
    elements = min(filter_size[0], x.shape[1]) * min(filter_size[1], x.shape[2])
    if elements > MAX_WINDOW[x.dtype.name]:
        raise KernelError(f"windows hold {elements} elements; the limit is {MAX_WINDOW[x.dtype.name]}")
    call = pool_call(
        kind,
        x.dtype.name,
        input_shape=x.shape,
        output_size=window[:2],
        filter_size=filter_size,
        stride=stride,
        padding=window[2:],
        **activation_bounds(x.dtype, *bounds),
    )
    return run(call, [x], (x.shape[0], *window[:2], x.shape[3]), x.dtype)
