"""What reductions share: axes, shapes, and what XNNPACK takes."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import reduce as kernels
from quantcore.ops.node import Node
from quantcore.ops.shared.indices import resolve_axis
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.xnnpack import MAX_DELEGATED_RANK, VALUES, delegable

__all__ = [
    "FROM_FIRST",
    "QUANTIZED",
    "REDUCED",
    "delegated_reduction",
    "reduction_operands",
    "starts_with_first",
]

QUANTIZED = ("int8", "uint8", "int16")
REDUCED = (*QUANTIZED, "float32", "int32", "int64")
MAX_RANK = 8
FROM_FIRST = ("first", "summed")  # forms of the optimized kernels


def reduced_axes(node: Node) -> set[int]:
    """Return the set of reduced dimensions, counted from the front."""
    axis = node.known_value(1)
    rank = len(node.input(0).shape)
    if axis.dtype != np.int32:
        raise node.refuse(f"axis is {axis.dtype}; expected int32")
    if rank == 0:
        return set()  # TFLite does not look at the axis of a scalar
    return {resolve_axis(node, int(value), rank) for value in axis.reshape(-1)}


def reduced_shape(node: Node, axes: set[int]) -> tuple[int, ...]:
    """Return the output's shape."""
    shape = node.input(0).shape
    if node.options["keep_dims"]:
        return tuple(1 if d in axes else size for d, size in enumerate(shape))
    return tuple(size for d, size in enumerate(shape) if d not in axes)


def starts_with_first(node: Node, axes: set[int]) -> bool:
    """Whether each output starts with its first element: shown by float32 sums of -0.0, and by NaN.

    TFLite's reference kernels do it where all dimensions are reduced.
    """
    form = node.rule.form
    return form in FROM_FIRST or (form == "whole" and len(axes) == len(node.input(0).shape))


def delegated_reduction(node: Node) -> bool:
    """Whether XNNPACK takes a reduction: float32 or 8 bits, over constant axes."""
    x, axis = node.input(0), node.input(1)
    return (
        delegable(VALUES, x)
        and delegable((x.dtype,), node.output)
        and axis.tensor.data is not None
        and axis.dtype == "int32"
        and len(axis.shape) <= 1
        and axis.count >= 1
    )


def check_delegated(node: Node, axes: set[int]) -> None:
    """Refuse what XNNPACK takes and then fails on: many dimensions, none, or axes given twice."""
    if not node.delegated:
        return
    rank, listed = len(node.input(0).shape), node.known_value(1).size
    if not 1 <= rank <= MAX_DELEGATED_RANK or listed != len(axes):
        raise node.refuse(
            f"input has {rank} dimensions, and {listed} axes are given, {len(axes)} of them different; "
            f"XNNPACK expects 1 to {MAX_DELEGATED_RANK} dimensions and each axis once"
        )


def reduction_operands(node: Node) -> tuple[str, set[int]]:
    """Check the operands, set the output's shape, and return the dtype and the reduced dimensions."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, node.dtypes, x, y)
    axes = reduced_axes(node)
    check_delegated(node, axes)
    y.shape = reduced_shape(node, axes)
    runs = len(kernels.reduction_walk(x.shape, axes))
    if runs > MAX_RANK:
        raise node.refuse(
            f"shape {x.shape} over axes {sorted(axes)} has {runs} runs of reduced and of other dimensions; "
            f"expected at most {MAX_RANK}"
        )
    return dtype, axes
