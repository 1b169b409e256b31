"""TILE, BROADCAST_TO, BROADCAST_ARGS, FILL, ZEROS_LIKE: values that are repeated."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import movement
from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import broadcast_strides, common_shape
from quantcore.ops.shared.indices import (
    element_bytes,
    int_values,
    known_output,
    row_major_strides,
    size_values,
)
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import check_dtypes, check_operands, unary_operands
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import by_dtype


@operator(
    "TILE",
    dtypes=("float32", "int8", "uint8", "int32", "int64", "bool"),
    max_version=3,
    registered={"BUILTIN_REF": 2},
    version=by_dtype(int8=3, string=2),
    int16x8_version=3,
    rules={"optimized": {"float32, int8, uint8, int32, int64, bool": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: [b // max(a, 1) for a, b in zip(x, y, strict=False)], (1, 1))},
)
def lower_tile(node: Node) -> KernelCall:
    """Lower TILE; the multiples must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    multiples = size_values(node, 1, len(x.shape))
    y.shape = tuple(n * m for n, m in zip(x.shape, multiples, strict=True))
    shape, strides = [], []
    for size, multiple, step in zip(x.shape, multiples, row_major_strides(x.shape), strict=True):
        shape += [multiple, size]
        strides += [0, step]
    return movement.strided_copy_call(
        element_bytes=element_bytes(node, x), shape=shape, strides=strides, output=2
    )


@operator(
    "BROADCAST_TO",
    dtypes=("float32", "int8", "uint8", "int16", "int32", "int64", "bool"),
    max_version=3,
    version=by_dtype(default=2, int8=3, int16=3),
    int16x8_version=3,
    page="tile",
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64, bool": Rule()},
        "tflm": {"float32, int8, uint8, int16, int32, int64, bool": Rule()},
    },
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: y)},
)
def lower_broadcast_to(node: Node) -> KernelCall:
    """Lower BROADCAST_TO; the new shape must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    wanted = size_values(node, 1)
    missing = len(wanted) - len(x.shape)
    padded = (1,) * missing + x.shape
    if missing < 0 or any(n not in (1, m) for n, m in zip(padded, wanted, strict=True)):
        raise node.refuse(f"an input of shape {x.shape} does not broadcast to {tuple(wanted)}")
    y.shape = tuple(wanted)
    return movement.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=wanted,
        strides=broadcast_strides(x.shape, wanted),
        output=2,
    )


@operator(
    "BROADCAST_ARGS",
    dtypes=("int32", "int64"),
    max_version=1,
    page="tile",
    rules={"optimized": {"int32, int64": Rule()}},
)
def lower_broadcast_args(node: Node) -> KernelCall:
    """Lower BROADCAST_ARGS: the shape that two shapes, known before running, broadcast to."""
    check_operands(node, 2)
    y = node.output
    check_dtypes(node, node.dtypes, node.input(0), node.input(1), y)
    shapes = [int_values(node, 0), int_values(node, 1)]
    return known_output(node, np.array(common_shape(node, *shapes), y.dtype))


@operator(
    "FILL",
    dtypes=("float32", "int8", "int16", "int32", "int64", "bool"),
    max_version=4,
    version=by_dtype(1, int8=3, int16=3, bool=2, string=2, float16=4),
    int16x8_version=3,
    page="tile",
    rules={
        "optimized": {"float32, int8, int16, int32, int64, bool": Rule()},
        "tflm": {"float32, int8, int32": Rule()},
    },
    quantization=SAME_SCALE,
    integer_inputs={0: ShapeInput(lambda x, y: y)},
)
def lower_fill(node: Node) -> KernelCall:
    """Lower FILL; the shape must be known before running, the value need not be."""
    check_operands(node, 2)
    value, y = node.input(1), node.output
    check_dtypes(node, node.dtypes, value, y)
    shape = size_values(node, 0)
    if value.shape != ():
        raise node.refuse(f"the value has shape {value.shape}; expected a scalar")
    y.shape = tuple(shape)
    return kernels.fill_call(count=y.count, element_bytes=element_bytes(node, y), input=1, output=2)


@operator(
    "ZEROS_LIKE",
    dtypes=("float32", "int32", "int64"),
    max_version=1,
    page="tile",
    rules={"optimized": {"float32, int32, int64": Rule()}, "tflm": {"float32, int32, int64": Rule()}},
)
def lower_zeros_like(node: Node) -> KernelCall:
    """Lower ZEROS_LIKE: known as soon as the shape of the input is."""
    x, _, dtype = unary_operands(node)
    return known_output(node, np.zeros(x.shape, dtype))
