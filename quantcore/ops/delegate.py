"""What the XNNPACK delegate takes, as far as operators have it in common.

Source: TFLite ``delegates/xnnpack/xnnpack_delegate.cc``.
"""

from __future__ import annotations

from quantcore.ops.registry import Operand

__all__ = ["constant", "delegable"]


def delegable(operand: Operand, dtypes: tuple[str, ...]) -> bool:
    """Whether the delegate takes a tensor of one of `dtypes`: float32, or 8 bits with one scale."""
    if operand.dtype not in dtypes:
        return False
    quantization = operand.tensor.quantization
    if operand.dtype == "float32":
        return True
    return (
        operand.quantized
        and operand.scales.size == 1
        and (quantization is not None and quantization.quantized_dimension == 0)
    )


def constant(operand: Operand | None) -> bool:
    """Whether an operand is stored in the file, or omitted."""
    return operand is None or operand.tensor.data is not None
