"""CONCATENATION."""

from __future__ import annotations

import math

import numpy as np

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, resolve_axis
from quantcore.ops.shared.operands import check_symmetric, same_dtype, same_parameters
from quantcore.ops.shared.quantization_rule import JOINED
from quantcore.ops.shared.requant import check_no_activation
from quantcore.ops.shared.version_rules import by_dtype


def joined_shape(node: Node, inputs: list[Operand], axis: int) -> tuple[int, ...]:
    """Return the shape of the output: that of the inputs, which agree but for `axis`."""
    first = inputs[0].shape
    for x in inputs:
        if len(x.shape) != len(first) or any(
            a != b for d, (a, b) in enumerate(zip(x.shape, first, strict=True)) if d != axis
        ):
            raise node.refuse(
                f"input shapes {first} and {x.shape} differ; expected the same but for dimension {axis}"
            )
    return (*first[:axis], sum(x.shape[axis] for x in inputs), *first[axis + 1 :])


def rescaling(node: Node, inputs: list[Operand], y: Operand) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(ratio, bias)`` of each uint8 input, in float32; a ratio of 0 means a copy.

    ``ratio = s_input * (1 / s_output)`` and ``bias = -z_input * ratio``, each step rounded to float32.
    """
    with np.errstate(all="ignore"):
        ratio = np.array([x.scale * (np.float32(1) / y.scale) for x in inputs], np.float32)
    if not (np.isfinite(ratio) & (ratio > 0)).all():
        raise node.refuse(f"ratios of the scales are {ratio}; expected positive, finite numbers")
    bias = np.array([np.float32(-x.zero_point) for x in inputs], np.float32) * ratio
    equal = np.array([x.scale == y.scale and x.zero_point == y.zero_point for x in inputs])
    return np.where(equal, np.float32(0), ratio), bias


@operator(
    "CONCATENATION",
    dtypes=("any",),
    max_version=7,
    version=by_dtype(int8=2, int16=3, uint32=4, int4=5),
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32, int64, bool": Rule()}},
    quantization=JOINED,
)
def lower_concatenation(node: Node) -> KernelCall:
    """Lower CONCATENATION; only uint8 may rescale, as in TFLite."""
    inputs, y = [node.input(i) for i in range(len(node.inputs))], node.output
    if not inputs:
        raise node.refuse("has no inputs; expected at least one")
    check_no_activation(node)
    same_dtype(node, *inputs, y)
    axis = resolve_axis(node, node.options["axis"], len(inputs[0].shape))
    y.shape = joined_shape(node, inputs, axis)
    if y.dtype == "int8":
        same_parameters(node, *inputs, y)
    check_symmetric(node, *inputs, y)
    rows = math.prod(y.shape[:axis])
    step = math.prod(y.shape[axis + 1 :]) * element_bytes(node, y)
    part_bytes = [x.shape[axis] * step for x in inputs]
    if y.dtype == "uint8" and any(o.quantized for o in (*inputs, y)):
        ratio, bias = rescaling(node, inputs, y)
        if ratio.any():
            return kernels.join_rescaled_u8_call(
                rows=rows, part_bytes=part_bytes, ratio=ratio, bias=bias, output_zero_point=y.zero_point
            )
    return kernels.join_call(rows=rows, part_bytes=part_bytes)
