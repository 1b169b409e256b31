"""Checks of arguments that the public kernel functions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import KernelError

__all__ = ["activation_bounds", "check_range", "contiguous_input", "fixed_point"]

INT32 = np.iinfo(np.int32)


def contiguous_input(name: str, value: Any, dtypes: tuple[str, ...], rank: int | None = None) -> np.ndarray:
    """Return `value` as a C-contiguous array.

    Raises
    ------
    KernelError
        If its dtype is none of `dtypes`, or its rank is not `rank`.
    """
    array = np.asarray(value)
    if array.dtype.name not in dtypes:
        raise KernelError(f"{name} has dtype {array.dtype}; expected {' or '.join(dtypes)}")
    if rank is not None and array.ndim != rank:
        raise KernelError(f"{name} has shape {array.shape}; expected {rank} dimensions")
    if array.size > INT32.max:
        raise KernelError(f"{name} has {array.size} elements; the limit is 2**31 - 1")
    return np.require(array, requirements=["C", "A"])


def check_range(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int; refuse it outside [low, high]."""
    number = int(value)
    if number != value or not low <= number <= high:
        raise KernelError(f"{name} is {value}; expected an integer in [{low}, {high}]")
    return number


def fixed_point(name: str, multiplier: Any, shift: Any, max_shift: int = 31) -> tuple[int, int]:
    """Return a multiplier (0, or at least 2**30) and its shift in [-31, max_shift] as ints."""
    m = check_range(f"{name}multiplier", multiplier, 0, INT32.max)
    if 0 < m < 1 << 30:
        raise KernelError(
            f"{name}multiplier is {m}; expected 0, or at least 2**30 (quantize_multiplier gives it)"
        )
    return m, check_range(f"{name}shift", shift, -31, max_shift)


def activation_bounds(dtype: np.dtype, low: Any, high: Any) -> tuple[int, int]:
    """Return the bounds of an activation; None stands for those of `dtype`."""
    info = np.iinfo(dtype)
    low = check_range("activation_min", info.min if low is None else low, int(info.min), int(info.max))
    high = check_range("activation_max", info.max if high is None else high, int(info.min), int(info.max))
    if low > high:
        raise KernelError(f"activation_min {low} is above activation_max {high}")
    return low, high
