"""GATHER_ND."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from quantcore.kernels import indexing as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import check_indices, element_bytes, index_bytes
from quantcore.ops.shared.integer_input import IndexInput
from quantcore.ops.shared.operands import check_operands, same_dtype
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of


def gather_nd_version(node: Node) -> int:
    """Return the version for the dtypes of data and indices."""
    dtype = dtype_of(node, 0)
    if dtype != "bool" and dtype_of(node, 1) == "int16":
        return 4
    return {"bool": 5, "int16": 3, "string": 2}.get(dtype, 1)


def positions_limit(table: tuple[int, ...], indices: tuple[int, ...], options: Mapping[str, Any]) -> int:
    """Return the smallest of the leading axes, along which each row of indices is a position."""
    return min(table[: indices[-1]] if indices else table, default=1)


@operator(
    "GATHER_ND",
    dtypes=("any",),
    max_version=6,
    version=gather_nd_version,
    int16x8_version=3,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: IndexInput(positions_limit)},
)
def lower_gather_nd(node: Node) -> KernelCall:
    """Lower GATHER_ND: slices of the input by tuples of indices; indices may be data."""
    check_operands(node, 2)
    x, indices, y = node.input(0), node.input(1), node.output
    same_dtype(node, x, y)
    wide = index_bytes(node, indices, ("int16", "int32", "int64"))
    if not x.shape or not indices.shape:
        raise node.refuse(f"shapes are {x.shape} and {indices.shape}; expected at least one dimension each")
    depth = indices.shape[-1]
    if depth > min(len(x.shape), 8):
        raise node.refuse(
            f"{depth} indices for an input of shape {x.shape}; expected at most {min(len(x.shape), 8)}"
        )
    sizes = x.shape[:depth]
    check_indices(node, indices, sizes, f"the first {depth} dimensions of the input's shape {x.shape}")
    y.shape = (*indices.shape[:-1], *x.shape[depth:])
    return kernels.gather_nd_call(
        count=math.prod(indices.shape[:-1]),
        sizes=sizes,
        index_bytes=wide,
        slice_bytes=math.prod(x.shape[depth:]) * element_bytes(node, x),
    )
