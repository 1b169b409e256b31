"""TOPK_V2."""

from __future__ import annotations

import math

from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import index_bytes, known_integer
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import SAME_SCALE_INT8
from quantcore.ops.shared.version_rules import by_dtype


@operator(
    "TOPK_V2",
    dtypes=("float32", "int8", "uint8", "int16", "int32", "int64"),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    rules={"optimized": {"float32, int8, uint8, int16, int32, int64": Rule()}},
    quantization=SAME_SCALE_INT8,
    integer_inputs={1: ShapeInput(lambda x, y: y[-1] if y else 1)},
)
def lower_topk(node: Node) -> KernelCall:
    """Lower TOPK_V2; how many to take must be known before running."""
    check_operands(node, 2, 2)
    x, values, places = node.input(0), node.outputs[0], node.outputs[1]
    check_dtypes(node, node.dtypes, x, values)
    wide = index_bytes(node, places, ("int16", "int32"))
    k = known_integer(node, 1, ("int16", "int32"))
    if not x.shape or not 1 <= k <= x.shape[-1]:
        raise node.refuse(f"takes {k} of each row of an input of shape {x.shape}; expected 1 to all of them")
    values.shape = places.shape = (*x.shape[:-1], k)
    return kernels.topk_call(
        x.dtype,
        rows=math.prod(x.shape[:-1]),
        size=x.shape[-1],
        k=k,
        index_bytes=wide,
    )
