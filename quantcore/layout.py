"""Arrays of any memory layout as the contiguous arrays that kernels take."""

from __future__ import annotations

import math

import numpy as np

from quantcore.errors import QuantizationError

__all__ = ["channel_view", "dense_view", "resolve_axis", "restore_order"]


def resolve_axis(axis: int, rank: int) -> int:
    """Return `axis` counted from the front; negative counts from the back."""
    if not -rank <= axis < rank:
        raise QuantizationError(f"axis is {axis}; the array has {rank} dimensions")
    return axis % rank


def dense_view(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return ``(view, order)``: a C-contiguous, aligned array equal to ``array.transpose(order)``.

    It shares the memory of `array` where that is dense in any order of its dimensions (C, Fortran,
    transposed); otherwise it is a copy, and `order` leaves the dimensions as they are.
    """
    in_place = tuple(range(array.ndim))
    if array.flags.c_contiguous and array.flags.aligned:
        return array, in_place
    order = tuple(sorted(in_place, key=lambda d: -abs(array.strides[d])))
    view = array.transpose(order)
    if view.flags.c_contiguous and view.flags.aligned:
        return view, order
    return np.require(array, requirements=["C", "A"]), in_place


def restore_order(result: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Return `result`, computed on a `dense_view`, with the dimensions where they were."""
    return result if order == tuple(range(result.ndim)) else result.transpose(np.argsort(order).tolist())


def channel_view(shape: tuple[int, ...], axis: int | None) -> tuple[int, int, int]:
    """Return ``(outer, channels, inner)``: the sizes before, along and after `axis`; None is one channel."""
    if axis is None:
        return 1, 1, math.prod(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
