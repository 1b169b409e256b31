"""SLICE and TRANSPOSE: a box of the input, or its dimensions in another order."""

from __future__ import annotations

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.movement import (
    element_bytes,
    int_values,
    resolve_axis,
    row_major_strides,
    same_dtype,
    same_parameters_if_delegated,
)
from quantcore.ops.registry import Node, operator


@operator("SLICE", dtypes=("any",), max_version=8, page="slice")
def lower_slice(node: Node) -> KernelCall:
    """Lower SLICE; begin and size must be known before running. A size of -1 reaches to the end."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    same_parameters_if_delegated(node, x, y)
    begin = int_values(node, 1, len(x.shape))
    size = int_values(node, 2, len(x.shape))
    shape = tuple(n - b if s == -1 else s for n, b, s in zip(x.shape, begin, size, strict=True))
    for d, (n, b, s) in enumerate(zip(x.shape, begin, shape, strict=True)):
        if b < 0 or s < 0 or b + s > n:
            raise node.refuse(f"takes {size[d]} elements from {b} of dimension {d}, which has {n}")
    y.shape = shape
    steps = row_major_strides(x.shape)
    return kernels.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=shape,
        strides=steps,
        first=sum(b * step for b, step in zip(begin, steps, strict=True)),
        output=len(node.inputs),
    )


@operator("TRANSPOSE", dtypes=("any",), max_version=8, page="transpose")
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
