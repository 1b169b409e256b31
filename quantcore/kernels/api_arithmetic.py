"""ADD, SUB, MUL, MAXIMUM and MINIMUM on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.kernels._core import Requant
from quantcore.kernels.arguments import (
    QUANTIZED,
    activation_bounds,
    check_range,
    contiguous_input,
    fixed_point,
    most_shift,
    run,
)
from quantcore.kernels.elementwise import add_call, broadcast_shape, mul_call, selection_call

__all__ = ["add", "maximum", "minimum", "mul", "sub"]


def _two_inputs(input1: Any, input2: Any) -> tuple[list[np.ndarray], dict[str, Any], tuple[int, ...]]:
    """Return both inputs, contiguous and of one dtype, their shapes as arguments, and that of the output."""
    a = contiguous_input("input1", input1, QUANTIZED)
    b = contiguous_input("input2", input2, (a.dtype.name,))
    return [a, b], {"shape1": a.shape, "shape2": b.shape}, broadcast_shape(a.shape, b.shape)


def _sum(op: str, input1: Any, input2: Any, arguments: dict[str, Any]) -> np.ndarray:
    inputs, shapes, shape = _two_inputs(input1, input2)
    dtype = inputs[0].dtype
    left_shift, limit = (15, 32768) if dtype == np.int16 else (20, 255)
    if arguments["left_shift"] is not None:
        left_shift = check_range("left_shift", arguments["left_shift"], 0, left_shift)
    checked = activation_bounds(dtype, arguments["activation_min"], arguments["activation_max"])
    for role in ("input1", "input2", "output"):
        checked[f"{role}_offset"] = check_range(f"{role}_offset", arguments[f"{role}_offset"], -limit, limit)
        checked[f"{role}_multiplier"], checked[f"{role}_shift"] = fixed_point(
            f"{role}_", arguments[f"{role}_multiplier"], arguments[f"{role}_shift"], 0
        )
    return run(add_call(op, dtype.name, **shapes, left_shift=left_shift, **checked), inputs, shape, dtype)


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
    inputs, shapes, shape = _two_inputs(input1, input2)
    dtype = inputs[0].dtype
    limit = 0 if dtype == np.int16 else 255
    requant = Requant(
        rounding,
        *fixed_point("", multiplier, shift, most_shift(rounding)),
        output_offset=check_range("output_offset", output_offset, -limit, limit),
        **activation_bounds(dtype, activation_min, activation_max),
    )
    call = mul_call(
        dtype.name,
        **shapes,
        input1_offset=check_range("input1_offset", input1_offset, -limit, limit),
        input2_offset=check_range("input2_offset", input2_offset, -limit, limit),
        requant=requant,
    )
    return run(call, inputs, shape, dtype)


def _select(op: str, input1: Any, input2: Any) -> np.ndarray:
    inputs, shapes, shape = _two_inputs(input1, input2)
    dtype = inputs[0].dtype
    return run(selection_call(op, dtype.name, **shapes), inputs, shape, dtype)


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
