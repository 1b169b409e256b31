"""RANGE."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import known_output
from quantcore.ops.shared.operands import check_dtypes, check_operands
from quantcore.ops.shared.version_rules import by_dtype

LARGEST = 2**26  # elements that a range computed while lowering may have


def length(node: Node, start: Any, limit: Any, delta: Any) -> int:
    """Return the number of elements: the quotient rounded up, formed in the dtype."""
    if delta == 0 or not np.isfinite([start, limit, delta]).all():
        raise node.refuse(f"goes from {start} to {limit} by {delta}; expected a step that is not 0")
    if (delta > 0) != (start < limit) and start != limit:
        raise node.refuse(f"a step of {delta} does not lead from {start} to {limit}")
    if start.dtype.kind == "f":
        with np.errstate(over="ignore"):
            quotient = abs(float((limit - start) / delta))
        return math.ceil(min(quotient, 2.0**62))
    return -(-abs(int(limit) - int(start)) // abs(int(delta)))


@operator(
    "RANGE",
    dtypes=("float32", "int32", "int64"),
    max_version=2,
    registered={"BUILTIN_REF": 1},
    version=by_dtype(int64=2),
    page="tile",
    rules={"optimized": {"float32, int32, int64": Rule()}},
)
def lower_range(node: Node) -> KernelCall:
    """Lower RANGE; start, limit and delta must be known before running, and so is the output."""
    check_operands(node, 3)
    y = node.output
    check_dtypes(node, node.dtypes, *(node.input(i) for i in range(3)), y)
    values = [node.known_value(i) for i in range(3)]
    if any(value.size != 1 for value in values):
        raise node.refuse(f"inputs have shapes {[value.shape for value in values]}; expected scalars")
    start, limit, delta = (value.reshape(-1)[0] for value in values)
    count = length(node, start, limit, delta)
    if count > LARGEST:
        raise node.refuse(f"has {count} elements; supported are up to {LARGEST}")
    steps = np.full(count, delta, y.dtype)
    steps[:1] = start
    # one step after the other, as TFLite adds
    return known_output(node, np.add.accumulate(steps, dtype=y.dtype))
