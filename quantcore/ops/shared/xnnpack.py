"""What the XNNPACK delegate takes, as far as operators have it in common.

Source: TFLite ``delegates/xnnpack/xnnpack_delegate.cc``.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from quantcore.ops.node import Node, Operand

__all__ = [
    "MAX_DELEGATED_RANK",
    "VALUES",
    "check_requantization_scale",
    "constant",
    "delegable",
    "delegable_bias",
    "delegable_filter",
    "float32_alone",
]

VALUES = ("float32", "int8", "uint8")
MAX_DELEGATED_RANK = 6  # of XNNPACK's tensors

# XNNPACK makes no convolution and no product whose multiplier is this or more
REQUANTIZATION_LIMIT = 256.0


def delegable(dtypes: Collection[str], *operands: Operand) -> bool:
    """Whether the delegate takes tensors of `dtypes`: float32, or 8 bits with one scale."""
    return all(o.dtype in dtypes and (o.dtype == "float32" or has_one_scale(o)) for o in operands)


def float32_alone(node: Node) -> bool:
    """Whether XNNPACK takes an operator of which it has the float32 form alone."""
    return node.output.dtype == "float32"


def has_one_scale(operand: Operand) -> bool:
    """Whether a tensor is quantized per tensor, also in name."""
    quantization = operand.tensor.quantization
    return quantization is not None and quantization.scale.size == 1 and quantization.quantized_dimension == 0


def constant(operand: Operand | None) -> bool:
    """Whether an operand is stored in the file, or omitted."""
    return operand is None or operand.tensor.data is not None


def delegable_filter(operand: Operand | None, axis: int) -> bool:
    """Whether the delegate takes a constant filter: float32, uint8 with one scale, or int8 with scales.

    Several scales must be along `axis`, with zero points 0.
    """
    if operand is None or operand.value is None or operand.dtype not in ("float32", "int8", "uint8"):
        return False
    if operand.dtype != "int8":
        return delegable(("float32", "uint8"), operand)
    quantization = operand.tensor.quantization
    if quantization is None or not _normal(operand.scales):
        return False
    several = operand.scales.size > 1
    return not several or (quantization.quantized_dimension == axis and not quantization.zero_point.any())


def delegable_bias(operand: Operand | None) -> bool:
    """Whether the delegate takes a constant bias: float32, or int32 with scales along axis 0."""
    if operand is None or operand.value is None or len(operand.shape) != 1:
        return False
    if operand.dtype == "float32":
        return True
    quantization = operand.tensor.quantization
    return (
        operand.dtype == "int32"
        and operand.quantized
        and quantization is not None
        and quantization.quantized_dimension == 0
        and _normal(operand.scales)
    )


def _normal(scales: np.ndarray) -> bool:
    """Whether all scales are positive and neither subnormal nor infinite."""
    return bool((np.isfinite(scales) & (scales >= np.finfo(np.float32).tiny)).all())


def check_requantization_scale(node: Node, multiplier: np.ndarray) -> None:
    """Refuse a multiplier for which XNNPACK makes no operator, which it says only after taking the node."""
    if node.rule.rounding == "float32" and (multiplier >= REQUANTIZATION_LIMIT).any():
        raise node.refuse(
            f"the scales give the multiplier {multiplier.max():g}; XNNPACK takes the operator and then fails "
            f"to make it; expected less than {REQUANTIZATION_LIMIT:g}"
        )
