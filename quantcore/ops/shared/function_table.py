"""Tables of real functions on quantized values: what EXP, LOG and their like are lowered to.

Source of the rules: TFLite ``kernels/internal/common.h`` (LUTPopulate).
"""

from __future__ import annotations

import numpy as np

from quantcore.kernels._core import KernelCall
from quantcore.kernels.interpolate import interpolate_call
from quantcore.kernels.knots import Function, knots, on_arrays
from quantcore.kernels.lookup import lookup_call
from quantcore.kernels.unary import unary_call
from quantcore.ops.node import Node, Operand
from quantcore.ops.shared.operands import check_scales, unary_operands
from quantcore.ops.shared.requant import type_bounds
from quantcore.rounding import round_half_away

__all__ = ["lower_function", "lower_table"]


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


def lower_table(node: Node, function: Function, *, lowest: int = -(2**15)) -> KernelCall:
    """Lower ``y = function(x)`` on 8 bits or int16; `lowest` is the least int16 input that is allowed."""
    x, y = node.input(0), node.output
    if x.dtype in ("int8", "uint8"):
        return lookup_call(
            count=x.count, table=byte_table(function, x, y, xnnpack=node.rule.form == "xnnpack")
        )
    return interpolate_call(count=x.count, table=knot_table(function, x, y), lowest=lowest)


def lower_function(node: Node, function: str, *, on_floats: str | None = None) -> KernelCall:
    """Lower a function of `quantcore.kernels.unary` to a table, or to itself (or `on_floats`) on float32."""
    x, y, dtype = unary_operands(node)
    if dtype == "float32":
        return unary_call(on_floats or function, dtype, count=x.count)
    check_scales(node, x, y)
    return lower_table(node, on_arrays(function))
