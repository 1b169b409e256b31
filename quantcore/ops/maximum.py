"""MAXIMUM and MINIMUM."""

from __future__ import annotations

from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.elementwise import broadcast_operands, delegated_float
from quantcore.ops.shared.quantization_rule import JOINED
from quantcore.ops.shared.version_rules import broadcasts_beyond, dtype_of

MAX_RANK = 5  # TFLite's kernel broadcasts over five dimensions


def extreme_version(node: Node) -> int:
    """Return 4 for int16, 3 where more than 4 dimensions broadcast, 2 for int8."""
    dtype = dtype_of(node, 0)
    if dtype == "int16":
        return 4
    return 3 if broadcasts_beyond(node, 4) else 2 if dtype == "int8" else 1


@operator(
    "MAXIMUM",
    "MINIMUM",
    dtypes=("int8", "uint8", "float32", "int32", "int64", "int16"),
    max_version=4,
    version=extreme_version,
    int16x8_version=2,
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
    a, b, _, dtype = broadcast_operands(node, MAX_RANK)
    flushed = node.rule.form == "flushed"
    return kernels.selection_call(node.op.op.lower(), dtype, shape1=a.shape, shape2=b.shape, flushed=flushed)
