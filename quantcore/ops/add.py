"""ADD, SUB: two inputs that broadcast, and a fused activation."""

from __future__ import annotations

import math

import numpy as np

from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import walked_in_rows
from quantcore.ops.shared.elementwise import (
    Body,
    broadcast_operands,
    common_scale_multipliers,
    delegable_pair,
    lower_arithmetic,
    lower_on_common_scale,
)
from quantcore.ops.shared.operands import check_scales
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import fused_activation, power_of_two, quantized_bounds
from quantcore.ops.shared.version_rules import broadcasts_beyond, dtype_of

# extra bits of the sum: 9 (17) bits of q - zero point and a factor below 2 stay within int32
LEFT_SHIFT = {"int8": 20, "uint8": 20, "int16": 15}
REPEATED_BLOCK = 8  # of 8-bit rows in which one input is a single element, in TFLite's optimized ADD
MAX_SHIFT = 15
DELEGATED_RATIOS = (2.0**-10, 2.0**8)  # XNNPACK: at least, below


def add_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the real multipliers of the inputs, to the common scale, and of the sum, to the output's."""
    if node.output.dtype not in LEFT_SHIFT:
        return {}
    return common_scale_multipliers(node, LEFT_SHIFT[node.output.dtype])


def scale_ratios(node: Node) -> tuple[np.float32, np.float32]:
    """Return the inputs' scales divided by the output's, in float32."""
    with np.errstate(all="ignore"):  # the delegate declines what is not finite
        return node.input(0).scale / node.output.scale, node.input(1).scale / node.output.scale


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator: float32, or 8 bits with scales that are not too far apart."""
    if not delegable_pair(node, ("float32", "int8", "uint8")):
        return False
    low, high = DELEGATED_RATIOS
    return node.output.dtype == "float32" or all(low <= ratio < high for ratio in scale_ratios(node))


def add_version(node: Node) -> int:
    """Return the version of ADD or SUB."""
    dtype, add = dtype_of(node, 0), node.op.op == "ADD"
    if dtype == "int16" and not node.options["pot_scale_int16"]:
        return 3 if add else 5
    if dtype == "int64":
        return 4
    if not add and broadcasts_beyond(node, 4):
        return 3
    return 2 if dtype == "int8" else 1


@operator(
    "ADD",
    "SUB",
    dtypes=(*LEFT_SHIFT, "float32", "int32", "int64"),
    max_version=5,
    version=add_version,
    int16x8_version=2,
    rules={
        "ADD": {
            "optimized": {
                "float32, int32, int64": Rule(),
                "int8, int16": Rule(form="combined", block=16),
                "uint8": Rule(form="truncated", block=8),
            },
            "xnnpack": {
                "float32": Rule(form="flushed"),
                "int8, uint8": Rule(form="weighted_sum", bounds="xnnpack"),
            },
            "tflm": {"float32, int8": Rule(), "int16": Rule(form="general"), "int32": Rule(form="unbounded")},
        },
        "SUB": {
            "optimized": {"float32, int8, uint8, int16, int32, int64": Rule()},
            "xnnpack": {
                "float32": Rule(form="flushed"),
                "int8, uint8": Rule(form="weighted_sum", bounds="xnnpack"),
            },
            "tflm": {"float32, int8, int32": Rule(), "int16": Rule(form="general")},
        },
    },
    multipliers=add_multipliers,
    xnnpack=delegated,
    quantization=OWN_SCALE,
    in_place=(0, 1),
)
def lower_add(node: Node) -> KernelCall:
    """Lower ADD and SUB."""
    a, b, y, dtype = broadcast_operands(node)
    op = node.op.op.lower()
    if dtype not in LEFT_SHIFT:
        return lower_arithmetic(node, op, a, b, dtype)
    check_scales(node, a, b, y)
    if node.rule.form == "weighted_sum":
        return lower_weighted_sum(node, a, b, y)
    if dtype == "int16":
        exponents = power_of_two_exponents(node, a, b, y)
        if exponents is not None:
            return lower_shifted_sum(node, a, b, y, exponents)
    bounds = quantized_bounds(node, fused_activation(node), y)
    return lower_on_common_scale(
        node, op, LEFT_SHIFT[dtype], add_multipliers(node), bounds, vector_bodies(node, a, b)
    )


def vector_bodies(node: Node, a: Operand, b: Operand) -> tuple[Body, Body]:
    """Return the vector bodies of rows in which both inputs advance, and of those in which one repeats."""
    rule = node.rule
    if not rule.block or not walked_in_rows(a.shape, b.shape):
        return None, None
    if node.output.dtype == "int16":  # vector code for equal shapes alone
        same = a.count == b.count == node.output.count
        return ((rule.block, rule.form), None) if same else (None, None)
    return (rule.block, rule.form), (REPEATED_BLOCK, "truncated")


def power_of_two_exponents(node: Node, *operands: Operand) -> list[int] | None:
    """Return the base-2 logarithms of the scales, where the model asks for shifts and they allow it.

    TFLite Micro ignores the option.
    """
    if node.rule.form == "general" or not node.options["pot_scale_int16"]:
        return None
    exponents = [e for e in (power_of_two(o.scale) for o in operands) if e is not None]
    return exponents if len(exponents) == len(operands) else None


def lower_shifted_sum(node: Node, a: Operand, b: Operand, y: Operand, exponents: list[int]) -> KernelCall:
    """Lower the form on int16 with power-of-two scales: the input with the smaller scale is shifted."""
    shift1, shift2 = exponents[2] - exponents[0], exponents[2] - exponents[1]
    if min(shift1, shift2) != 0 or max(shift1, shift2) > MAX_SHIFT:
        raise node.refuse(
            f"scales are 2**{exponents[0]}, 2**{exponents[1]} and 2**{exponents[2]}: with pot_scale_int16, "
            f"one input must have the output's scale, the other that or up to 2**-{MAX_SHIFT} of it"
        )
    if node.op.op == "ADD" and not a.count == b.count == y.count:
        raise node.refuse(
            f"shapes are {a.shape} and {b.shape}: with pot_scale_int16 ADD does not broadcast (TFLite reads "
            "past the end of its inputs)"
        )
    low, high = quantized_bounds(node, fused_activation(node), y)
    return kernels.shifted_sum_call(
        node.op.op.lower(),
        shape1=a.shape,
        shape2=b.shape,
        shift1=shift1,
        shift2=shift2,
        activation_min=low,
        activation_max=high,
    )


def lower_weighted_sum(node: Node, a: Operand, b: Operand, y: Operand) -> KernelCall:
    """Lower XNNPACK's form: one fixed-point sum of both inputs, the larger weight with 21 bits."""
    ratios = scale_ratios(node)
    shift = 20 - (math.frexp(max(ratios))[1] - 1)
    weights = [int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios]
    low, high = quantized_bounds(node, fused_activation(node), y)
    return kernels.weighted_sum_call(
        y.dtype,
        shape1=a.shape,
        shape2=b.shape,
        input1_offset=-a.zero_point,
        input2_offset=-b.zero_point,
        weight1=weights[0],
        weight2=weights[1] if node.op.op == "ADD" else -weights[1],
        shift=shift,
        output_offset=y.zero_point,
        activation_min=low,
        activation_max=high,
    )
