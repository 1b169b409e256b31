"""ADD, SUB, MUL: two inputs that broadcast, and a fused activation; MAXIMUM, MINIMUM."""

from __future__ import annotations

import math

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.errors import KernelError
from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.operands import check_dtypes, check_operands, per_tensor
from quantcore.ops.registry import Node, Operand, operator
from quantcore.ops.requant import (
    float_bounds,
    make_requant,
    product_multiplier,
    quantized_bounds,
    type_bounds,
)

__all__ = ["add_multipliers", "broadcast_operands", "fused_activation", "mul_multipliers"]

QUANTIZED = ("int8", "uint8")
DTYPES = (*QUANTIZED, "float32", "int32", "int64")
LEFT_SHIFT = 20  # extra bits of the sum: 9 bits of q - zero point and a factor below 2 stay within int32

SELECTED = (*DTYPES, "int16")

# TFLite's reference kernels index arrays of so many dimensions. Above, they run past the end of the arrays
# (ADD, SUB) or end the process.
MAX_BROADCAST_RANK = 6
MAX_SELECTION_RANK = 5


def broadcast_operands(
    node: Node, dtypes: tuple[str, ...] = DTYPES, max_rank: int = MAX_BROADCAST_RANK
) -> tuple[Operand, Operand, Operand, str]:
    """Check the operands, set the output's shape, and return ``(input 1, input 2, output, dtype)``."""
    check_operands(node, 2)
    a, b, y = node.input(0), node.input(1), node.output
    dtype = check_dtypes(node, dtypes, a, b, y)
    try:
        y.shape = kernels.broadcast_shape(a.shape, b.shape)
    except KernelError as error:
        raise node.refuse(str(error)) from None
    if a.shape != b.shape and len(y.shape) > max_rank:
        raise node.refuse(
            f"shapes {a.shape} and {b.shape} broadcast over {len(y.shape)} dimensions; the limit is "
            f"{max_rank}, as in TFLite"
        )
    if math.prod(y.shape) > np.iinfo(np.int32).max:
        raise node.refuse(f"shapes {a.shape} and {b.shape} broadcast to more than 2**31 - 1 elements")
    return a, b, y, dtype


def fused_activation(node: Node) -> str:
    """Return the name of the fused activation."""
    return str(node.options.get("fused_activation_function", "NONE"))


def lower_arithmetic(node: Node, op: str, a: Operand, b: Operand, dtype: str) -> KernelCall:
    """Lower the form without scales: float32, int32, int64."""
    low, high = float_bounds(node, fused_activation(node))
    if dtype == "float32":
        return kernels.arithmetic_f32_call(
            op, shape1=a.shape, shape2=b.shape, activation_min=low, activation_max=high
        )
    tmin, tmax = type_bounds(dtype)
    call = kernels.arithmetic_s32_call if dtype == "int32" else kernels.arithmetic_s64_call
    # a bound beyond the dtype is the largest float, which stands for none
    return call(
        op,
        shape1=a.shape,
        shape2=b.shape,
        activation_min=tmin if low < tmin else int(low),
        activation_max=tmax if high > tmax else int(high),
    )


def add_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the real multipliers of the inputs, to the common scale, and of the sum, to the output's."""
    if node.output.dtype not in QUANTIZED:
        return {}
    a, b, y = (np.float64(o.scale) for o in (node.input(0), node.input(1), node.output))
    common = 2 * max(a, b)
    return {
        "input1": np.array([a / common]),
        "input2": np.array([b / common]),
        "output": np.array([common / (2**LEFT_SHIFT * y)]),
    }


@operator("ADD", "SUB", dtypes=DTYPES, max_version=5, page="add", multipliers=add_multipliers)
def lower_add(node: Node) -> KernelCall:
    """Lower ADD and SUB."""
    a, b, y, dtype = broadcast_operands(node)
    op = node.op.op.lower()
    if dtype not in QUANTIZED:
        return lower_arithmetic(node, op, a, b, dtype)
    per_tensor(node, a, b, y)
    real = add_multipliers(node)
    fixed = {role: quantize_multiplier(value[0]) for role, value in real.items()}
    if real["output"][0] >= 1 or fixed["output"][1] > 0:
        raise node.refuse(
            f"the output's scale {y.scale} is too small for the inputs' {a.scale} and {b.scale}: the "
            f"multiplier of the sum is {real['output'][0]:g}, expected less than 1 (TFLite aborts in ADD and "
            "is undefined in SUB)"
        )
    low, high = quantized_bounds(node, fused_activation(node), y)
    return kernels.add_call(
        op,
        dtype,
        shape1=a.shape,
        shape2=b.shape,
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


def mul_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_1 * s_2 / s_output}``."""
    if node.output.dtype not in QUANTIZED:
        return {}
    return {"output": product_multiplier(node, node.input(0).scale, node.input(1).scale, node.output.scale)}


@operator("MUL", dtypes=DTYPES, max_version=7, page="mul", multipliers=mul_multipliers)
def lower_mul(node: Node) -> KernelCall:
    """Lower MUL."""
    a, b, y, dtype = broadcast_operands(node)
    if dtype not in QUANTIZED:
        return lower_arithmetic(node, "mul", a, b, dtype)
    per_tensor(node, a, b, y)
    return kernels.mul_call(
        dtype,
        shape1=a.shape,
        shape2=b.shape,
        input1_offset=-a.zero_point,
        input2_offset=-b.zero_point,
        requant=make_requant(node, mul_multipliers(node)["output"], y, fused_activation(node)),
    )


@operator("MAXIMUM", "MINIMUM", dtypes=SELECTED, max_version=4, page="maximum")
def lower_selection(node: Node) -> KernelCall:
    """Lower MAXIMUM and MINIMUM. Stored values are compared: TFLite, too, ignores scales that differ."""
    a, b, _, dtype = broadcast_operands(node, SELECTED, MAX_SELECTION_RANK)
    return kernels.selection_call(node.op.op.lower(), dtype, shape1=a.shape, shape2=b.shape)
