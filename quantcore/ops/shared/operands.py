"""Checks of an operator's operands: how many, of which dtypes, with which scales and zero points.

A file may say anything: a kernel gets pointers and trusts counts, dtypes and offsets, so that they are
checked here.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from quantcore.ops.node import Node, Operand
from quantcore.wording import counted

__all__ = [
    "check_dtypes",
    "check_fixed_output",
    "check_image",
    "check_operands",
    "check_packed",
    "check_scales",
    "check_symmetric",
    "check_variable",
    "check_zero_points",
    "per_tensor",
    "same_dtype",
    "same_parameters",
    "same_parameters_if_delegated",
    "single_scales",
    "unary_operands",
]


def check_operands(node: Node, inputs: int | tuple[int, ...], outputs: int = 1) -> None:
    """Refuse an operator that does not have as many operands as its kind takes; `inputs` may be a choice."""
    counts = (inputs,) if isinstance(inputs, int) else inputs
    if len(node.inputs) not in counts or len(node.outputs) != outputs:
        expected = " or ".join([*map(str, counts[:-1]), counted(counts[-1], "input")])
        raise node.refuse(
            f"has {counted(len(node.inputs), 'input')} and {counted(len(node.outputs), 'output')}; expected "
            f"{expected} and {counted(outputs, 'output')}"
        )


def unary_operands(node: Node) -> tuple[Operand, Operand, str]:
    """Check an operator from one tensor to another of its shape and dtype, and set the output's shape.

    Returns ``(input, output, dtype)``.
    """
    check_operands(node, 1)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, node.dtypes, x, y)
    y.shape = x.shape
    return x, y, dtype


def check_dtypes(node: Node, supported: Collection[str], *operands: Operand) -> str:
    """Return the dtype that all `operands` have; refuse different or not `supported` ones."""
    same_dtype(node, *operands)
    dtype = operands[0].dtype
    if dtype not in supported:
        listed = ", ".join(str(o.index) for o in operands)
        raise node.refuse(f"dtype is {dtype} (tensor {listed}); supported: {', '.join(supported)}")
    return dtype


def same_dtype(node: Node, *operands: Operand) -> None:
    """Refuse operands of different dtypes."""
    if len({o.dtype for o in operands}) > 1:
        found = ", ".join(f"tensor {o.index}: {o.dtype}" for o in operands)
        raise node.refuse(f"dtypes differ ({found}); expected one dtype for all")


def check_image(node: Node, x: Operand) -> None:
    """Refuse an input that is not a batch of images."""
    if len(x.shape) != 4:
        raise node.refuse(f"input has shape {x.shape}; expected four dimensions (NHWC)")


def check_scales(node: Node, *operands: Operand) -> None:
    """Refuse operands as `per_tensor` and `check_symmetric` do."""
    per_tensor(node, *operands)
    check_symmetric(node, *operands)


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


def check_zero_points(node: Node, *operands: Operand) -> None:
    """Refuse zero points outside the range of their dtype."""
    for operand in operands:
        info = np.iinfo(operand.dtype)
        if not info.min <= operand.zero_point <= info.max:
            raise node.refuse(
                f"the zero point of tensor {operand.index} is {operand.zero_point}; {operand.dtype} holds "
                f"{info.min} to {info.max}"
            )


def check_symmetric(node: Node, *operands: Operand) -> None:
    """Refuse zero points of int16 other than 0, as TFLite does."""
    found = [o.zero_point for o in operands if o.dtype == "int16"]
    if any(found):
        raise node.refuse(f"int16 zero points are {', '.join(map(str, found))}; expected 0")


def check_fixed_output(node: Node, scale: float, zero_point: int, *, tolerance: float = 0.0) -> None:
    """Refuse an output with other parameters than the ones that TFLite's kernel computes for."""
    y = node.output
    if y.zero_point != zero_point or not abs(float(y.scale) / scale - 1) <= tolerance:
        raise node.refuse(
            f"output has scale {y.scale} and zero point {y.zero_point}; {y.dtype} expects "
            f"1/{round(1 / scale)} and {zero_point}"
        )


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


def same_parameters(node: Node, *operands: Operand) -> None:
    """Refuse operands whose scale or zero point differ: the operator copies and cannot rescale."""
    found = {(float(o.scale) if o.quantized else 0.0, o.zero_point) for o in operands}
    if len(found) > 1:
        listed = ", ".join(f"scale {scale} zero point {zero_point}" for scale, zero_point in sorted(found))
        raise node.refuse(
            f"quantization parameters differ ({listed}); the operator copies, so they must be equal"
        )


def single_scales(x: Operand, y: Operand) -> bool:
    """Whether both operands have one scale each."""
    return x.quantized and y.quantized and x.scales.size == y.scales.size == 1


def same_parameters_if_delegated(node: Node, x: Operand, y: Operand) -> None:
    """Refuse 8-bit operands whose parameters differ under a profile with a delegate.

    XNNPACK takes the copy, finds that it would have to rescale, and TFLite does not fall back.
    """
    if node.profile.fallback is not None and x.dtype in ("int8", "uint8") and single_scales(x, y):
        same_parameters(node, x, y)
