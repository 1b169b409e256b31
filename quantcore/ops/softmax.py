"""SOFTMAX."""

from __future__ import annotations

import math

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import _softmax as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.operands import check_dtypes, check_operands, per_tensor
from quantcore.ops.registry import Node, operator

__all__ = ["softmax_scaling"]

DTYPES = ("int8", "uint8", "float32")
INTEGER_BITS = 5  # scaled differences are Q5.26
FRACTION_BITS = 31 - INTEGER_BITS
MAX_WIDE_DEPTH = 8191  # as many exps of 1 fit the sum of Q12.19, unsigned
MAX_MULTIPLIER = 2.0**31 - 1  # larger ones make every exp but that of the maximum 0, as this one does


def softmax_scaling(real_multiplier: float) -> tuple[int, int, int]:
    """Return ``(multiplier, left_shift, diff_min)`` for ``beta * input scale * 2**26``.

    `diff_min` is the lowest difference to the maximum that fits Q5.26 after scaling
    (TFLite quantization_util.cc: PreprocessSoftmaxScaling, CalculateInputRadius).
    """
    multiplier, left_shift = quantize_multiplier(min(real_multiplier, MAX_MULTIPLIER))
    largest = (2**INTEGER_BITS - 1) * 2**FRACTION_BITS
    return int(multiplier), int(left_shift), -(largest >> int(left_shift))


def softmax_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"input": beta * s_input * 2**26}``, which makes a difference of inputs a Q5.26 number."""
    if node.output.dtype == "float32":
        return {}
    beta = np.float64(np.float32(node.options.get("beta", 0.0)))
    return {"input": np.array([beta * np.float64(node.input(0).scale) * 2.0**FRACTION_BITS])}


@operator("SOFTMAX", dtypes=DTYPES, max_version=3, page="softmax", multipliers=softmax_multipliers)
def lower_softmax(node: Node) -> KernelCall:
    """Lower SOFTMAX over the last dimension."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, DTYPES, x)
    check_dtypes(node, (dtype,) if dtype == "float32" else (dtype, "int16"), y)
    if not x.shape:
        raise node.refuse("input is a scalar; expected at least one dimension")
    y.shape = x.shape
    rows, depth = math.prod(x.shape[:-1]), x.shape[-1]
    if depth == 0:
        rows = 0
    if dtype == "float32":
        return kernels.softmax_f32_call(rows=rows, depth=depth, beta=node.options.get("beta", 0.0))
    per_tensor(node, x, y)
    if y.dtype == "int8" and (y.zero_point != -128 or not abs(256 * float(y.scale) - 1) <= 0.001):
        raise node.refuse(
            f"output has scale {y.scale} and zero point {y.zero_point}; int8 expects 1/256 and -128"
        )
    if y.dtype == "int16" and depth > MAX_WIDE_DEPTH:
        raise node.refuse(
            f"rows have {depth} values; with int16 output at most {MAX_WIDE_DEPTH} are supported"
        )
    (real_multiplier,) = softmax_multipliers(node)["input"]
    if not real_multiplier > 1:
        raise node.refuse(
            f"beta * input scale is {real_multiplier / 2.0**FRACTION_BITS:g}; expected more than 2**-26 "
            "(TFLite aborts otherwise)"
        )
    multiplier, left_shift, diff_min = softmax_scaling(float(real_multiplier))
    return kernels.softmax_call(
        dtype,
        y.dtype,
        rows=rows,
        depth=depth,
        multiplier=multiplier,
        left_shift=left_shift,
        diff_min=diff_min,
    )
