"""LOGISTIC and TANH."""

from __future__ import annotations

from quantcore.kernels import logistic as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.lookup import lookup_call
from quantcore.ops.operands import check_dtypes, check_operands, per_tensor
from quantcore.ops.registry import Node, operator

DTYPES = ("int8", "uint8", "float32")


def lower_function(node: Node, function: str) -> KernelCall:
    """Lower a function of one real number."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, DTYPES, x, y)
    y.shape = x.shape
    if dtype == "float32":
        return kernels.function_f32_call(function, count=x.count)
    per_tensor(node, x, y)
    if function == "logistic" and y.scale != 1 / 256:
        raise node.refuse(f"output has scale {y.scale}; expected 1/256, as TFLite does")
    if y.scale < 2**-30:
        raise node.refuse(f"output has scale {y.scale}; expected at least 2**-30, below which C is undefined")
    table = kernels.function_table(
        function,
        dtype,
        input_scale=x.scale,
        input_zero_point=x.zero_point,
        output_scale=y.scale,
        output_zero_point=y.zero_point,
    )
    return lookup_call(count=x.count, table=table)


@operator("LOGISTIC", dtypes=DTYPES, max_version=3, page="logistic")
def lower_logistic(node: Node) -> KernelCall:
    """Lower LOGISTIC."""
    return lower_function(node, "logistic")


@operator("TANH", dtypes=DTYPES, max_version=3, page="tanh")
def lower_tanh(node: Node) -> KernelCall:
    """Lower TANH."""
    return lower_function(node, "tanh")
