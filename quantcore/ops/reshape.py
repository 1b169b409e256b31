"""RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape."""

from __future__ import annotations

import math

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values, known_integer, resolve_axis
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import same_dtype, same_parameters, single_scales
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import by_dtype


def copy(node: Node, shape: tuple[int, ...]) -> KernelCall:
    """Give the output `shape` and return the call that copies the input to it."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    y.shape = shape
    return kernels.copy_call(size_bytes=x.count * element_bytes(node, x), output=len(node.inputs))


def resolve_shape(node: Node, count: int, wanted: list[int]) -> tuple[int, ...]:
    """Return `wanted` with its one -1 replaced so that the shape holds `count` elements."""
    if any(d < -1 for d in wanted) or wanted.count(-1) > 1:
        raise node.refuse(f"new shape is {wanted}; expected sizes of at least 0, and -1 at most once")
    if -1 in wanted:
        known = math.prod(d for d in wanted if d != -1)
        if known == 0 or count % known:
            raise node.refuse(f"new shape {wanted} does not divide the {count} elements of the input")
        wanted = [count // known if d == -1 else d for d in wanted]
    if math.prod(wanted) != count:
        raise node.refuse(f"new shape {wanted} holds {math.prod(wanted)} elements; the input has {count}")
    return tuple(wanted)


def wanted_shape(node: Node) -> list[int]:
    """Return the new shape: from the second input where it is an int32 vector, else from the options."""
    shape = node.optional_input(1)
    if shape is not None and shape.dtype == "int32" and len(shape.shape) == 1:
        return int_values(node, 1)
    wanted = [int(d) for d in node.options["new_shape"]]
    return [] if wanted == [0] else wanted  # files of the first converters write [0] for a scalar


@operator(
    "RESHAPE",
    dtypes=("any",),
    max_version=1,
    rules={"optimized": {"any": Rule()}, "tflm": {"any": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: y, (-1, 1))},
)
def lower_reshape(node: Node) -> KernelCall:
    """Lower RESHAPE; the new shape must be known before running."""
    return copy(node, resolve_shape(node, node.input(0).count, wanted_shape(node)))


@operator(
    "SQUEEZE",
    dtypes=("any",),
    max_version=2,
    version=by_dtype(string=2),
    page="reshape",
    rules={"optimized": {"any": Rule()}, "tflm": {"any": Rule()}},
    quantization=SAME_SCALE,
)
def lower_squeeze(node: Node) -> KernelCall:
    """Lower SQUEEZE: drop the listed dimensions of size 1, or all of them where none is listed."""
    shape = node.input(0).shape
    listed = node.options["squeeze_dims"]
    axes = {d for d, size in enumerate(shape) if size == 1}
    if len(listed):
        axes = {resolve_axis(node, int(axis), len(shape)) for axis in listed}
    if any(shape[axis] != 1 for axis in axes):
        raise node.refuse(f"cannot squeeze dimensions {sorted(axes)} of shape {shape}; only those of size 1")
    return copy(node, tuple(size for d, size in enumerate(shape) if d not in axes))


@operator(
    "EXPAND_DIMS",
    dtypes=("any",),
    max_version=1,
    page="reshape",
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: 0)},
)
def lower_expand_dims(node: Node) -> KernelCall:
    """Lower EXPAND_DIMS: a dimension of size 1 at the axis that the second input gives."""
    x, y = node.input(0), node.output
    if single_scales(x, y):
        same_parameters(node, x, y)
    shape = x.shape
    axis = resolve_axis(node, known_integer(node, 1, ("int32", "int64")), len(shape) + 1)
    return copy(node, (*shape[:axis], 1, *shape[axis:]))
