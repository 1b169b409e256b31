"""SHAPE."""

from __future__ import annotations

import numpy as np

from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.movement import known_output
from quantcore.ops.node import Node
from quantcore.ops.operands import check_dtypes
from quantcore.ops.quantization_rule import OWN_SCALE
from quantcore.ops.registry import operator


@operator(
    "SHAPE",
    dtypes=("any",),
    max_version=1,
    page="shape",
    rules={"optimized": {"any": Rule()}, "tflm": {"any": Rule()}},
    quantization=OWN_SCALE,
)
def lower_shape(node: Node) -> KernelCall:
    """Lower SHAPE: the value is known as soon as the shape of the input is; nothing runs."""
    x, y = node.input(0), node.output
    check_dtypes(node, ("int32", "int64"), y)
    return known_output(node, np.array(x.shape, dtype=y.dtype))
