"""SOFTMAX on arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._softmax import MAX_SUMMANDS, softmax_call, softmax_s16_call
from quantcore.kernels.arguments import QUANTIZED, check_range, contiguous_input, fixed_point, run
from quantcore.kernels.knots import softmax_tables

__all__ = ["softmax"]

KNOTS = 513


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
    x = contiguous_input("input", input, QUANTIZED)
    if x.ndim == 0:
        raise KernelError("input is a scalar; expected at least one dimension")
    name = x.dtype.name
    output_dtype = name if output_dtype is None else output_dtype
    if output_dtype not in (name, "int16"):
        raise KernelError(f"output_dtype is {output_dtype!r}; expected {name!r} or 'int16'")
    depth = x.shape[-1]
    size = {"rows": math.prod(x.shape[:-1]) if depth else 0, "depth": depth}
    limit = MAX_SUMMANDS[name] if output_dtype == "int16" else depth
    if depth > limit:
        raise KernelError(f"rows have {depth} values; with int16 at most {limit} are supported")
    if name == "int16":
        m, s = fixed_point("", multiplier, shift)
        tables = softmax_tables(np.float32)
        call = softmax_s16_call(
            **size,
            multiplier=m,
            shift=s,
            exp_table=_knots("exp_table", exp_table, tables[0]),
            reciprocal_table=_knots("reciprocal_table", reciprocal_table, tables[1]),
        )
        return run(call, [x], x.shape, output_dtype)
    left_shift = check_range("shift", shift, 0, 31)
    lowest = -((31 * 2**26) >> left_shift) if diff_min is None else diff_min
    call = softmax_call(
        name,
        output_dtype,
        **size,
        multiplier=check_range("multiplier", multiplier, 1 << 30, 2**31 - 1),
        left_shift=left_shift,
        diff_min=check_range("diff_min", lowest, -(2**31), 0),
    )
    return run(call, [x], x.shape, output_dtype)


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
