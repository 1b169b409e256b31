"""TRANSPOSE: the dimensions of the input in another order."""

from __future__ import annotations

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values, resolve_axis, row_major_strides
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import same_dtype, same_parameters_if_delegated
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of, rank_of


def transpose_version(node: Node) -> int:
    """Return the version for the dtype and the number of dimensions."""
    dtype, rank = dtype_of(node, 0), rank_of(node, 0)
    if dtype == "int4":
        return 7
    if rank > 5:
        return 6
    if dtype == "int16":
        return 5
    return 4 if rank > 4 else {"bool": 3, "int8": 2}.get(dtype, 1)


@operator(
    "TRANSPOSE",
    dtypes=("any",),
    max_version=8,
    version=transpose_version,
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: range(len(x)))},
)
def lower_transpose(node: Node) -> KernelCall:
    """Lower TRANSPOSE; the permutation must be known before running."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    same_parameters_if_delegated(node, x, y)
    rank = len(x.shape)
    permutation = [resolve_axis(node, axis, rank) for axis in int_values(node, 1, rank)]
    if len(set(permutation)) != rank:
        raise node.refuse(f"permutation is {permutation}; expected each dimension once")
    y.shape = tuple(x.shape[axis] for axis in permutation)
    steps = row_major_strides(x.shape)
    return kernels.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=y.shape,
        strides=[steps[axis] for axis in permutation],
        output=len(node.inputs),
    )
