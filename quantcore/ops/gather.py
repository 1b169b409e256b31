"""GATHER."""

from __future__ import annotations

import math
from dataclasses import replace

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import check_indices, element_bytes, index_bytes, resolve_axis
from quantcore.ops.shared.integer_input import IndexInput, axis_limit
from quantcore.ops.shared.operands import same_dtype
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of


def gather_version(node: Node) -> int:
    """Return the version for the dtypes of data and indices, and for batch dimensions."""
    dtype = dtype_of(node, 0)
    if dtype == "int4":
        return 7
    if dtype_of(node, 1) == "int16":
        return 6
    if node.options["batch_dims"]:
        return 5
    return {"int16": 4, "bool": 3, "int8": 2}.get(dtype, 1)


@operator(
    "GATHER",
    dtypes=("any",),
    max_version=8,
    version=gather_version,
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=replace(SAME_SCALE, dynamic_weights={0: None}),
    integer_inputs={1: IndexInput(axis_limit)},
)
def lower_gather(node: Node) -> KernelCall:
    """Lower GATHER: slices of the input along an axis, by index; indices may be data."""
    x, indices, y = node.input(0), node.input(1), node.output
    same_dtype(node, x, y)
    wide = index_bytes(node, indices, ("int16", "int32", "int64"))
    axis = resolve_axis(node, node.options["axis"], len(x.shape))
    batch_dims = node.options["batch_dims"]
    if batch_dims < 0:
        batch_dims += len(indices.shape)
    if (
        not 0 <= batch_dims <= min(axis, len(indices.shape))
        or x.shape[:batch_dims] != indices.shape[:batch_dims]
    ):
        raise node.refuse(
            f"batch_dims {batch_dims} does not fit an input of shape {x.shape}, "
            f"indices of shape {indices.shape} and axis {axis}"
        )
    size = x.shape[axis]
    check_indices(node, indices, size, f"[0, {size}), the range of dimension {axis}")
    y.shape = (*x.shape[:axis], *indices.shape[batch_dims:], *x.shape[axis + 1 :])
    return kernels.gather_call(
        batch=math.prod(x.shape[:batch_dims]),
        outer=math.prod(x.shape[batch_dims:axis]),
        axis=size,
        count=math.prod(indices.shape[batch_dims:]),
        slice_bytes=math.prod(x.shape[axis + 1 :]) * element_bytes(node, x),
        index_bytes=wide,
    )
