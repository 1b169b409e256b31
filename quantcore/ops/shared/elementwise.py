"""What element-wise operators with two inputs share: arithmetic without scales, or on a common scale."""

from __future__ import annotations

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.node import Node, Operand
from quantcore.ops.shared.broadcasting import broadcast
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.requant import float_bounds, integer_bounds, open_float_bounds, type_bounds
from quantcore.ops.shared.xnnpack import MAX_DELEGATED_RANK, delegable

__all__ = [
    "Body",
    "broadcast_operands",
    "common_scale_multipliers",
    "delegable_pair",
    "delegated_float",
    "lower_arithmetic",
    "lower_on_common_scale",
]


# TFLite's reference kernels index arrays of so many dimensions. Above, they run past the end of the arrays
# (ADD, SUB) or end the process.
MAX_BROADCAST_RANK = 6

Body = tuple[int, str] | None  # width and variant of a backend's vector code, where it rounds otherwise


def broadcast_operands(
    node: Node, max_rank: int = MAX_BROADCAST_RANK
) -> tuple[Operand, Operand, Operand, str]:
    """Check the operands, set the output's shape, and return ``(input 1, input 2, output, dtype)``."""
    check_operands(node, 2)
    a, b, y = node.input(0), node.input(1), node.output
    dtype = check_dtypes(node, node.dtypes, a, b, y)
    y.shape = broadcast(node, max_rank, a, b)
    return a, b, y, dtype


def lower_arithmetic(node: Node, op: str, a: Operand, b: Operand, dtype: str) -> KernelCall:
    """Lower the form without scales: float32, int32, int64.

    XNNPACK's float32 takes subnormals for zeros, and has no bound where the activation has none.
    """
    if dtype == "float32":
        flushed = node.rule.form == "flushed"
        low, high = open_float_bounds(node) if flushed else float_bounds(node)
        return kernels.arithmetic_f32_call(
            op, shape1=a.shape, shape2=b.shape, activation_min=low, activation_max=high, flushed=flushed
        )
    least, largest = integer_bounds(node, dtype)
    if node.rule.form == "unbounded":
        least, largest = type_bounds(dtype)
    call = kernels.arithmetic_s32_call if dtype == "int32" else kernels.arithmetic_s64_call
    return call(op, shape1=a.shape, shape2=b.shape, activation_min=least, activation_max=largest)


def common_scale_multipliers(node: Node, left_shift: int, *, squared: bool = False) -> dict[str, np.ndarray]:
    """Return the real multipliers of the inputs, to a common scale, and of the result, to the output's.

    The common scale is twice the larger one; the result has its square where it is `squared`.
    """
    a, b, y = (np.float64(o.scale) for o in (node.input(0), node.input(1), node.output))
    common = 2 * max(a, b)
    result = common * common if squared else common
    return {
        "input1": np.array([a / common]),
        "input2": np.array([b / common]),
        "output": np.array([result / (2 ** ((2 if squared else 1) * left_shift) * y)]),
    }


def lower_on_common_scale(
    node: Node,
    op: str,
    left_shift: int,
    real: dict[str, np.ndarray],
    bounds: tuple[int, int],
    bodies: tuple[Body, Body] = (None, None),
) -> KernelCall:
    """Lower an operator that brings its inputs to a common scale, by `common_scale_multipliers`."""
    a, b, y = node.input(0), node.input(1), node.output
    fixed = {role: quantize_multiplier(value[0]) for role, value in real.items()}
    if real["output"][0] >= 1 or fixed["output"][1] > 0:
        raise node.refuse(
            f"the output's scale {y.scale} is too small for the inputs' {a.scale} and {b.scale}: it gives "
            f"the multiplier {real['output'][0]:g}, expected less than 1 (TFLite aborts; SUB is undefined)"
        )
    return kernels.add_call(
        op,
        y.dtype,
        shape1=a.shape,
        shape2=b.shape,
        left_shift=left_shift,
        input1_offset=-a.zero_point,
        input1_multiplier=fixed["input1"][0],
        input1_shift=fixed["input1"][1],
        input2_offset=-b.zero_point,
        input2_multiplier=fixed["input2"][0],
        input2_shift=fixed["input2"][1],
        output_offset=y.zero_point,
        output_multiplier=fixed["output"][0],
        output_shift=fixed["output"][1],
        activation_min=bounds[0],
        activation_max=bounds[1],
        body=bodies[0],
        repeated_body=bodies[1],
    )


def delegable_pair(node: Node, dtypes: tuple[str, ...]) -> bool:
    """Whether XNNPACK takes the operands: one dtype of `dtypes`, and not too many dimensions."""
    if len(node.inputs) != 2 or len(node.outputs) != 1:
        return False
    operands = (node.input(0), node.input(1), node.output)
    return (
        len({o.dtype for o in operands}) == 1
        and delegable(dtypes, *operands)
        and all(len(o.shape) <= MAX_DELEGATED_RANK and 0 not in o.shape for o in operands[:2])
    )


def delegated_float(node: Node) -> bool:
    """Whether XNNPACK takes an operator that it has for float32 alone."""
    return delegable_pair(node, ("float32",))
