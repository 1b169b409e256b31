"""ADD, SUB, MUL, MAXIMUM, MINIMUM, pools and SOFTMAX on arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import Requant
from quantcore.kernels._softmax import softmax_call, softmax_s16_call
from quantcore.kernels.arguments import activation_bounds, check_range, contiguous_input, fixed_point
from quantcore.kernels.elementwise import add_call, broadcast_shape, mul_call, selection_call
from quantcore.kernels.knots import softmax_tables
from quantcore.kernels.padding import Padding, conv_geometry
from quantcore.kernels.pool import pool_call

__all__ = ["add", "average_pool2d", "max_pool2d", "maximum", "minimum", "mul", "softmax", "sub"]

EIGHT_BITS = ("int8", "uint8")
KNOTS = 513
MAX_SUMMANDS = {"int8": 8191, "uint8": 8191, "int16": 65535}  # exps of 1 that sums for an int16 output hold
QUANTIZED = (*EIGHT_BITS, "int16")
POOLED = (*EIGHT_BITS, "int16")
MAX_WINDOW = {"int8": 2**23, "uint8": 2**23, "int16": 2**15}  # elements whose sum int32 holds


def _two_inputs(input1: Any, input2: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both inputs, contiguous and of one dtype, and the uninitialized output."""
    a = contiguous_input("input1", input1, QUANTIZED)
    b = contiguous_input("input2", input2, (a.dtype.name,))
    return a, b, np.empty(broadcast_shape(a.shape, b.shape), a.dtype)


def _sum(op: str, input1: Any, input2: Any, arguments: dict[str, Any]) -> np.ndarray:
    a, b, output = _two_inputs(input1, input2)
    left_shift, limit = (15, 32768) if a.dtype == np.int16 else (20, 255)
    if arguments["left_shift"] is not None:
        left_shift = check_range("left_shift", arguments["left_shift"], 0, left_shift)
    checked = {}
    for role in ("input1", "input2", "output"):
        checked[f"{role}_offset"] = check_range(f"{role}_offset", arguments[f"{role}_offset"], -limit, limit)
        checked[f"{role}_multiplier"], checked[f"{role}_shift"] = fixed_point(
            f"{role}_", arguments[f"{role}_multiplier"], arguments[f"{role}_shift"], 0
        )
    low, high = activation_bounds(a.dtype, arguments["activation_min"], arguments["activation_max"])
    add_call(
        op,
        a.dtype.name,
        shape1=a.shape,
        shape2=b.shape,
        left_shift=left_shift,
        activation_min=low,
        activation_max=high,
        **checked,
    )([a, b], [output])
    return output


def add(
    input1: Any,
    input2: Any,
    *,
    input1_offset: int,
    input1_multiplier: int,
    input1_shift: int,
    input2_offset: int,
    input2_multiplier: int,
    input2_shift: int,
    output_offset: int,
    output_multiplier: int,
    output_shift: int,
    left_shift: int | None = None,
    activation_min: int | None = None,
    activation_max: int | None = None,
) -> np.ndarray:
    """Add two quantized arrays, which broadcast.

    With ``scaled(q, offset, m, s)`` the fixed-point product of ``(q + offset) << left_shift``:
    ``y = clamp(scaled(scaled(q1, ...) + scaled(q2, ...)) + output_offset)``. The usual multipliers are
    ``s1 / (2 * max(s1, s2))``, the like for input 2, and ``2 * max(s1, s2) / (2**left_shift * s)``.

    Parameters
    ----------
    input1, input2 : array_like of int8, uint8 or int16
        Of one dtype.
    input1_offset, input2_offset : int
        In [-255, 255]; int16: [-32768, 32768].
    input1_multiplier, input2_multiplier, output_multiplier : int
        0, or in [2**30, 2**31).
    input1_shift, input2_shift, output_shift : int
        In [-31, 0].
    output_offset : int
    left_shift : int, optional
        In [0, 20], by default 20; int16: in [0, 15], by default 15.
    activation_min, activation_max : int, optional
        Bounds of the output; default: those of the dtype.

    Returns
    -------
    ndarray of the inputs' dtype

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not broadcast.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/add.h``, CMSIS-NN ``arm_elementwise_add_s8``
    and ``arm_elementwise_add_s16``.
    """
    arguments = dict(locals())
    return _sum("add", arguments.pop("input1"), arguments.pop("input2"), arguments)


