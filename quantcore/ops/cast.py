"""CAST."""

from __future__ import annotations

from quantcore.kernels import cast as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.affine import dequantize_call
from quantcore.ops.operands import check_packed
from quantcore.ops.registry import Node, operator


@operator("CAST", dtypes=("any",), max_version=8, page="cast")
def lower_cast(node: Node) -> KernelCall:
    """Lower CAST between booleans, integers and floats; quantization parameters are not looked at."""
    x, y = node.input(0), node.output
    if (x.dtype, y.dtype) == ("int4", "float32"):
        check_packed(node, x)
        y.shape = x.shape
        return dequantize_call("int4", inner=x.count, scale=1.0, zero_point=0)
    for operand in (x, y):
        if operand.dtype not in kernels.DTYPE_CODE:
            known = ", ".join(kernels.DTYPE_CODE)
            raise node.refuse(f"tensor {operand.index} has dtype {operand.dtype}; supported: {known}")
    y.shape = x.shape
    return kernels.cast_call(x.dtype, y.dtype, count=x.count, saturates=node.rule.form == "saturating")
