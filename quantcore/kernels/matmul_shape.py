"""The geometry of products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


def matmul_shape(lhs: Sequence[int], rhs: Sequence[int], adj_lhs: bool, adj_rhs: bool) -> MatmulShape:
    """Return the geometry for two shapes of 2 to 5 dimensions; `adj_`: a matrix is stored transposed."""
    rows, depth = (lhs[-1], lhs[-2]) if adj_lhs else (lhs[-2], lhs[-1])
    columns = rhs[-2] if adj_rhs else rhs[-1]
    left, right = (1, 1, 1, *lhs[:-2])[-3:], (1, 1, 1, *rhs[:-2])[-3:]
    batch = tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))
    return MatmulShape(
        (batch[0], batch[1], batch[2]),
        batch_strides(left, rows * depth),
        batch_strides(right, depth * columns),
        rows,
        columns,
        depth,
        *((1, rows) if adj_lhs else (depth, 1)),
        *((depth, 1) if adj_rhs else (1, columns)),
    )


def batch_strides(batch: Sequence[int], matrix: int) -> Triple:
    """Return the distances between matrices along three batch dimensions, 0 along those of one matrix."""
    steps = (batch[1] * batch[2] * matrix, batch[2] * matrix, matrix)
    first, second, third = (0 if n == 1 else step for n, step in zip(batch, steps, strict=True))
    return first, second, third
