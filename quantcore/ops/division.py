"""DIV, FLOOR_DIV, FLOOR_MOD: two inputs that broadcast."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import division as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.elementwise import broadcast_operands, delegated_float, lower_arithmetic
from quantcore.ops.shared.operands import per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import (
    fixed_point,
    float_bounds,
    fused_activation,
    integer_bounds,
    quantized_bounds,
    quotient,
)
from quantcore.ops.shared.version_rules import broadcasts_beyond, by_dtype

QUANTIZED = ("int8", "uint8", "int16")
MAX_FLOOR_RANK = 4  # TFLite's kernels broadcast over four dimensions


def div_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_1 / (s_2 * s_output)}``."""
    if node.output.dtype not in QUANTIZED:
        return {}
    return {"output": quotient(node, node.input(0).scale, node.input(1).scale, node.output.scale)}


def div_version(node: Node) -> int:
    """Return 2 where more than 4 dimensions broadcast."""
    return 2 if broadcasts_beyond(node, 4) else 1


@operator(
    "DIV",
    dtypes=(*QUANTIZED, "float32", "int32"),
    max_version=2,
    version=div_version,
    rules={
        "reference": {"int8, uint8, int16": FLOAT32_QUOTIENT},
        "optimized": {"float32, int32": Rule(), "int8, uint8, int16": FLOAT32_QUOTIENT},
        "xnnpack": {"float32": Rule(form="flushed")},
        "tflm": {"float32, int8, int32": Rule()},
    },
    multipliers=div_multipliers,
    xnnpack=delegated_float,
    quantization=OWN_SCALE_INT8,
)
def lower_div(node: Node) -> KernelCall:
    """Lower DIV."""
    a, b, y, dtype = broadcast_operands(node, 5)
    if dtype == "float32":
        if node.rule.form == "flushed":
            return lower_arithmetic(node, "div", a, b, dtype)
        low, high = float_bounds(node)
        return kernels.div_f32_call(shape1=a.shape, shape2=b.shape, activation_min=low, activation_max=high)
    if dtype == "int32":
        least, largest = integer_bounds(node, dtype)
        return kernels.div_s32_call(
            shape1=a.shape, shape2=b.shape, activation_min=least, activation_max=largest
        )
    per_tensor(node, a, b, y)
    multiplier, shift = fixed_point(node, div_multipliers(node)["output"])
    qmin, qmax = quantized_bounds(node, fused_activation(node), y)
    return kernels.div_call(
        dtype,
        shape1=a.shape,
        shape2=b.shape,
        input1_offset=-a.zero_point,
        input2_offset=-b.zero_point,
        multiplier=multiplier,
        shift=shift,
        output_offset=y.zero_point,
        activation_min=qmin,
        activation_max=qmax,
    )


@operator(
    "FLOOR_DIV",
    dtypes=("float32", "int8", "int16", "int32"),
    max_version=3,
    version=by_dtype(float32=2, int8=3, int16=3),
    rules={"optimized": {"float32, int8, int16, int32": Rule()}, "tflm": {"float32": Rule()}},
)
@operator(
    "FLOOR_MOD",
    dtypes=("float32", "int8", "int16", "int32", "int64"),
    max_version=2,
    version=by_dtype(int8=2, int16=2),
    page="floor_div",
    rules={"optimized": {"float32, int8, int16, int32, int64": Rule()}, "tflm": {"float32": Rule()}},
)
def lower_floor(node: Node) -> KernelCall:
    """Lower FLOOR_DIV and FLOOR_MOD: stored values, whatever the scales."""
    a, b, _, dtype = broadcast_operands(node, MAX_FLOOR_RANK)
    return kernels.floor_call(node.op.op.lower(), dtype, shape1=a.shape, shape2=b.shape)
