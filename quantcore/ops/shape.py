"""SHAPE."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
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
    if y.dtype not in ("int32", "int64"):
        raise node.refuse(f"output dtype is {y.dtype}; expected int32 or int64")
    y.shape = (len(x.shape),)
    y.value = np.array(x.shape, dtype=y.dtype)
    return kernels.copy_call(size_bytes=0)
