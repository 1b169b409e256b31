"""The geometry of products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from quantcore.errors import KernelError
from quantcore.kernels.elementwise import broadcast_shape

__all__ = ["MatmulShape", "matmul_shape"]

MAX_RANK = 5

Triple = tuple[int, int, int]


class MatmulShape(NamedTuple):
    """``qc_matmul_shape`` of csrc/include/quantcore/batch_matmul.h, where the fields are explained."""

    batch: Triple
    lhs_batch: Triple
    rhs_batch: Triple
    rows: int
    columns: int
    depth: int
    lhs_row: int
    lhs_depth: int
    rhs_column: int
    rhs_depth: int


def matmul_shape(
    lhs: tuple[int, ...], rhs: tuple[int, ...], adj_x: bool, adj_y: bool
) -> tuple[MatmulShape, tuple[int, ...]]:
    """Return the geometry for two shapes, and the shape of the output.

    Parameters
    ----------
    lhs, rhs : tuple of int
        Shapes of 2 to 5 dimensions; those of the batch broadcast.
    adj_x, adj_y : bool
        Whether the matrices of `lhs`, of `rhs`, are stored transposed.

    Raises
    ------
    KernelError
        Shapes that do not fit.
    """
    if not (2 <= len(lhs) <= MAX_RANK and 2 <= len(rhs) <= MAX_RANK):
        raise KernelError(f"operands have shapes {lhs} and {rhs}; expected 2 to {MAX_RANK} dimensions each")
    rows, depth = (lhs[-1], lhs[-2]) if adj_x else (lhs[-2], lhs[-1])
    columns, rhs_depth = (rhs[-2], rhs[-1]) if adj_y else (rhs[-1], rhs[-2])
    if depth != rhs_depth:
        raise KernelError(
            f"operands have shapes {lhs} and {rhs}, adj_x is {adj_x} and adj_y {adj_y}: {depth} columns of "
            f"the left matrix meet {rhs_depth} rows of the right one"
        )
    rank = max(len(lhs), len(rhs)) - 2
    left, right = (1, 1, 1, *lhs[:-2])[-3:], (1, 1, 1, *rhs[:-2])[-3:]
    try:
        batch = broadcast_shape(left, right)
    except KernelError:
        raise KernelError(f"batch dimensions {lhs[:-2]} and {rhs[:-2]} do not broadcast") from None
    shape = MatmulShape(
        batch,
        batch_strides(left, rows * depth),
        batch_strides(right, depth * columns),
        rows,
        columns,
        depth,
        *((1, rows) if adj_x else (depth, 1)),
        *((depth, 1) if adj_y else (1, columns)),
    )
    return shape, (*batch[3 - rank :], rows, columns)


def batch_strides(batch: Sequence[int], matrix: int) -> Triple:
    """Return the distances between matrices along three batch dimensions, 0 along those of one matrix."""
    steps = (batch[1] * batch[2] * matrix, batch[2] * matrix, matrix)
    first, second, third = (0 if n == 1 else step for n, step in zip(batch, steps, strict=True))
    return first, second, third
