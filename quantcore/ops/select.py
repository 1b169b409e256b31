"""SELECT, SELECT_V2: one of two inputs, by a condition."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import select as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import broadcast, broadcast_strides
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.quantization_rule import JOINED, SAME_SCALE_INT8
from quantcore.ops.shared.version_rules import rank_of

MAX_RANK = 5  # TFLite's kernel broadcasts over five dimensions
MAX_DIMENSIONS = 8


def select_version(node: Node) -> int:
    """Return 3 where a tensor has 5 dimensions."""
    return 3 if 5 in [rank_of(node, position) for position in range(3)] else 1


@operator(
    "SELECT",
    "SELECT_V2",
    dtypes=("int8", "uint8", "int16", "int32", "int64", "float32", "bool"),
    max_version=4,
    version={"SELECT": select_version},
    rules={
        "SELECT": {"optimized": {"any": Rule()}},
        "SELECT_V2": {"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16": Rule()}},
    },
    quantization={"SELECT": JOINED, "SELECT_V2": SAME_SCALE_INT8},
)
def lower_select(node: Node) -> KernelCall:
    """Lower SELECT, whose condition is of the inputs' shape or picks whole rows, and SELECT_V2."""
    check_operands(node, 3)
    condition, a, b = (node.input(k) for k in range(3))
    check_dtypes(node, ("bool",), condition)
    dtype = check_dtypes(node, node.dtypes, a, b, node.output)
    shape = condition.shape
    if node.op.op == "SELECT":
        if a.shape != b.shape:
            raise node.refuse(f"inputs have shapes {a.shape} and {b.shape}; expected one shape")
        if shape not in ((), a.shape[:1], a.shape):
            raise node.refuse(
                f"the condition has shape {shape}; expected {a.shape}, its first dimension or a scalar"
            )
        if shape != a.shape and len(shape) == 1:
            shape = (*shape, *(1 for _ in a.shape[1:]))
        node.output.shape = a.shape
    else:
        node.output.shape = broadcast(node, MAX_RANK, condition, a, b)
    full = node.output.shape or (1,)
    if len(full) > MAX_DIMENSIONS:
        raise node.refuse(f"the output has {len(full)} dimensions; the limit is {MAX_DIMENSIONS}")
    strides = [broadcast_strides(s, full) for s in (shape, a.shape, b.shape)]
    return kernels.select_call(np.dtype(dtype).itemsize, full, *strides)
