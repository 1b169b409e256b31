"""Checks of operands that arithmetic operators share.

A file may say anything: a kernel gets pointers and trusts counts, dtypes and offsets, so that they are
checked here.
"""

from __future__ import annotations

import numpy as np

from quantcore.ops.node import Node, Operand

__all__ = [
    "check_dtypes",
    "check_operands",
    "check_packed",
    "check_variable",
    "check_zero_points",
    "per_tensor",
]


def check_operands(node: Node, inputs: int, outputs: int = 1) -> None:
    """Refuse an operator that does not have as many operands as its kind takes."""
    if len(node.inputs) != inputs or len(node.outputs) != outputs:
        raise node.refuse(
            f"has {len(node.inputs)} inputs and {len(node.outputs)} outputs; expected {inputs} and {outputs}"
        )


def check_dtypes(node: Node, supported: tuple[str, ...], *operands: Operand) -> str:
    """Return the dtype that all `operands` have; refuse different or not `supported` ones."""
    found = {o.dtype for o in operands}
    if len(found) > 1:
        listed = ", ".join(f"tensor {o.index}: {o.dtype}" for o in operands)
        raise node.refuse(f"dtypes differ ({listed}); expected one dtype for all")
    dtype = operands[0].dtype
    if dtype not in supported:
        raise node.refuse(f"dtype is {dtype}; supported: {', '.join(supported)}")
    return dtype


def per_tensor(node: Node, *operands: Operand) -> None:
    """Refuse operands without one finite, positive scale and a zero point in the range of their dtype."""
    for operand in operands:
        if not operand.quantized:
            raise node.refuse(f"tensor {operand.index} is {operand.dtype} without a scale; quantize it")
        if not (np.isfinite(operand.scale) and operand.scale > 0):
            raise node.refuse(
                f"the scale of tensor {operand.index} is {operand.scale}; expected a positive number"
            )
    check_zero_points(node, *operands)


def check_packed(node: Node, operand: Operand) -> None:
    """Refuse 4-bit numbers that are not a constant of the file, two in a byte."""
    data = operand.tensor.data
    if data is None or data.dtype != np.uint8 or data.size != (operand.count + 1) // 2:
        raise node.refuse(
            f"tensor {operand.index} is {operand.dtype} and computed at run time; expected a constant"
        )


def check_variable(node: Node, *operands: Operand) -> None:
    """Refuse state that does not persist, or has a constant value, which a kernel must not write to."""
    for operand in operands:
        if not operand.tensor.is_variable or operand.value is not None:
            raise node.refuse(f"tensor {operand.index} holds state; expected a variable without a value")


def check_zero_points(node: Node, *operands: Operand) -> None:
    """Refuse zero points outside the range of their dtype."""
    for operand in operands:
        info = np.iinfo(operand.dtype)
        if not info.min <= operand.zero_point <= info.max:
            raise node.refuse(
                f"the zero point of tensor {operand.index} is {operand.zero_point}; {operand.dtype} holds "
                f"{info.min} to {info.max}"
            )
