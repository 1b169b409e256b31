"""Verification of a ``SparsityParameters`` table, and the number of elements that it stores.

The format is TACO's: the dimensions of the tensor (and of its blocks, which follow) are traversed
in `traversal_order`; each level is dense, or lists which indices it holds in CSR form. With n
dimensions and k block dimensions, level ``n + i`` is the block that splits dimension ``block_map[i]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["SparsityError", "stored_elements"]


class SparsityError(ValueError):
    """What is wrong, and the path below the table at which it is wrong."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


def stored_elements(sparsity: dict[str, Any], shape: tuple[int, ...]) -> int:
    """Verify `sparsity` against `shape`; return how many elements the buffer holds.

    Raises
    ------
    SparsityError
        The table contradicts itself or the shape.
    """
    order = sparsity["traversal_order"] or ()
    levels = sparsity["dim_metadata"] or []
    sizes = _dimension_sizes(sparsity, order, levels, shape)
    count = 1
    for i, (dimension, level) in enumerate(zip(order, levels, strict=True)):
        if level["format"] == "DENSE":
            if level["dense_size"] != sizes[dimension]:
                raise SparsityError(
                    f"dense size {level['dense_size']} of dimension {dimension}, expected {sizes[dimension]}",
                    "dim_metadata",
                    i,
                )
            count *= sizes[dimension]
        else:
            count = _check_csr_level(level, count, sizes[dimension], i)
    return count


def _dimension_sizes(
    sparsity: dict[str, Any], order: tuple[int, ...], levels: list[dict[str, Any]], shape: tuple[int, ...]
) -> list[int]:
    """Return the size of each of the n + k dimensions."""
    rank = len(shape)
    block_map = sparsity["block_map"] or ()
    if sorted(order[:rank]) != list(range(rank)) or sorted(order[rank:]) != list(range(rank, len(order))):
        raise SparsityError(f"{order} does not order {rank} dimensions and their blocks", "traversal_order")
    if len(levels) != len(order):
        raise SparsityError(f"{len(levels)} levels for {len(order)} dimensions", "dim_metadata")
    if len(block_map) != len(order) - rank:
        raise SparsityError(f"{len(block_map)} entries for {len(order) - rank} blocks", "block_map")
    sizes = [*shape, *[0] * len(block_map)]
    for level, dimension in zip(levels[rank:], order[rank:], strict=True):
        sizes[dimension] = level["dense_size"]
    for i, dimension in enumerate(block_map):
        block = levels[rank + i]["dense_size"]
        if not 0 <= dimension < rank or block <= 0 or sizes[dimension] % block:
            raise SparsityError(f"blocks of {block} do not divide dimension {dimension}", "block_map", i)
        sizes[dimension] //= block
    return sizes


def _check_csr_level(level: dict[str, Any], parents: int, size: int, i: int) -> int:
    """Verify a compressed level below `parents` elements; return how many elements it has."""
    segments, indices = (_values(level, name, i) for name in ("array_segments", "array_indices"))
    if segments.size != parents + 1:
        raise SparsityError(
            f"{segments.size} segment bounds, expected {parents + 1}", "dim_metadata", i, "array_segments"
        )
    if segments[0] != 0 or (np.diff(segments) < 0).any() or segments[-1] != indices.size:
        raise SparsityError(
            f"segment bounds do not ascend from 0 to {indices.size}", "dim_metadata", i, "array_segments"
        )
    if indices.size and not 0 <= indices.min() <= indices.max() < size:
        raise SparsityError(f"index outside 0 to {size - 1}", "dim_metadata", i, "array_indices")
    return indices.size


def _values(level: dict[str, Any], name: str, i: int) -> np.ndarray:
    values: np.ndarray | None = level[name]["values"] if level[name] else None
    if values is None:
        raise SparsityError("sparse level without it", "dim_metadata", i, name)
    return values.astype(np.int64)