def sub(
    input1: Any,
    input2: Any,
    *,
    input1_offset: int,
    input1_multiplier: int,
    input1_shift: int,
    input2_offset: int,
    input2_multiplier: int,
    input2_shift: int,
    output_offset: int,
    output_multiplier: int,
    output_shift: int,
    left_shift: int | None = None,
    activation_min: int | None = None,
    activation_max: int | None = None,
) -> np.ndarray:
    """Subtract the second of two quantized arrays, which broadcast, from the first.

    Parameters, results and errors are those of `add`. TFLite ``kernels/internal/reference/sub.h``.
    """
    arguments = dict(locals())
    return _sum("sub", arguments.pop("input1"), arguments.pop("input2"), arguments)


def mul(
    input1: Any,
    input2: Any,
    *,
    input1_offset: int,
    input2_offset: int,
    output_offset: int,
    multiplier: int,
    shift: int,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
) -> np.ndarray:
    """Multiply two quantized arrays, which broadcast.

    ``y = clamp(requantize((q1 + input1_offset) * (q2 + input2_offset)) + output_offset)``.

    Parameters
    ----------
    input1, input2 : array_like of int8, uint8 or int16
        Of one dtype.
    input1_offset, input2_offset, output_offset : int
        In [-255, 255]; int16: 0.
    multiplier, shift : int
        Of ``s1 * s2 / s``: 0 or in [2**30, 2**31); in [-31, 31].
    activation_min, activation_max : int, optional
        Bounds of the output; default: those of the dtype.
    rounding : str
        Requantization rule: ``double_rounding``, ``ruy`` or ``single_rounding``.

    Returns
    -------
    ndarray of the inputs' dtype

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not broadcast.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/mul.h``, CMSIS-NN ``arm_elementwise_mul_s8``
    and ``arm_elementwise_mul_s16``.
    """
    a, b, output = _two_inputs(input1, input2)
    limit = 0 if a.dtype == np.int16 else 255
    m, s = fixed_point("", multiplier, shift, 30 if rounding == "single_rounding" else 31)
    low, high = activation_bounds(a.dtype, activation_min, activation_max)
    requant = Requant(
        rounding,
        m,
        s,
        output_offset=check_range("output_offset", output_offset, -limit, limit),
        activation_min=low,
        activation_max=high,
    )
    mul_call(
        a.dtype.name,
        shape1=a.shape,
        shape2=b.shape,
        input1_offset=check_range("input1_offset", input1_offset, -limit, limit),
        input2_offset=check_range("input2_offset", input2_offset, -limit, limit),
        requant=requant,
    )([a, b], [output])
    return output


def _select(op: str, input1: Any, input2: Any) -> np.ndarray:
    a, b, output = _two_inputs(input1, input2)
    selection_call(op, a.dtype.name, shape1=a.shape, shape2=b.shape)([a, b], [output])
    return output


def maximum(input1: Any, input2: Any) -> np.ndarray:
    """Return the greater of two quantized arrays of the same scale, which broadcast, element by element.

    Parameters
    ----------
    input1, input2 : array_like of int8, uint8 or int16
        Of one dtype.

    Returns
    -------
    ndarray of the inputs' dtype

    Raises
    ------
    KernelError
        Another dtype, or shapes that do not broadcast.

    Notes
    -----
    TFLite ``kernels/maximum_minimum.cc``, CMSIS-NN ``arm_maximum_s8``.
    """
    return _select("maximum", input1, input2)


def minimum(input1: Any, input2: Any) -> np.ndarray:
    """Return the lesser of two quantized arrays of the same scale, which broadcast, element by element.

    Parameters, results and errors are those of `maximum`. CMSIS-NN ``arm_minimum_s8``.
    """
    return _select("minimum", input1, input2)


def _pool(
    kind: str,
    input: Any,
    filter_size: tuple[int, int],
    stride: tuple[int, int],
    padding: str | tuple[tuple[int, int], tuple[int, int]],
    bounds: tuple[int | None, int | None],
) -> np.ndarray:
    x = contiguous_input("input", input, POOLED, rank=4)
    sides: tuple[Padding, Padding] = (padding, padding) if isinstance(padding, str) else padding
    size, before = [], []
    for axis in range(2):
        side = sides[axis]
        if not isinstance(side, str) and max(side) >= filter_size[axis]:
            raise KernelError(f"padding is {padding}; expected less than the filter, {filter_size}")
        out, pad = conv_geometry(x.shape[1 + axis], filter_size[axis], stride[axis], 1, side)
        size.append(out)
        before.append(pad)
    window = min(filter_size[0], x.shape[1]) * min(filter_size[1], x.shape[2])
    if window > MAX_WINDOW[x.dtype.name]:
        raise KernelError(f"windows hold {window} elements; the limit is {MAX_WINDOW[x.dtype.name]}")
    low, high = activation_bounds(x.dtype, *bounds)
    output = np.empty((x.shape[0], *size, x.shape[3]), x.dtype)
    pool_call(
        kind,
        x.dtype.name,
        input_shape=x.shape,
        output_size=size,
        filter_size=filter_size,
        stride=stride,
        padding=before,
        activation_min=low,
        activation_max=high,
    )([x], [output])
    return output


