"""CUMSUM."""

from __future__ import annotations

import math

from quantcore.kernels import scan as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import empty_call, known_axis
from quantcore.ops.shared.operands import check_dtypes, check_operands


@operator(
    "CUMSUM",
    dtypes=("float32", "int32", "int64"),
    max_version=1,
    rules={"optimized": {"float32, int32, int64": Rule()}, "tflm": {"float32": Rule()}},
)
def lower_cumsum(node: Node) -> KernelCall:
    """Lower CUMSUM; the axis must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    axis = known_axis(node, 1, len(x.shape))
    y.shape = x.shape
    if y.count == 0:
        return empty_call()
    return kernels.cumsum_call(
        x.dtype,
        outer=math.prod(x.shape[:axis]),
        size=x.shape[axis],
        inner=math.prod(x.shape[axis + 1 :]),
        exclusive=node.options["exclusive"],
        reverse=node.options["reverse"],
    )
