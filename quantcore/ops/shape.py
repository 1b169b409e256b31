"""SHAPE and RANK."""

from __future__ import annotations

import numpy as np

from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import known_output
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE, OWN_SCALE_INT8


@operator(
    "SHAPE",
    dtypes=("any",),
    max_version=1,
    rules={"optimized": {"any": Rule()}, "tflm": {"any": Rule()}},
    quantization=OWN_SCALE,
)
def lower_shape(node: Node) -> KernelCall:
    """Lower SHAPE: the value is known as soon as the shape of the input is; nothing runs."""
    x, y = node.input(0), node.output
    check_dtypes(node, ("int32", "int64"), y)
    return known_output(node, np.array(x.shape, dtype=y.dtype))


@operator(
    "RANK",
    dtypes=("int32",),
    max_version=1,
    page="tile",
    rules={"optimized": {"int32": Rule()}},
    quantization=OWN_SCALE_INT8,
)
def lower_rank(node: Node) -> KernelCall:
    """Lower RANK: known as soon as the shape of the input is."""
    check_operands(node, 1)
    check_dtypes(node, ("int32",), node.output)
    return known_output(node, np.array(len(node.input(0).shape), np.int32))
