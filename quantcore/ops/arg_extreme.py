"""ARG_MAX and ARG_MIN."""

from __future__ import annotations

import math

from quantcore.kernels import arg_extreme as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import known_axis
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.version_rules import by_dtype

KERNEL_DTYPE = {"int8": "int8", "uint8": "uint8", "int32": "int32", "float32": "float32", "bool": "uint8"}


@operator(
    "ARG_MAX",
    "ARG_MIN",
    dtypes=tuple(KERNEL_DTYPE),
    max_version=3,
    registered={"BUILTIN_REF": 2},
    version=by_dtype(int8=2, bool=3),
    int16x8_version={"ARG_MAX": 2},
    rules={"optimized": {"int32, int64": Rule()}, "tflm": {"int32": Rule()}},
    quantization=OWN_SCALE_INT8,
)
def lower_arg_extreme(node: Node) -> KernelCall:
    """Lower ARG_MAX and ARG_MIN; the axis must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, KERNEL_DTYPE, x)
    check_dtypes(node, ("int32", "int64"), y)
    axis = known_axis(node, 1, len(x.shape))
    if x.shape[axis] == 0:
        raise node.refuse(
            f"dimension {axis} of the input's shape {x.shape} is empty; it has no largest element"
        )
    y.shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return kernels.arg_extreme_call(
        KERNEL_DTYPE[x.dtype],
        outer=math.prod(x.shape[:axis]),
        axis=x.shape[axis],
        inner=math.prod(x.shape[axis + 1 :]),
        smallest=node.op.op == "ARG_MIN",
        wide=y.dtype == "int64",
    )
