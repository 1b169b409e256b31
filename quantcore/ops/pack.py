"""PACK."""

from __future__ import annotations

import math

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, resolve_axis
from quantcore.ops.shared.operands import same_dtype, same_parameters
from quantcore.ops.shared.quantization_rule import JOINED
from quantcore.ops.shared.version_rules import by_dtype


@operator(
    "PACK",
    dtypes=("any",),
    max_version=5,
    version=by_dtype(int8=2, int16=3, uint32=4),
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32, int64": Rule()}},
    quantization=JOINED,
)
def lower_pack(node: Node) -> KernelCall:
    """Lower PACK: inputs of one shape, stacked along a new dimension."""
    inputs, y = [node.input(i) for i in range(len(node.inputs))], node.output
    count = node.options["values_count"]
    if not inputs or count != len(inputs):
        raise node.refuse(
            f"has {len(inputs)} inputs, and the option values_count is {count}; expected the same"
        )
    shape = inputs[0].shape
    for x in inputs:
        if x.shape != shape:
            raise node.refuse(f"input shapes are {shape} and {x.shape}; expected one shape")
    same_dtype(node, *inputs, y)
    same_parameters(node, *inputs, y)
    axis = resolve_axis(node, node.options["axis"], len(shape) + 1)
    y.shape = (*shape[:axis], count, *shape[axis:])
    part_bytes = math.prod(shape[axis:]) * element_bytes(node, y)
    return kernels.join_call(rows=math.prod(shape[:axis]), part_bytes=[part_bytes] * count)
