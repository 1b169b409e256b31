"""FULLY_CONNECTED, BATCH_MATMUL and TRANSPOSE_CONV on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._batch_matmul import batch_matmul_call
from quantcore.kernels._fully_connected import fully_connected_call
from quantcore.kernels._transpose_conv import transpose_conv_call
from quantcore.kernels.api_convolution import (
    EIGHT_BITS,
    INT32_MAX,
    Pair,
    channel_requant,
    checked_bias,
    checked_offset,
    pair,
)
from quantcore.kernels.arguments import check_range, contiguous_input
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.elementwise import broadcast_shape
from quantcore.kernels.matmul_shape import matmul_shape
from quantcore.kernels.padding import conv_geometry

__all__ = ["batch_matmul", "fully_connected", "transpose_conv"]

INPUTS = (*EIGHT_BITS, "int16")
MAX_RANK = 5


def fully_connected(
    input: Any,
    filter: Any,
    bias: Any = None,
    *,
    input_offset: int,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    filter_offset: int = 0,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
    filter_bits: int = 8,
) -> np.ndarray:
    """Multiply rows of the input by rows of the filter.

    The arithmetic is that of `conv2d`. TFLite's reference kernel has the rule ``float64`` here, TFLite Micro
    and CMSIS-NN have ``double_rounding``.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (..., depth)
    filter : array_like, shape (units, depth)
        Of the dtype of `input`; int8 for int16. With ``filter_bits=4`` and as many bytes as hold all elements
        (int8 or uint8, any shape), two elements are in a byte, the first in the low half, rows not padded.
    bias : array_like of int32, shape (units,), optional
        With int16, int64 or int32. Sums are int64 for an int64 bias or none, and int32 for an int32 one.
    rounding : str
        As in `conv2d`. Sums in int64 have ``int16_multiplier``, for which ``double_rounding`` stands too, and
        ``float64``.
    filter_bits : {8, 4}

    The other parameters are those of `conv2d`.

    Returns
    -------
    ndarray of the input's dtype, shape (..., units)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/fully_connected.h``, CMSIS-NN ``arm_fully_connected_s8``,
    ``arm_fully_connected_s16``, ``arm_fully_connected_s4``.
    """
    x = contiguous_input("input", input, INPUTS)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise KernelError(f"input has shape {x.shape}; expected (..., depth) and (units, depth)")
    depth = x.shape[-1]
    w_dtype = np.dtype("uint8" if x.dtype == np.uint8 else "int8")
    w = _filter(filter, w_dtype.name, depth, filter_bits)
    four_bits = w.ndim == 1
    units = w.size * 2 // depth if four_bits else w.shape[0]
    b = None
    wide = x.dtype == np.int16 and (bias is None or np.asarray(bias).dtype == np.int64)
    if bias is not None:
        b = checked_bias(bias, units, "int64" if wide else "int32")
    call = fully_connected_call(
        "int16_wide" if wide else x.dtype.name,
        batches=x.size // depth,
        depth=depth,
        units=units,
        input_offset=checked_offset("input_offset", input_offset, x.dtype),
        filter_offset=checked_offset("filter_offset", filter_offset, w_dtype),
        requant=channel_requant(
            x.dtype, units, sum_rounding(rounding, wide), multiplier, shift, real_multiplier, output_offset,
            activation_min, activation_max,
        ),
        four_bits=four_bits,
    )  # fmt: skip
    output = np.empty((*x.shape[:-1], units), x.dtype)
    call([x, w, b], [output])
    return output


def _filter(filter: Any, dtype: str, depth: int, bits: int) -> np.ndarray:
    """Return the filter: two dimensions, or one where it is packed."""
    if bits not in (4, 8):
        raise KernelError(f"filter_bits is {bits}; expected 4 or 8")
    if bits == 4 and dtype == "int8":
        w = contiguous_input("filter", filter, EIGHT_BITS)
        if not (w.ndim == 2 and w.shape[1] == depth and w.dtype == np.int8):
            units = w.size * 2 // depth
            if (units * depth + 1) // 2 != w.size:
                raise KernelError(
                    f"filter has {w.size} bytes of two elements; expected rows of {depth} elements"
                )
            return w.reshape(-1).view(np.uint8)
        if ((w < -8) | (w > 7)).any():
            raise KernelError("filter has elements outside [-8, 7]; expected values of 4 bits")
        return w
    w = contiguous_input("filter", filter, (dtype,), 2)
    if w.shape[1] != depth:
        raise KernelError(
            f"input has rows of {depth}, filter has shape {w.shape}; expected (..., depth) and (units, depth)"
        )
    return w


def sum_rounding(rounding: str, wide: bool) -> str:
    """Return the rule of sums; those in int64 have fewer.

    Raises
    ------
    KernelError
        A rule that sums in int64 do not have.
    """
    if not wide:
        return rounding
    if rounding not in ("double_rounding", "int16_multiplier", "float64"):
        raise KernelError(f"rounding is {rounding!r}; expected int16_multiplier or float64 for sums in int64")
    return "int16_multiplier" if rounding == "double_rounding" else rounding


def batch_matmul(
    lhs: Any,
    rhs: Any,
    *,
    lhs_offset: int = 0,
    rhs_offset: int = 0,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    adj_x: bool = False,
    adj_y: bool = False,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
) -> np.ndarray:
    """Multiply matrices, batch by batch.

    ``y = clamp(rule(sum (lhs + lhs_offset) * (rhs + rhs_offset)) + output_offset)``

    Parameters
    ----------
    lhs : array_like of int8 or int16, shape (..., rows, depth)
        With `adj_x` (..., depth, rows). Two to five dimensions.
    rhs : array_like of the same dtype, shape (..., depth, columns)
        With `adj_y` (..., columns, depth). Batch dimensions broadcast.
    lhs_offset, rhs_offset : int
        Minus the zero points; 0 for int16.
    output_offset, multiplier, shift, activation_min, activation_max, rounding, real_multiplier
        As in `conv2d`, one multiplier. Sums of int16 products are int64: ``int16_multiplier``, for which
        ``double_rounding`` stands too, or ``float64``.

    Returns
    -------
    ndarray of the operands' dtype, shape (..., rows, columns)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/batch_matmul.h``, CMSIS-NN ``arm_batch_matmul_s8``,
    ``arm_batch_matmul_s16``.
    """
    a = contiguous_input("lhs", lhs, ("int8", "int16"))
    b = contiguous_input("rhs", rhs, (a.dtype.name,))
    if not (2 <= a.ndim <= MAX_RANK and 2 <= b.ndim <= MAX_RANK):
        raise KernelError(
            f"operands have shapes {a.shape} and {b.shape}; expected 2 to {MAX_RANK} dimensions each"
        )
    rank = max(a.ndim, b.ndim)
    left, right = ((1,) * (rank - m.ndim) + m.shape for m in (a, b))
    rows, depth = left[-2:][::-1] if adj_x else left[-2:]
    other_depth, columns = right[-2:][::-1] if adj_y else right[-2:]
    if depth != other_depth:
        raise KernelError(
            f"operands have shapes {a.shape} and {b.shape}, adj_x is {adj_x} and adj_y {adj_y}: {depth} "
            f"columns of the left matrix meet {other_depth} rows of the right one"
        )
    batch = broadcast_shape(left[:-2], right[:-2])
    wide = a.dtype == np.int16
    if wide and (lhs_offset or rhs_offset):
        raise KernelError(f"lhs_offset is {lhs_offset} and rhs_offset {rhs_offset}; expected 0 for int16")
    call = batch_matmul_call(
        "s16" if wide else "s8",
        matmul_shape(a.shape, b.shape, adj_x, adj_y),
        lhs_offset=checked_offset("lhs_offset", lhs_offset, a.dtype),
        rhs_offset=checked_offset("rhs_offset", rhs_offset, b.dtype),
        requant=channel_requant(
            a.dtype, 1, sum_rounding(rounding, wide), multiplier, shift, real_multiplier, output_offset,
            activation_min, activation_max,
        ),
    )  # fmt: skip
    output = np.empty((*batch, rows, columns), a.dtype)
    call([a, b], [output])
    return output


def transpose_conv(
    input: Any,
    filter: Any,
    bias: Any = None,
    *,
    input_offset: int,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    output_size: Pair | None = None,
    filter_offset: int = 0,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
) -> np.ndarray:
    """Put a copy of the filter, times the element, into the output for each element of the input.

    ``y = clamp(rule(bias + sum (input + input_offset) * (filter + filter_offset)) + output_offset)``

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (batch, height, width, channels)
    filter : array_like, shape (output channels, height, width, channels)
        Of the dtype of `input`; int8 for int16.
    bias : array_like of int32, shape (output channels,), optional
        With int16, int64 or int32. Sums are int64 for an int64 bias or none, and int32 for an int32 one.
    stride : (int, int)
        Distance of the copies in the output: height, then width.
    padding : {"same", "valid"} or ((int, int), (int, int))
        What is cut off the output: ``((top, bottom), (left, right))``, or as TFLite computes it.
    output_size : (int, int), optional
        Height and width of the output. By default ``input * stride`` for "same", else what the copies fill,
        without the padding.
    rounding : str
        As in `fully_connected`.

    The other parameters are those of `conv2d`.

    Returns
    -------
    ndarray of the input's dtype, shape (batch, output height, output width, output channels)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/transpose_conv.h``, CMSIS-NN ``arm_transpose_conv_s8``.
    """
    x = contiguous_input("input", input, INPUTS, 4)
    w = contiguous_input("filter", filter, ("uint8" if x.dtype == np.uint8 else "int8",), 4)
    if 0 in x.shape[1:] or 0 in w.shape or x.shape[3] != w.shape[3]:
        raise KernelError(
            f"input and filter have shapes {x.shape} and {w.shape}; expected no zero, and the same channels"
        )
    channels = w.shape[0]
    wide = x.dtype == np.int16 and (bias is None or np.asarray(bias).dtype == np.int64)
    if x.dtype == np.int16 and (input_offset or filter_offset):
        raise KernelError(
            f"input_offset is {input_offset} and filter_offset {filter_offset}; expected 0 for int16"
        )
    b = None if bias is None else checked_bias(bias, channels, "int64" if wide else "int32")
    rule = sum_rounding(rounding, wide)
    shape = _transpose_shape(x.shape, w.shape, pair("stride", stride), padding, output_size)
    form = {"int8": "s8", "uint8": "u8", "int16": "s16_wide" if wide else "s16"}[x.dtype.name]
    call = transpose_conv_call(
        form,
        shape,
        inputs=4,
        has_bias=b is not None,
        input_offset=checked_offset("input_offset", input_offset, x.dtype),
        filter_offset=checked_offset("filter_offset", filter_offset, w.dtype),
        flat=False,
        requant=channel_requant(
            x.dtype, channels, rule, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    output = np.empty((shape.batches, shape.output_height, shape.output_width, channels), x.dtype)
    call([None, w, x, b], [output])
    return output


def _transpose_shape(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: Pair,
    padding: str | Sequence[Pair],
    output_size: Pair | None,
) -> ConvShape:
    """Return the geometry of a transposed convolution."""
    given = None if output_size is None else pair("output_size", output_size)
    if not isinstance(padding, str) and np.shape(padding) != (2, 2):
        raise KernelError(f"padding is {padding}; expected 'same', 'valid' or ((top, bottom), (left, right))")
    sizes, pads = [], []
    for axis in range(2):
        size, filter_size, step = x[1 + axis], w[1 + axis], stride[axis]
        filled = (size - 1) * step + filter_size
        if isinstance(padding, str):
            same = padding.lower() == "same"
            output = given[axis] if given is not None else size * step if same else filled
            before = conv_geometry(output, filter_size, step, 1, padding)[1] if same else 0
            if not same and padding.lower() != "valid":
                raise KernelError(f"padding is {padding!r}; expected 'same' or 'valid'")
        else:
            before = check_range("padding", padding[axis][0], 0, INT32_MAX)
            after = check_range("padding", padding[axis][1], 0, INT32_MAX)
            output = given[axis] if given is not None else filled - before - after
        sizes.append(check_range("output_size", output, 1, INT32_MAX))
        pads.append(before)
    if x[0] * sizes[0] * sizes[1] * w[0] > INT32_MAX:
        raise KernelError(f"the output has size {sizes} and {w[0]} channels; the limit is 2**31 - 1 elements")
    return ConvShape._make((*x, *w[1:3], *sizes, w[0], *stride, 1, 1, *pads))
