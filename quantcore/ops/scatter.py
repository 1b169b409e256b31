"""SCATTER_ND and DYNAMIC_UPDATE_SLICE."""

from __future__ import annotations

import math

from quantcore.kernels import scatter as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.movement import MAX_RANK
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, index_bytes, size_values
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of


def update_version(node: Node) -> int:
    """Return the version for the dtype of the data; 2 for int64 indices."""
    versions = {"int4": 5, "int16": 4, "float16": 3}
    return versions.get(dtype_of(node, 0), 2 if dtype_of(node, 2) == "int64" else 1)


@operator(
    "SCATTER_ND",
    dtypes=("float32", "int8", "uint8", "int32", "int64"),
    max_version=1,
    rules={"optimized": {"float32, int8, uint8, int32, int64": Rule()}},
    quantization=SAME_SCALE,
)
def lower_scatter_nd(node: Node) -> KernelCall:
    """Lower SCATTER_ND; the shape must be known before running, the indices may be data."""
    check_operands(node, 3)
    indices, updates, y = node.input(0), node.input(1), node.output
    check_dtypes(node, node.dtypes, updates, y)
    size = index_bytes(node, indices)
    shape = size_values(node, 2)
    depth = indices.shape[-1] if indices.shape else 0
    if not 1 <= depth <= min(len(shape), MAX_RANK):
        raise node.refuse(
            f"indices have shape {indices.shape} for an output of shape {tuple(shape)}; expected a last "
            f"dimension of 1 to {min(len(shape), MAX_RANK)}"
        )
    wanted = (*indices.shape[:-1], *shape[depth:])
    if updates.shape != wanted:
        raise node.refuse(f"updates have shape {updates.shape}; expected {wanted}")
    y.shape = tuple(shape)
    return kernels.scatter_nd_call(
        updates.dtype,
        count=math.prod(indices.shape[:-1]),
        slice_elements=math.prod(shape[depth:]),
        total=math.prod(shape),
        sizes=shape[:depth],
        index_bytes=size,
    )


@operator(
    "DYNAMIC_UPDATE_SLICE",
    dtypes=("float32", "int8", "int16", "int32", "int64", "bool"),
    max_version=1,
    version=update_version,
    page="scatter_nd",
    rules={
        "optimized": {"float32, int8, int16, int32, int64, bool": Rule()},
        "tflm": {"float32, int8, int16, int32": Rule()},
    },
)
def lower_dynamic_update_slice(node: Node) -> KernelCall:
    """Lower DYNAMIC_UPDATE_SLICE; the indices may be data."""
    check_operands(node, 3)
    x, update, indices, y = node.input(0), node.input(1), node.input(2), node.output
    check_dtypes(node, node.dtypes, x, update, y)
    rank = len(x.shape)
    if not 1 <= rank <= MAX_RANK or len(update.shape) != rank:
        raise node.refuse(f"shapes are {x.shape} and {update.shape}; expected one rank from 1 to {MAX_RANK}")
    if any(m > n for m, n in zip(update.shape, x.shape, strict=True)):
        raise node.refuse(f"an update of shape {update.shape} does not fit into {x.shape}")
    if indices.shape != (rank,):
        raise node.refuse(f"indices have shape {indices.shape}; expected ({rank},)")
    y.shape = x.shape
    return kernels.update_slice_call(
        shape=x.shape,
        update=update.shape,
        element_bytes=element_bytes(node, x),
        index_bytes=index_bytes(node, indices),
    )
