"""What the functions of `quantcore.tf_quantization` share: dtypes, ranges, slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels._core import KernelCall
from quantcore.layout import channel_view, dense_view, resolve_axis, restore_order

__all__ = [
    "STORAGE",
    "check_ranges",
    "choice",
    "dtype_name",
    "floats",
    "per_slice",
    "quantized_dtype",
    "slice_ranges",
]

# TensorFlow's quantized dtypes and the NumPy dtypes that hold their numbers
STORAGE = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
QUANTIZED = {stored: name for name, stored in STORAGE.items()}


def choice(name: str, value: Any, known: tuple[str, ...]) -> str:
    """Return `value` if it is one of the known words."""
    if value not in known:
        raise QuantizationError(f"{name} is {value!r}; expected one of {', '.join(known)}")
    return str(value)


def quantized_dtype(name: str, dtype: Any) -> str:
    """Return the name of a quantized dtype, given so, by a NumPy dtype of its width, or by TensorFlow's."""
    word = dtype_name(dtype)
    word = QUANTIZED.get(word, word)
    if word not in STORAGE:
        raise QuantizationError(f"{name} is {dtype!r}; expected one of {', '.join(STORAGE)}")
    return word


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of TensorFlow or NumPy; a name for itself."""
    if isinstance(dtype, type):
        dtype = np.dtype(dtype)
    return str(getattr(dtype, "name", dtype))


def floats(name: str, values: Any, dtype: Any = np.float32) -> np.ndarray:
    """Return real numbers as an array of `dtype`; others are rounded to it."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise QuantizationError(f"{name} is {array.dtype}; expected real numbers")
    with np.errstate(over="ignore"):  # what does not fit is an infinity
        return array.astype(dtype, copy=False)


def check_ranges(low: np.ndarray, high: np.ndarray, names: tuple[str, str]) -> None:
    """Refuse ranges that are not ordered and finite."""
    for name, values in zip(names, (low, high), strict=True):
        if not np.isfinite(values).all():
            raise QuantizationError(f"{name} is {values[~np.isfinite(values)][0]}; expected finite numbers")
    wrong = np.flatnonzero(low > high)
    if wrong.size:
        where = f" of slice {wrong[0]}" if low.size > 1 else ""
        raise QuantizationError(
            f"{names[0]}{where} is {low[wrong[0]]} and {names[1]} {high[wrong[0]]}; expected "
            f"{names[0]} <= {names[1]}"
        )


def slice_ranges(
    low: Any,
    high: Any,
    shape: tuple[int, ...],
    axis: int | None,
    names: tuple[str, str],
    dtype: Any = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper ends of the ranges, one per slice along `axis`."""
    ends = [floats(name, given, dtype) for name, given in zip(names, (low, high), strict=True)]
    for name, end in zip(names, ends, strict=True):
        if axis is None and end.size != 1:
            raise QuantizationError(f"{name} has {end.size} numbers; expected one, as axis is None")
        if axis is not None and end.shape != (shape[axis],):
            raise QuantizationError(
                f"{name} has shape {end.shape}; expected ({shape[axis]},): one number per slice along axis "
                f"{axis} of shape {shape}"
            )
    low, high = (np.ascontiguousarray(end.reshape(-1)) for end in ends)
    check_ranges(low, high, names)
    return low, high


def per_slice(
    make_call: Callable[[int, int], KernelCall], array: np.ndarray, axis: int | None, dtype: Any
) -> np.ndarray:
    """Run a kernel, made for ``(outer, inner)``, over an array of any layout; return an array of `dtype`."""
    view, order = dense_view(array)
    along = None if axis is None else order.index(resolve_axis(axis, array.ndim))
    outer, _, inner = channel_view(view.shape, along)
    result = np.empty(view.shape, dtype)
    make_call(outer, inner)([view], [result])
    return restore_order(result, order)
