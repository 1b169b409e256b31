"""L2_NORMALIZATION."""

from __future__ import annotations

import math
from dataclasses import replace

from quantcore.kernels import l2_normalization as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_fixed_output, per_tensor, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import check_no_activation
from quantcore.ops.shared.version_rules import by_dtype

OUTPUTS = {"int8": (1 / 128, 0), "uint8": (1 / 128, 128)}  # scale and zero point
MAX_DEPTH = (2**31 - 1) // 255**2  # whose sum of squares fits int32


@operator(
    "L2_NORMALIZATION",
    dtypes=("int8", "uint8", "float32"),
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    rules={"optimized": {"float32, int8, uint8": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=replace(OWN_SCALE_INT8, fixed_output={"int8": OUTPUTS["int8"]}),
)
def lower_l2_normalization(node: Node) -> KernelCall:
    """Lower L2_NORMALIZATION along the last dimension."""
    x, y, dtype = unary_operands(node)
    check_no_activation(node)
    if not 1 <= len(x.shape) <= 4:
        raise node.refuse(f"input has shape {x.shape}; expected one to four dimensions")
    depth, rows = x.shape[-1], math.prod(x.shape[:-1])
    if dtype == "float32":
        return kernels.l2_normalization_call(dtype, rows=rows, depth=depth)
    per_tensor(node, x, y)
    check_fixed_output(node, *OUTPUTS[dtype])
    if depth > MAX_DEPTH:
        raise node.refuse(f"rows have {depth} elements; at most {MAX_DEPTH} fit a sum of 32 bits")
    return kernels.l2_normalization_call(dtype, rows=rows, depth=depth, input_zero_point=x.zero_point)
