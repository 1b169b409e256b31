"""What the data-movement operators share: element sizes, axes, index tensors, values known before running."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.node import Node, Operand
from quantcore.ops.shared.operands import check_dtypes

__all__ = [
    "check_indices",
    "element_bytes",
    "empty_call",
    "index_bytes",
    "int_values",
    "known_axis",
    "known_integer",
    "known_output",
    "resolve_axis",
    "row_major_strides",
    "size_values",
]

LARGEST = np.iinfo(np.int32).max


def element_bytes(node: Node, operand: Operand) -> int:
    """Return the size of an element, which is all that a copy has to know of the dtype."""
    try:
        return np.dtype(operand.dtype).itemsize
    except TypeError:
        raise node.refuse(
            f"tensor {operand.index} has dtype {operand.dtype}, which cannot be copied"
        ) from None


def index_bytes(node: Node, indices: Operand, dtypes: Sequence[str] = ("int32", "int64")) -> int:
    """Return the size of an element of an index tensor; refuse other `dtypes`."""
    return np.dtype(check_dtypes(node, dtypes, indices)).itemsize


def check_indices(node: Node, indices: Operand, sizes: int | Sequence[int], where: str) -> None:
    """Refuse indices that are known and outside [0, `sizes`), which is called `where`."""
    if indices.value is not None and np.any((indices.value < 0) | (indices.value >= np.asarray(sizes))):
        raise node.refuse(f"an index is outside {where}")


def empty_call() -> KernelCall:
    """Return a call that does nothing, for an output without elements.

    Kernels loop over outer dimensions, which may be of any size where another one is 0.
    """
    return kernels.copy_call(size_bytes=0)


def known_output(node: Node, value: np.ndarray) -> KernelCall:
    """Give the output a value that is known before running; nothing runs."""
    node.output.shape, node.output.value = value.shape, value
    return empty_call()


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


def size_values(node: Node, position: int, size: int | None = None) -> list[int]:
    """Return the sizes that the input at `position` gives; refuse what the int32 of TFLite does not count."""
    values = int_values(node, position, size)
    if any(not 0 <= n <= LARGEST for n in values):
        raise node.refuse(f"sizes (input {position}) are {values}; expected numbers from 0 to {LARGEST}")
    return values


def known_integer(node: Node, position: int, dtypes: Sequence[str]) -> int:
    """Return the known value of an input of one element, of one of `dtypes`."""
    value = node.known_value(position)
    if value.size != 1 or value.dtype.name not in dtypes:
        raise node.refuse(
            f"input {position} is {value.dtype} of shape {value.shape}; expected one {' or '.join(dtypes)}"
        )
    return int(value.reshape(()))


def known_axis(node: Node, position: int, rank: int) -> int:
    """Return the axis that the input at `position` gives, counted from the front."""
    return resolve_axis(node, int_values(node, position, 1)[0], rank)


def row_major_strides(shape: Sequence[int]) -> list[int]:
    """Return the strides of a C-contiguous array, in elements."""
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return strides
