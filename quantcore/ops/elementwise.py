"""What element-wise operators with two inputs share: broadcasting, and arithmetic without scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Operator, Tensor
from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.delegate import delegable
from quantcore.ops.node import Node, Operand
from quantcore.ops.operands import check_dtypes, check_operands
from quantcore.ops.quantization_rule import JOINED
from quantcore.ops.registry import operator
from quantcore.ops.requant import FLOAT_BOUNDS, float_bounds, type_bounds
from quantcore.ops.version_rules import broadcasts_beyond, dtype_of

__all__ = [
    "broadcast_operands",
    "delegable_pair",
    "delegated_float",
    "fused_activation",
    "lower_arithmetic",
    "lower_flushed",
    "walked_in_rows",
]

DTYPES = ("int8", "uint8", "float32", "int32", "int64")
SELECTED = (*DTYPES, "int16")

# TFLite's reference kernels index arrays of so many dimensions. Above, they run past the end of the arrays
# (ADD, SUB) or end the process.
MAX_BROADCAST_RANK = 6
MAX_SELECTION_RANK = 5
MAX_MICRO_RANK = 4  # TFLite Micro broadcasts over four dimensions
MAX_DELEGATED_RANK = 6  # XNNPACK's tensors

FLOAT_MIN, FLOAT_MAX = FLOAT_BOUNDS["NONE"]


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
    if node.profile.micro:
        max_rank = min(max_rank, MAX_MICRO_RANK)
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
        if node.rule.form == "flushed":
            return lower_flushed(node, op, a, b)
        return kernels.arithmetic_f32_call(
            op, shape1=a.shape, shape2=b.shape, activation_min=low, activation_max=high
        )
    if node.rule.form == "unbounded":
        low, high = float_bounds(node, "NONE")
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


def lower_flushed(node: Node, op: str, a: Operand, b: Operand) -> KernelCall:
    """Lower XNNPACK's float32: subnormals are zeros, and there is no bound where the activation has none."""
    low, high = float_bounds(node, fused_activation(node))
    return kernels.arithmetic_f32_call(
        op,
        shape1=a.shape,
        shape2=b.shape,
        activation_min=-math.inf if low == FLOAT_MIN else low,
        activation_max=math.inf if high == FLOAT_MAX else high,
        flushed=True,
    )


def walked_in_rows(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> bool:
    """Whether TFLite's optimized kernels walk two shapes that broadcast row by row, by vector code.

    From the last dimension outwards, they allow dimensions that are equal, then such in which one input
    repeats, equal ones, such in which the other input repeats, equal ones. Any other pattern is left to the
    reference kernel. Source: TFLite ``kernels/internal/reference/process_broadcast_shapes.h``.
    """
    rank = max(len(shape1), len(shape2))
    sizes1, sizes2 = ((1,) * (rank - len(s)) + tuple(s) for s in (shape1, shape2))
    pairs = list(zip(sizes1, sizes2, strict=True))
    unequal = [pair for pair in reversed(pairs) if pair[0] != pair[1]]
    if unequal and unequal[0][0] != 1:  # the input that repeats in the innermost such dimension comes first
        pairs = [(b, a) for a, b in pairs]

    def equal(pair: tuple[int, int]) -> bool:
        return pair[0] == pair[1]

    def first_repeats(pair: tuple[int, int]) -> bool:
        return pair[0] == 1

    def second_repeats(pair: tuple[int, int]) -> bool:
        return pair[1] == 1

    for matches in (equal, first_repeats, equal, second_repeats, equal):
        while pairs and matches(pairs[-1]):
            pairs.pop()
    return not pairs


def delegable_pair(node: Node, dtypes: tuple[str, ...]) -> bool:
    """Whether XNNPACK takes the operands: one dtype of `dtypes`, and not too many dimensions."""
    if len(node.inputs) != 2 or len(node.outputs) != 1:
        return False
    operands = (node.input(0), node.input(1), node.output)
    return (
        len({o.dtype for o in operands}) == 1
        and all(delegable(o, dtypes) for o in operands)
        and all(len(o.shape) <= MAX_DELEGATED_RANK and 0 not in o.shape for o in operands[:2])
    )


def delegated_float(node: Node) -> bool:
    """Whether XNNPACK takes an operator that it has for float32 alone."""
    return delegable_pair(node, ("float32",))


def extreme_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return 4 for int16, 3 where more than 4 dimensions broadcast, 2 for int8."""
    dtype = dtype_of(inputs, 0)
    if dtype == "int16":
        return 4
    return 3 if broadcasts_beyond(inputs, 4) else 2 if dtype == "int8" else 1


@operator(
    "MAXIMUM",
    "MINIMUM",
    dtypes=SELECTED,
    max_version=4,
    version=extreme_version,
    int16x8_version=2,
    page="maximum",
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64": Rule()},
        "xnnpack": {"float32": Rule(form="flushed")},
        "tflm": {"float32, int8, int16, int32, int64": Rule()},
    },
    xnnpack=delegated_float,
    quantization=JOINED,
)
def lower_selection(node: Node) -> KernelCall:
    """Lower MAXIMUM and MINIMUM. Stored values are compared: TFLite, too, ignores scales that differ."""
    a, b, _, dtype = broadcast_operands(node, SELECTED, MAX_SELECTION_RANK)
    flushed = node.rule.form == "flushed"
    return kernels.selection_call(node.op.op.lower(), dtype, shape1=a.shape, shape2=b.shape, flushed=flushed)
