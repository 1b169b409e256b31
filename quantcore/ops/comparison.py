"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL; LOGICAL_AND, LOGICAL_OR, LOGICAL_NOT."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import comparison as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import broadcast
from quantcore.ops.shared.operands import check_dtypes, check_operands, per_tensor, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import fixed_point
from quantcore.ops.shared.version_rules import by_dtype

LEFT_SHIFT = 8  # extra bits of a quantized value before it is multiplied by its scale
MAX_BROADCAST_RANK = 4  # of TFLite's reference kernels
EQUALITY = ("EQUAL", "NOT_EQUAL")
COMPARED = ("float32", "int8", "uint8", "int32", "int64")


def comparison_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the factors of the two inputs: their scales."""
    if not is_scaled(node, node.input(0)):
        return {}
    return {f"input{k + 1}": np.array([node.input(k).scale], np.float64) for k in (0, 1)}


def is_scaled(node: Node, x: Operand) -> bool:
    """Return whether values are compared by their scales: 8-bit integers always, int16 if it has one."""
    return x.dtype in ("int8", "uint8") or (x.dtype == "int16" and x.quantized)


def supported_dtypes(node: Node) -> tuple[str, ...]:
    """Return the dtypes that the backend compares."""
    extra = ("bool", "int16") if node.op.op in EQUALITY else ()
    if node.rule.form == "tflm":
        return tuple(dtype for dtype in (*COMPARED, *extra) if dtype not in ("uint8", "int16"))
    return (*COMPARED, *extra)


def compared_operands(node: Node, dtypes: tuple[str, ...]) -> tuple[Operand, Operand, str]:
    """Check the operands, set the output's shape, and return the inputs and their dtype."""
    check_operands(node, 2)
    a, b, y = node.input(0), node.input(1), node.output
    dtype = check_dtypes(node, dtypes, a, b)
    check_dtypes(node, ("bool",), y)
    y.shape = broadcast(node, MAX_BROADCAST_RANK, a, b)
    return a, b, dtype


@operator(
    "EQUAL",
    "NOT_EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    dtypes=("bool",),
    max_version=4,
    version={
        "EQUAL": by_dtype(int8=2, int16=5, string=3),
        "NOT_EQUAL": by_dtype(int8=2, int16=4, string=3),
        "GREATER": by_dtype(int8=2),
        "GREATER_EQUAL": by_dtype(int8=2, int16=3),
        "LESS": by_dtype(int8=2, int16=3),
        "LESS_EQUAL": by_dtype(int8=2),
    },
    int16x8_version=2,
    page="comparison",
    rules={"optimized": {"bool": Rule()}, "tflm": {"bool": Rule(form="tflm")}},
    multipliers=comparison_multipliers,
    quantization=dict.fromkeys(("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), OWN_SCALE_INT8),
)
def lower_comparison(node: Node) -> KernelCall:
    """Lower a comparison."""
    a, b, dtype = compared_operands(node, supported_dtypes(node))
    if not is_scaled(node, a):
        if dtype == "int16" and node.op.op == "NOT_EQUAL":
            raise node.refuse("int16 without a scale; expected one, without which TFLite writes no output")
        return kernels.compare_call(node.op.op, dtype, shape1=a.shape, shape2=b.shape)
    per_tensor(node, a, b)
    parts = [scale_factor(node, operand) for operand in (a, b)]
    return kernels.compare_scaled_call(
        node.op.op,
        dtype,
        shape1=a.shape,
        shape2=b.shape,
        left_shift=LEFT_SHIFT,
        input1_offset=-a.zero_point,
        input1_multiplier=parts[0][0],
        input1_shift=parts[0][1],
        input2_offset=-b.zero_point,
        input2_multiplier=parts[1][0],
        input2_shift=parts[1][1],
    )


def scale_factor(node: Node, x: Operand) -> tuple[int, int]:
    """Return a scale as (multiplier, shift)."""
    if x.scale >= 1:
        raise node.refuse(
            f"tensor {x.index} has scale {x.scale}; expected less than 1; from 1 on "
            "TFLite shifts by a negative number"
        )
    return fixed_point(node, x.scale)


@operator(
    "LOGICAL_AND",
    "LOGICAL_OR",
    dtypes=("bool",),
    max_version=1,
    page="comparison",
    rules={"optimized": {"bool": Rule()}, "tflm": {"bool": Rule(form="tflm")}},
)
def lower_logical(node: Node) -> KernelCall:
    """Lower LOGICAL_AND and LOGICAL_OR."""
    a, b, dtype = compared_operands(node, ("bool",))
    return kernels.compare_call(node.op.op, dtype, shape1=a.shape, shape2=b.shape)


@operator(
    "LOGICAL_NOT",
    dtypes=("bool",),
    max_version=1,
    page="comparison",
    rules={"optimized": {"bool": Rule()}, "tflm": {"bool": Rule(form="tflm")}},
)
def lower_logical_not(node: Node) -> KernelCall:
    """Lower LOGICAL_NOT."""
    x, _, _ = unary_operands(node)
    return kernels.logical_not_call(count=x.count)
