"""What the data-movement operators share: element sizes, axes, checks of shapes and parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.node import Node, Operand

__all__ = ["element_bytes", "empty_call", "int_values", "known_axis", "resolve_axis", "row_major_strides",
           "same_dtype", "same_parameters", "same_parameters_if_delegated", "single_scales"]  # fmt: skip


def element_bytes(node: Node, operand: Operand) -> int:
    """Return the size of an element, which is all that a copy has to know of the dtype."""
    try:
        return np.dtype(operand.dtype).itemsize
    except TypeError:
        raise node.refuse(
            f"tensor {operand.index} has dtype {operand.dtype}, which cannot be copied"
        ) from None


def empty_call() -> KernelCall:
    """Return a call that does nothing, for an output without elements.

    Kernels loop over outer dimensions, which may be of any size where another one is 0.
    """
    return kernels.copy_call(size_bytes=0)


def same_dtype(node: Node, *operands: Operand) -> None:
    """Refuse operands of different dtypes."""
    if len({o.dtype for o in operands}) > 1:
        found = ", ".join(f"tensor {o.index}: {o.dtype}" for o in operands)
        raise node.refuse(f"dtypes differ ({found}); expected one dtype for all")


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


def resolve_axis(node: Node, axis: int, rank: int) -> int:
    """Return `axis` counted from the front; negative counts from the back."""
    if not -rank <= axis < rank:
        raise node.refuse(f"axis is {axis}; expected one in [{-rank}, {rank})")
    return axis + rank if axis < 0 else axis


def int_values(node: Node, position: int, size: int | None = None) -> list[int]:
    """Return the known value of the index tensor at `position` (a vector of int32 or int64) as ints."""
    value = node.known_value(position)
    if value.dtype not in (np.int32, np.int64) or value.ndim > 1:
        raise node.refuse(
            f"input {position} is {value.dtype} of shape {value.shape}; expected a vector of int32 or int64"
        )
    if size is not None and value.size != size:
        raise node.refuse(f"input {position} has {value.size} values; expected {size}")
    return [int(v) for v in value.reshape(-1)]


def known_axis(node: Node, position: int, rank: int) -> int:
    """Return the axis that the input at `position` gives, counted from the front."""
    return resolve_axis(node, int_values(node, position, 1)[0], rank)


def row_major_strides(shape: Sequence[int]) -> list[int]:
    """Return the strides of a C-contiguous array, in elements."""
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return strides
