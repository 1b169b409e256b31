"""CAST."""

from __future__ import annotations

from quantcore.kernels import cast as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.affine import dequantize_call
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_dtypes, check_packed
from quantcore.ops.shared.version_rules import dtype_of

# What TensorFlow Lite Micro converts, each to each
MICRO_DTYPES = ("bool", "int8", "int16", "int32", "uint32", "float32")
MICRO_PAIRS = ", ".join(f"{a}_to_{b}" for a in MICRO_DTYPES for b in MICRO_DTYPES)


def cast_version(node: Node) -> int:
    """Return the version that the newest of both dtypes came with."""
    dtypes = {dtype_of(node, 0), node.output.dtype}
    if dtypes & {"int2", "uint4"}:
        return 8
    if "bfloat16" in dtypes:
        return 7
    if (dtype_of(node, 0), node.output.dtype) == ("int4", "float32"):
        return 6
    versions = {"float64": 5, "float16": 5, "uint16": 4, "int8": 3, "uint32": 2}
    return max(versions.get(dtype, 1) for dtype in dtypes)


@operator(
    "CAST",
    dtypes=("any",),
    max_version=8,
    version=cast_version,
    rules={
        "optimized": {"any": Rule()},
        "tflm": {MICRO_PAIRS: Rule(form="saturating")},
    },
    converts=True,
)
def lower_cast(node: Node) -> KernelCall:
    """Lower CAST between booleans, integers and floats; quantization parameters are not looked at."""
    x, y = node.input(0), node.output
    if (x.dtype, y.dtype) == ("int4", "float32"):
        check_packed(node, x)
        y.shape = x.shape
        return dequantize_call("int4", inner=x.count, scale=1.0, zero_point=0)
    for operand in (x, y):
        check_dtypes(node, kernels.DTYPE_CODE, operand)
    y.shape = x.shape
    return kernels.cast_call(x.dtype, y.dtype, count=x.count, saturates=node.rule.form == "saturating")
