"""ONE_HOT."""

from __future__ import annotations

import math

import numpy as np

from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, empty_call, index_bytes, int_values, resolve_axis
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8


@operator(
    "ONE_HOT",
    dtypes=("float32", "int8", "uint8", "int32", "int64", "bool"),
    max_version=1,
    rules={"optimized": {"float32, int8, uint8, int32, int64, bool": Rule()}},
    quantization=OWN_SCALE_INT8,
)
def lower_one_hot(node: Node) -> KernelCall:
    """Lower ONE_HOT; the depth must be known before running."""
    check_operands(node, 4)
    indices, on, off, y = node.input(0), node.input(2), node.input(3), node.output
    check_dtypes(node, node.dtypes, on, off, y)
    wide = index_bytes(node, indices)
    if on.count != 1 or off.count != 1:
        raise node.refuse(f"the values have shapes {on.shape} and {off.shape}; expected one element each")
    depth = int_values(node, 1, 1)[0]
    if not 0 <= depth <= np.iinfo(np.int32).max:
        raise node.refuse(f"depth is {depth}; expected an int32 that is not negative")
    axis = resolve_axis(node, node.options["axis"], len(indices.shape) + 1)
    y.shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    if y.count == 0:
        return empty_call()
    return kernels.one_hot_call(
        outer=math.prod(indices.shape[:axis]),
        depth=depth,
        inner=math.prod(indices.shape[axis:]),
        index_bytes=wide,
        element_bytes=element_bytes(node, y),
    )
