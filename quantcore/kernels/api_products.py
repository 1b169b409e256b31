"""FULLY_CONNECTED and BATCH_MATMUL on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._batch_matmul import batch_matmul_call
from quantcore.kernels._fully_connected import fully_connected_call
from quantcore.kernels.arguments import (
    EIGHT_BITS,
    QUANTIZED,
    check_offset,
    contiguous_input,
    run,
    sum_form,
    sum_requant,
)
from quantcore.kernels.matmul_shape import matmul_shape
from quantcore.kernels.sum_bound import sum_bound

__all__ = ["batch_matmul", "fully_connected"]


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
    x = contiguous_input("input", input, QUANTIZED)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise KernelError(f"input has shape {x.shape}; expected (..., depth) and (units, depth)")
    depth = x.shape[-1]
    w_dtype = np.dtype("uint8" if x.dtype == np.uint8 else "int8")
    w = _filter(filter, w_dtype.name, depth, filter_bits)
    four_bits = w.ndim == 1
    units = w.size * 2 // depth if four_bits else w.shape[0]
    biases, form, rounding = sum_form(x.dtype, bias, units, rounding, wide_without_bias=True)
    offsets = {
        "input_offset": check_offset("input_offset", input_offset, x.dtype),
        "filter_offset": check_offset("filter_offset", filter_offset, w_dtype),
    }
    call = fully_connected_call(
        form,
        batches=x.size // depth,
        depth=depth,
        units=units,
        **offsets,
        sum_bound=None if four_bits else sum_bound(form, w, biases, axis=0, **offsets),
        requant=sum_requant(
            x.dtype, units, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
        four_bits=four_bits,
    )  # fmt: skip
    return run(call, [x, w, biases], (*x.shape[:-1], units), x.dtype)


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
    shape, output_shape = matmul_shape(a.shape, b.shape, adj_x, adj_y)
    if a.dtype == np.int16 and (lhs_offset or rhs_offset):
        raise KernelError(f"lhs_offset is {lhs_offset} and rhs_offset {rhs_offset}; expected 0 for int16")
    _, _, rounding = sum_form(a.dtype, None, 1, rounding, wide_without_bias=True)
    call = batch_matmul_call(
        a.dtype.name,
        shape,
        lhs_offset=check_offset("lhs_offset", lhs_offset, a.dtype),
        rhs_offset=check_offset("rhs_offset", rhs_offset, b.dtype),
        requant=sum_requant(
            a.dtype, 1, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return run(call, [a, b], output_shape, a.dtype)
