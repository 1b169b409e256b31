"""REVERSE_V2 and REVERSE_SEQUENCE."""

from __future__ import annotations

import math
from dataclasses import replace

from quantcore.kernels import movement
from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import (
    element_bytes,
    empty_call,
    index_bytes,
    int_values,
    resolve_axis,
    row_major_strides,
)
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE, OWN_SCALE_INT8
from quantcore.ops.shared.version_rules import by_dtype


@operator(
    "REVERSE_V2",
    dtypes=("float32", "int8", "uint8", "int16", "int32", "int64", "bool"),
    max_version=3,
    version=by_dtype(int8=3, bool=2),
    int16x8_version=3,
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64, bool": Rule()},
        "tflm": {"float32, int8, uint8, int16, int32, int64, bool": Rule()},
    },
    quantization=replace(OWN_SCALE, same_scale_int16="output"),
)
def lower_reverse(node: Node) -> KernelCall:
    """Lower REVERSE_V2; the axes must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    axes = [resolve_axis(node, axis, len(x.shape)) for axis in int_values(node, 1)]
    if len(set(axes)) != len(axes):
        raise node.refuse(f"axes are {axes}; expected each at most once")
    y.shape = x.shape
    steps = row_major_strides(x.shape)
    return movement.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=x.shape,
        strides=[-step if d in axes else step for d, step in enumerate(steps)],
        first=sum((x.shape[d] - 1) * steps[d] for d in axes),
        output=2,
    )


@operator(
    "REVERSE_SEQUENCE",
    dtypes=("float32", "uint8", "int16", "int32", "int64"),
    max_version=1,
    page="reverse_v2",
    rules={"optimized": {"float32, uint8, int16, int32, int64": Rule()}},
    quantization=OWN_SCALE_INT8,
)
def lower_reverse_sequence(node: Node) -> KernelCall:
    """Lower REVERSE_SEQUENCE; the lengths may be data."""
    check_operands(node, 2)
    x, lengths, y = node.input(0), node.input(1), node.output
    check_dtypes(node, node.dtypes, x, y)
    rank = len(x.shape)
    sequence = node.options["seq_dim"]
    batch = node.options["batch_dim"]
    if not (0 <= sequence < rank and 0 <= batch < rank) or sequence == batch:
        raise node.refuse(f"seq_dim is {sequence}, batch_dim {batch}; expected two dimensions of {x.shape}")
    wide = index_bytes(node, lengths)
    if lengths.shape != (x.shape[batch],):
        raise node.refuse(f"lengths have shape {lengths.shape}; expected ({x.shape[batch]},)")
    y.shape = x.shape
    if y.count == 0:
        return empty_call()
    low, high = sorted((sequence, batch))
    return kernels.reverse_sequence_call(
        outer=math.prod(x.shape[:low]),
        low=x.shape[low],
        middle=math.prod(x.shape[low + 1 : high]),
        high=x.shape[high],
        slice_bytes=math.prod(x.shape[high + 1 :]) * element_bytes(node, x),
        sequence_is_high=sequence > batch,
        index_bytes=wide,
    )
