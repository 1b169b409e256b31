"""SQUARED_DIFFERENCE: two inputs that broadcast."""

from __future__ import annotations

import math

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.elementwise import broadcast_operands, delegated_float
from quantcore.ops.node import Node
from quantcore.ops.operands import per_tensor
from quantcore.ops.quantization_rule import OWN_SCALE
from quantcore.ops.registry import operator
from quantcore.ops.requant import type_bounds
from quantcore.ops.version_rules import by_dtype

DTYPES = ("int8", "float32", "int32")
LEFT_SHIFT = 7  # the square of 9 + 7 bits stays within int32
MAX_RANK = 4  # TFLite's kernel broadcasts over four dimensions


def squared_difference_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the real multipliers of the inputs, to the common scale, and of the square, to the output's."""
    if node.output.dtype != "int8":
        return {}
    a, b, y = (np.float64(o.scale) for o in (node.input(0), node.input(1), node.output))
    common = 2 * max(a, b)
    return {
        "input1": np.array([a / common]),
        "input2": np.array([b / common]),
        "output": np.array([common * common / (2 ** (2 * LEFT_SHIFT) * y)]),
    }


@operator(
    "SQUARED_DIFFERENCE",
    dtypes=DTYPES,
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    page="squared_difference",
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
    a, b, y, dtype = broadcast_operands(node, DTYPES, MAX_RANK)
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
    real = squared_difference_multipliers(node)
    fixed = {role: quantize_multiplier(value[0]) for role, value in real.items()}
    if real["output"][0] >= 1 or fixed["output"][1] > 0:
        raise node.refuse(
            f"the output's scale {y.scale} is too small for the inputs' {a.scale} and {b.scale}: "
            f"the square is multiplied by {real['output'][0]:g}, expected less than 1 (TFLite aborts)"
        )
    return kernels.add_call(
        op,
        dtype,
        **shapes,
        left_shift=LEFT_SHIFT,
        input1_offset=-a.zero_point,
        input1_multiplier=fixed["input1"][0],
        input1_shift=fixed["input1"][1],
        input2_offset=-b.zero_point,
        input2_multiplier=fixed["input2"][0],
        input2_shift=fixed["input2"][1],
        output_offset=y.zero_point,
        output_multiplier=fixed["output"][0],
        output_shift=fixed["output"][1],
        activation_min=low,
        activation_max=high,
    )
