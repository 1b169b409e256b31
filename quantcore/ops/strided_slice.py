"""STRIDED_SLICE."""

from __future__ import annotations

from dataclasses import dataclass

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values, row_major_strides
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import same_dtype, same_parameters_if_delegated
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of, rank_of


@dataclass(frozen=True, slots=True)
class AxisSlice:
    """The elements ``start, start + stride, ...`` (`count` of them) of one dimension.

    `new` inserts a dimension of size 1 instead; `shrink` drops the dimension from the output.
    """

    start: int
    stride: int
    count: int
    new: bool = False
    shrink: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """The operands: begin, end and strides have one entry per position, a mask one bit per position."""

    begin: list[int]
    end: list[int]
    strides: list[int]
    begin_mask: int
    end_mask: int
    ellipsis_mask: int
    new_axis_mask: int
    shrink_axis_mask: int
    offset: bool


def read_spec(node: Node) -> Spec:
    """Return the operands of `node`, checked for what does not depend on the shape of the input."""
    begin = int_values(node, 1)
    end = int_values(node, 2, len(begin))
    strides = int_values(node, 3, len(begin))
    names = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    masks = {name: node.options[name] & ((1 << len(begin)) - 1) for name in names}
    spec = Spec(begin, end, strides, offset=node.options["offset"], **masks)
    if 0 in strides:
        raise node.refuse(f"strides are {strides}; expected none to be 0")
    if spec.ellipsis_mask.bit_count() > 1:
        raise node.refuse(f"ellipsis_mask is {spec.ellipsis_mask:#b}; expected at most one bit")
    if spec.offset and (spec.ellipsis_mask or spec.new_axis_mask):
        raise node.refuse("the option offset together with an ellipsis or a new axis is not supported")
    return spec


def resolve_index(index: int, size: int, stride: int) -> int:
    """Return `index` counted from the front and clamped to where a walk by `stride` may start or stop."""
    if index < 0:
        index += size
    return min(max(index, 0), size) if stride > 0 else min(max(index, -1), size - 1)


def slice_axis(node: Node, spec: Spec, i: int, size: int) -> AxisSlice:
    """Return what position `i` of the spec takes of a dimension of `size` elements."""
    bit = 1 << i
    stride = spec.strides[i]
    start = resolve_index(spec.begin[i], size, stride)
    if spec.begin_mask & bit:
        start = 0 if stride > 0 else size - 1
    if spec.shrink_axis_mask & bit:
        if stride < 0 or not 0 <= start < size:
            raise node.refuse(
                f"position {i} takes element {spec.begin[i]} by stride {stride} of a dimension of size {size}"
            )
        return AxisSlice(start, 1, 1, shrink=True)
    stop = resolve_index(spec.end[i] + (start if spec.offset else 0), size, stride)
    if spec.end_mask & bit:
        stop = size if stride > 0 else -1
    count = len(range(start, stop, stride))
    if spec.offset and count != len(range(0, spec.end[i], stride)):
        raise node.refuse(
            f"position {i} takes {spec.end[i]} elements from {start} of a dimension of size {size}"
        )
    return AxisSlice(start, stride, count)


def slice_axes(node: Node, spec: Spec, shape: tuple[int, ...]) -> list[AxisSlice]:
    """Return what is taken of each dimension, new dimensions included."""
    positions = len(spec.begin)
    new = (spec.new_axis_mask & ~spec.ellipsis_mask).bit_count()
    ellipses = spec.ellipsis_mask.bit_count()
    uncovered = len(shape) - (positions - new - ellipses)
    if spec.offset and positions != len(shape):
        raise node.refuse(
            f"the option offset with {positions} positions for the shape {shape} is not supported"
        )
    if uncovered < ellipses:  # for TFLite an ellipsis covers at least one dimension
        raise node.refuse(f"begin has {positions} values, too many for an input of shape {shape}")
    axes: list[AxisSlice] = []
    sizes = iter(shape)
    for i in range(positions):
        if spec.ellipsis_mask >> i & 1:
            axes += [AxisSlice(0, 1, next(sizes)) for _ in range(uncovered)]
        elif spec.new_axis_mask >> i & 1:
            axes.append(AxisSlice(0, 1, 1, new=True))
        else:
            axes.append(slice_axis(node, spec, i, next(sizes)))
    return axes + [AxisSlice(0, 1, size) for size in sizes]


def strided_slice_version(node: Node) -> int:
    """Return the version for the options, the dtype and the number of dimensions."""
    dtype = dtype_of(node, 0)
    if node.options["offset"]:
        return 8
    if dtype == "uint32":
        return 7
    if node.options["ellipsis_mask"] or node.options["new_axis_mask"]:
        return 6
    if dtype != "string" and rank_of(node, 0) > 4:
        return 4
    return {"string": 5, "bool": 3, "int8": 2}.get(dtype, 1)


@operator(
    "STRIDED_SLICE",
    dtypes=("any",),
    max_version=8,
    version=strided_slice_version,
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32, bool": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={
        1: ShapeInput(lambda x, y: [0] * len(x)),
        2: ShapeInput(lambda x, y: y if len(x) == len(y) else x),
        3: ShapeInput(lambda x, y: [1] * len(x), (1, 1)),
    },
)
def lower_strided_slice(node: Node) -> KernelCall:
    """Lower STRIDED_SLICE; begin, end and strides must be known before running."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    axes = slice_axes(node, read_spec(node), x.shape)
    if all(a.stride == 1 and not a.new and not a.shrink for a in axes):
        same_parameters_if_delegated(node, x, y)
    y.shape = tuple(a.count for a in axes if not a.shrink)
    taken = [a for a in axes if not a.new]
    steps = row_major_strides(x.shape)
    return kernels.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=[a.count for a in taken],
        strides=[a.stride * step for a, step in zip(taken, steps, strict=True)],
        first=sum(a.start * step for a, step in zip(taken, steps, strict=True)) if y.count else 0,
        output=len(node.inputs),
    )
