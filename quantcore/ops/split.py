"""SPLIT, SPLIT_V, UNPACK: one array in parts along a dimension."""

from __future__ import annotations

import math

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values, known_axis, resolve_axis
from quantcore.ops.shared.operands import same_dtype, same_parameters
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import by_dtype


def split(node: Node, position: int, axis: int, sizes: list[int]) -> KernelCall:
    """Give the outputs `sizes` along `axis` of the input at `position`, and return the call."""
    x = node.input(position)
    same_dtype(node, x, *node.outputs)
    for y, size in zip(node.outputs, sizes, strict=True):
        y.shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    step = math.prod(x.shape[axis + 1 :]) * element_bytes(node, x)
    return kernels.split_call(
        rows=math.prod(x.shape[:axis]),
        part_bytes=[size * step for size in sizes],
        whole=position,
        first_part=len(node.inputs),
    )


def check_parts(node: Node, option: str) -> int:
    """Return the number of outputs, which the option must state too."""
    count = len(node.outputs)
    stated = node.options[option]
    if count == 0 or stated != count:
        raise node.refuse(f"has {count} outputs, and the option {option} is {stated}; expected the same")
    return count


@operator(
    "SPLIT",
    dtypes=("any",),
    max_version=5,
    version=by_dtype(1, int8=2, int32=3, int16=4),
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32": Rule()}},
    quantization=SAME_SCALE,
)
def lower_split(node: Node) -> KernelCall:
    """Lower SPLIT: parts of equal size. The axis comes first among the inputs."""
    shape = node.input(1).shape
    count = check_parts(node, "num_splits")
    axis = known_axis(node, 0, len(shape))
    if shape[axis] % count:
        raise node.refuse(
            f"{shape[axis]} elements along dimension {axis} cannot be split in {count} equal parts"
        )
    return split(node, 1, axis, [shape[axis] // count] * count)


@operator(
    "SPLIT_V",
    dtypes=("any",),
    max_version=3,
    version=by_dtype(int8=2),
    int16x8_version=2,
    page="split",
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32": Rule()}},
    quantization=SAME_SCALE,
)
def lower_split_v(node: Node) -> KernelCall:
    """Lower SPLIT_V: parts of given sizes, of which one may be -1 for what is left."""
    shape = node.input(0).shape
    sizes = int_values(node, 1, check_parts(node, "num_splits"))
    axis = known_axis(node, 2, len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if min(sizes) < 0 or sum(sizes) != shape[axis]:
        raise node.refuse(f"sizes {sizes} do not add up to the {shape[axis]} elements along dimension {axis}")
    return split(node, 0, axis, sizes)


@operator(
    "UNPACK",
    dtypes=("any",),
    max_version=6,
    version=by_dtype(int8=2, uint8=2, bool=3, int16=4),
    page="split",
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32": Rule()}},
    quantization=SAME_SCALE,
)
def lower_unpack(node: Node) -> KernelCall:
    """Lower UNPACK: one output per element along an axis, which the outputs do not have."""
    x = node.input(0)
    count = check_parts(node, "num")
    axis = resolve_axis(node, node.options["axis"], len(x.shape))
    if x.shape[axis] != count:
        raise node.refuse(
            f"has {count} outputs for {x.shape[axis]} elements along dimension {axis}; expected one each"
        )
    same_parameters(node, x, *node.outputs)
    call = split(node, 0, axis, [1] * count)
    for y in node.outputs:
        y.shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return call