def average_pool2d(
    input: Any,
    *,
    filter_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "valid",
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
    filter_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "valid",
    activation_min: int | None = None,
    activation_max: int | None = None,
) -> np.ndarray:
    """Take the maximum of windows of a quantized image.

    Parameters, results and errors are those of `average_pool2d`. TFLite
    ``kernels/internal/reference/integer_ops/pooling.h``, CMSIS-NN ``arm_max_pool_s8`` and ``_s16``.
    """
    return _pool("max", input, filter_size, stride, padding, (activation_min, activation_max))


def softmax(
    input: Any,
    *,
    multiplier: int,
    shift: int,
    diff_min: int | None = None,
    output_dtype: str | None = None,
    exp_table: Any = None,
    reciprocal_table: Any = None,
) -> np.ndarray:
    """Return the softmax over the last dimension.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16
        At least one dimension.
    multiplier, shift : int
        8 bits: of ``beta * input scale * 2**26``, in [2**30, 2**31) and [0, 31]. int16: of
        ``beta * input scale * 65535 / 10``, 0 or in [2**30, 2**31), and in [-31, 31].
    diff_min : int, optional
        8 bits: differences to the maximum of a row below this (at most 0) count as exp = 0. Default:
        ``-((31 * 2**26) >> shift)``.
    output_dtype : str, optional
        The input's dtype (default), or "int16".
    exp_table, reciprocal_table : array_like of int16, shape (513,), optional
        int16: knots of exp over [-10, 0] and of 1 / (1 + a) over [0, 1], in Q0.15; at least 0. Default:
        those of CMSIS-NN and TFLite Micro; TFLite's own, computed in float64, differ in two knots.

    Returns
    -------
    ndarray of the input's shape
        8 bits: scale 1/256, the dtype's lowest value as zero point. int16: scale 1/32768 and zero point 0,
        but of an 8-bit input 1/65536 and -32768.

    Raises
    ------
    KernelError
        An argument outside its range.

    Notes
    -----
    TFLite ``kernels/internal/reference/softmax.h``; CMSIS-NN ``arm_softmax_s8``, ``_u8``, ``_s8_s16`` and
    ``_s16``.
    """
    x = contiguous_input("input", input, POOLED)
    if x.ndim == 0:
        raise KernelError("input is a scalar; expected at least one dimension")
    name = x.dtype.name
    output_dtype = name if output_dtype is None else output_dtype
    if output_dtype not in (name, "int16"):
        raise KernelError(f"output_dtype is {output_dtype!r}; expected {name!r} or 'int16'")
    depth = x.shape[-1]
    rows = math.prod(x.shape[:-1]) if depth else 0
    output = np.empty(x.shape, output_dtype)
    limit = MAX_SUMMANDS[name] if output_dtype == "int16" else depth
    if depth > limit:
        raise KernelError(f"rows have {depth} values; with int16 at most {limit} are supported")
    if name == "int16":
        m, s = fixed_point("", multiplier, shift)
        tables = softmax_tables(np.float32)
        softmax_s16_call(
            rows=rows,
            depth=depth,
            multiplier=m,
            shift=s,
            exp_table=_knots("exp_table", exp_table, tables[0]),
            reciprocal_table=_knots("reciprocal_table", reciprocal_table, tables[1]),
        )([x], [output])
        return output
    left_shift = check_range("shift", shift, 0, 31)
    lowest = -((31 * 2**26) >> left_shift) if diff_min is None else diff_min
    softmax_call(
        name,
        output_dtype,
        rows=rows,
        depth=depth,
        multiplier=check_range("multiplier", multiplier, 1 << 30, 2**31 - 1),
        left_shift=left_shift,
        diff_min=check_range("diff_min", lowest, -(2**31), 0),
    )([x], [output])
    return output


def _knots(name: str, value: Any, default: np.ndarray) -> np.ndarray:
    """Return a table of 513 knots that are not negative, so that a sum of exps is one."""
    if value is None:
        return default
    table = contiguous_input(name, value, ("int16",), rank=1)
    if table.shape != (KNOTS,) or table.min() < 0 or table[-1] < 1 << 14:
        raise KernelError(
            f"{name} has shape {table.shape}; expected ({KNOTS},), no value below 0, the last at least 2**14"
        )
    return table.copy()
