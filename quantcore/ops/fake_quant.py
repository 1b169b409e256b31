"""FAKE_QUANT."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import fake_quant as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import unary_operands


def nudged(low: np.float32, high: np.float32, num_bits: int) -> tuple[np.float32, np.float32, np.float32]:
    """Return the ends of the nudged range and its scale, as TFLite computes them: without flushing."""
    last = np.float32(2**num_bits - 1)
    with np.errstate(all="ignore"):
        scale = (high - low) / last
        exact = -low / scale
        inside = np.floor(np.float64(exact) + 0.5) if exact <= last else last
        zero = np.float32(inside if exact >= 0 else 0)  # also where it is NaN
        return (np.float32(0) - zero) * scale, (last - zero) * scale, scale


@operator(
    "FAKE_QUANT",
    dtypes=("float32",),
    max_version=2,
    version=lambda node: 2 if node.options["narrow_range"] else 1,
    rules={"optimized": {"float32": Rule()}},
)
def lower_fake_quant(node: Node) -> KernelCall:
    """Lower FAKE_QUANT; TFLite refuses a narrow range."""
    x, _, _ = unary_operands(node)
    options = node.options
    low, high, num_bits = np.float32(options["min"]), np.float32(options["max"]), options["num_bits"]
    if options["narrow_range"]:
        raise node.refuse("narrow_range is set; TFLite runs FAKE_QUANT without it only")
    if not 2 <= num_bits <= 16:
        raise node.refuse(f"num_bits is {num_bits}; expected 2 to 16")
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise node.refuse(f"the range is [{low}, {high}]; expected finite ends, min <= max")
    low, high, scale = nudged(low, high, num_bits)
    return kernels.fake_quant_lite_call(count=x.count, low=low, high=high, scale=scale)
