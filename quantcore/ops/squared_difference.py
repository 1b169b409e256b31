"""SQUARED_DIFFERENCE: two inputs that broadcast."""

from __future__ import annotations

import math

import numpy as np

from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.elementwise import (
    broadcast_operands,
    common_scale_multipliers,
    delegated_float,
    lower_on_common_scale,
)
from quantcore.ops.shared.operands import per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import type_bounds
from quantcore.ops.shared.version_rules import by_dtype

LEFT_SHIFT = 7  # the square of 9 + 7 bits stays within int32
MAX_RANK = 4  # TFLite's kernel broadcasts over four dimensions


def squared_difference_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the real multipliers of the inputs, to the common scale, and of the square, to the output's."""
    if node.output.dtype != "int8":
        return {}
    return common_scale_multipliers(node, LEFT_SHIFT, squared=True)


@operator(
    "SQUARED_DIFFERENCE",
    dtypes=("int8", "float32", "int32"),
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    rules={
        "optimized": {"float32, int8, int32": Rule()},
        "xnnpack": {"float32": Rule(form="flushed")},
        "tflm": {"float32, int8, int32": Rule()},
    },
    multipliers=squared_difference_multipliers,
    xnnpack=delegated_float,
    quantization=OWN_SCALE,
)
def lower_squared_difference(node: Node) -> KernelCall:
    """Lower SQUARED_DIFFERENCE."""
    a, b, y, dtype = broadcast_operands(node, MAX_RANK)
    op, shapes = "squared_difference", {"shape1": a.shape, "shape2": b.shape}
    if dtype == "float32":
        flushed = node.rule.form == "flushed"
        return kernels.arithmetic_f32_call(
            op, **shapes, activation_min=-math.inf, activation_max=math.inf, flushed=flushed
        )
    low, high = type_bounds(dtype)
    if dtype == "int32":
        return kernels.arithmetic_s32_call(op, **shapes, activation_min=low, activation_max=high)
    per_tensor(node, a, b, y)
    return lower_on_common_scale(node, op, LEFT_SHIFT, squared_difference_multipliers(node), (low, high))
