"""How two arrays differ, bit for bit: counts, largest difference, ULPs, the first place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Difference", "difference", "differing", "ulp_distance"]


@dataclass(frozen=True, slots=True)
class Difference:
    """What `difference` found.

    Attributes
    ----------
    elements, mismatches : int
    max_abs_diff : int or float
        Largest absolute difference: exact for integers; ``inf`` where a NaN or infinity stands against
        another value.
    max_ulp : int or None
        Largest distance in units in the last place, for floats without NaN on one side only.
    first_index : tuple of int or None
        Where the first mismatch is.
    first_values : tuple or None
        The two values there, as Python scalars.
    """

    elements: int
    mismatches: int
    max_abs_diff: int | float
    max_ulp: int | None
    first_index: tuple[int, ...] | None = None
    first_values: tuple[Any, Any] | None = None


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a bool array: where `a` and `b`, of equal shape and dtype, differ in their bits.

    Any NaN equals any NaN (payload and sign of a NaN are not part of the numerics contract), but 0.0 differs
    from -0.0.
    """
    different = np.zeros(a.shape, bool)
    if a.dtype.kind in "fc":
        parts = [(a, b)] if a.dtype.kind == "f" else [(a.real, b.real), (a.imag, b.imag)]
        for x, y in parts:
            different |= (_bits(x) != _bits(y)) & ~(np.isnan(x) & np.isnan(y))
        return different
    np.not_equal(a, b, out=different)
    return different


def ulp_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many floats lie between `a` and `b`, of equal float dtype without NaN, as uint64.

    Zero and minus zero are one apart.
    """
    x, y = _ordered(a), _ordered(b)
    result: np.ndarray = np.maximum(x, y) - np.minimum(x, y)
    return result


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compare two arrays of equal shape and dtype; see `differing` for what counts as a mismatch."""
    different = differing(a, b)
    count = int(np.count_nonzero(different))
    is_float = a.dtype.kind == "f"
    if count == 0:
        return Difference(a.size, 0, 0, 0 if is_float else None)
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(different)), a.shape))
    x, y = a[different], b[different]
    ulps = int(ulp_distance(x, y).max()) if is_float and not (np.isnan(x) | np.isnan(y)).any() else None
    values = (a[first].item(), b[first].item())
    return Difference(a.size, count, _largest(x, y), ulps, first, values)


def _largest(x: np.ndarray, y: np.ndarray) -> int | float:
    if x.dtype.kind == "b":
        return 1
    if x.dtype.kind in "iu":
        # Unsigned subtraction is exact modulo 2**64, so it is right for all of int64 as well.
        high, low = np.maximum(x, y), np.minimum(x, y)
        return int((high.astype(np.uint64) - low.astype(np.uint64)).max())
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(x.astype(np.complex128) - y.astype(np.complex128))
    return float(np.where(np.isnan(gap), np.inf, gap).max())


def _bits(values: np.ndarray) -> np.ndarray:
    """Return the bit patterns of a float array as unsigned integers."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}").reshape(values.shape)


def _ordered(values: np.ndarray) -> np.ndarray:
    """Map floats to uint64 such that the order is kept and neighbours are one apart."""
    bits = _bits(values)
    sign = bits.dtype.type(1) << bits.dtype.type(8 * bits.dtype.itemsize - 1)
    return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)
