"""Functions of 16-bit values as 513 knots with lines between.

Source of the rule: TFLite ``kernels/internal/common.h`` (LUTPopulateInt16).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from quantcore.kernels.unary import unary_call
from quantcore.rounding import round_half_away

__all__ = ["Function", "knots", "on_arrays", "softmax_tables"]

Function = Callable[[np.ndarray], np.ndarray]


def on_arrays(function: str) -> Function:
    """Return a C function of `quantcore.kernels.unary` on float32 arrays: NumPy's differ in the last bit."""

    def apply(values: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(values, np.float32)
        y = np.empty_like(x)
        unary_call(function, "float32", count=x.size)([x], [y])
        return y

    return apply


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


def softmax_tables(kind: type[np.floating] = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Return the int16 tables of exp over [-10, 0] and of 1 / (1 + a) over [0, 1], of 513 knots each.

    `kind` is the type that they are computed in: float64 in TFLite, float32 in TFLite Micro and CMSIS-NN.
    """
    exp = on_arrays("EXP") if kind is np.float32 else np.vectorize(math.exp, otypes=[np.float64])
    step, output_scale = kind(10) / kind(65535), kind(2) / kind(65535)
    exps = knots(exp, step * kind(-65535), kind(0), output_scale)
    return exps, knots(
        lambda a: kind(1) / (kind(1) + a), kind(0), kind(1) / kind(65535) * kind(65535), output_scale
    )
