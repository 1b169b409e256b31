"""Tables of real functions on quantized values: what EXP, LOG and their like are lowered to.

Source of the rules: TFLite ``kernels/internal/common.h`` (LUTPopulate).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantcore.kernels._core import KernelCall
from quantcore.kernels.interpolate import interpolate_call
from quantcore.kernels.lookup import lookup_call
from quantcore.ops.registry import Node, Operand
from quantcore.ops.requant import type_bounds

__all__ = ["byte_table", "knot_table", "knots", "lower_table"]

Function = Callable[[np.ndarray], np.ndarray]


def round_half_away(x: np.ndarray) -> np.ndarray:
    """Return C's ``round``; a NaN stays."""
    whole = np.trunc(x)
    rounded: np.ndarray = np.where(np.abs(x - whole) >= 0.5, whole + np.copysign(x.dtype.type(1), x), whole)
    return rounded


def byte_table(function: Function, x: Operand, y: Operand, *, xnnpack: bool = False) -> np.ndarray:
    """Return the output for each byte q: ``round(f(s * (q - z)) * (1 / s_out)) + z_out``, clamped.

    Every step is rounded to float32. XNNPACK adds the zero point before it rounds to a whole number.
    """
    qmin, qmax = type_bounds(x.dtype)
    every = np.arange(256, dtype=np.uint8).view(x.dtype).astype(np.int32)
    real = function(np.float32(x.scale) * (every - x.zero_point).astype(np.float32))
    with np.errstate(all="ignore"):
        scaled = real * (np.float32(1) / np.float32(y.scale))
        zero_point = np.float32(y.zero_point)
        rescaled = round_half_away(scaled + zero_point) if xnnpack else round_half_away(scaled) + zero_point
    table: np.ndarray = np.clip(np.trunc(rescaled), qmin, qmax).astype(x.dtype)
    return table


def knot_table(function: Function, x: Operand, y: Operand) -> np.ndarray:
    """Return the 513 knots of an int16 function, every 128 inputs, in float32 arithmetic."""
    low, high = (np.float32(x.scale) * np.float32(v) for v in (-32768, 32767))
    return knots(function, low, high, np.float32(y.scale))


def knots(function: Function, low: np.floating, high: np.floating, output_scale: np.floating) -> np.ndarray:
    """Return 513 int16 knots of `function` over [low, high], in the arithmetic of the arguments' type.

    A knot is moved by half the error that the line to its neighbour has halfway.
    """
    kind = type(low)
    step = (high - low) / kind(512)
    index = np.arange(512).astype(kind)
    with np.errstate(all="ignore"):
        inverse = kind(65536) / (output_scale * kind(32767) - output_scale * kind(-32768))
        here = function(low + index * step) * inverse
        halfway = function(low + index * step + step / kind(2)) * inverse
        after = function(low + (index + kind(1)) * step) * inverse
        line = round_half_away((after + round_half_away(here)) / kind(2))
        bias = round_half_away((line - round_half_away(halfway)) / kind(2))
        inner = round_half_away(here) - bias
        last = round_half_away(function(np.array([high], kind)) * inverse)
    # infinity minus infinity, where the function overflows: C's clamp passes a NaN, and x86 converts it to 0
    both = np.concatenate([inner, last])
    return np.clip(np.where(np.isnan(both), 0, both), -32768, 32767).astype(np.int16)


def lower_table(node: Node, function: Function, *, lowest: int = -(2**15)) -> KernelCall:
    """Lower ``y = function(x)`` on 8 bits or int16; `lowest` is the least int16 input that is allowed."""
    x, y = node.input(0), node.output
    if x.dtype in ("int8", "uint8"):
        return lookup_call(
            count=x.count, table=byte_table(function, x, y, xnnpack=node.rule.form == "xnnpack")
        )
    return interpolate_call(count=x.count, table=knot_table(function, x, y), lowest=lowest)
