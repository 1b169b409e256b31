"""Twiddle factors of the split-radix transform of RFFT2D, in double, rounded as TFLite's FFT library does.

Sines and cosines are the C library's, of arguments formed as ``atan(1) / n * j``: docs/numerics/rfft2d.md.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["half_twiddles", "twiddles"]

EIGHTH = math.atan(1.0)


def unit(j: int, n: int) -> complex:
    """Return ``exp(i * j / n * pi / 4)``."""
    angle = EIGHTH / n * j
    return complex(math.cos(angle), math.sin(angle))


def cube(j: int, n: int) -> complex:
    """Return the third power of `unit`, from the triple argument."""
    angle = 3 * (EIGHTH / n) * j
    return complex(math.cos(angle), math.sin(angle))


def swap(w: complex) -> complex:
    """Return `w` with real and imaginary part exchanged: mirrored at the diagonal."""
    return complex(w.imag, w.real)


def division(points: int, *, first: bool) -> list[complex]:
    """Return two twiddles per element of a quarter.

    The `first` division of a transform interpolates every second one.
    """
    quarter = points // 4
    table = [[0j, 0j] for _ in range(quarter)]
    step = points // 2  # unit(4 * k, step) is exp(2 pi i k / points)
    for k in range(1, (quarter + 1) // 2):
        one, three = unit(4 * k, step), cube(4 * k, step)
        if points == 16:
            three = swap(one)  # of 3 / 8 of a half turn, from that of 1 / 8
        if first and points > 16 and k % 2:
            one, three = interpolated(k, step, quarter)
        table[k] = [one, three]
        table[quarter - k] = [swap(one), -swap(three)]
    return [w for pair in table for w in pair]


def interpolated(k: int, step: int, quarter: int) -> tuple[complex, complex]:
    """Return the twiddles of an odd `k` from the sum of their neighbours."""
    csc_one = 0.5 / math.cos(EIGHTH / step * 4)
    csc_three = 0.5 / math.cos(3 * (EIGHTH / step) * 4)
    before = (unit(4 * (k - 1), step), cube(4 * (k - 1), step)) if k > 1 else (1 + 0j, 1 + 0j)
    diagonal = math.cos(EIGHTH)
    if 2 * (k + 1) == quarter:
        after = (complex(diagonal, diagonal), complex(-diagonal, diagonal))
    else:
        after = (unit(4 * (k + 1), step), cube(4 * (k + 1), step))
    return tuple(  # type: ignore[return-value]
        complex(csc * (a.real + b.real), csc * (a.imag + b.imag))
        for csc, a, b in zip((csc_one, csc_three), before, after, strict=True)
    )


def late_division(points: int) -> list[complex]:
    """Return four twiddles per element of a quarter, for a part whose own twiddles are still to come."""
    quarter = points // 4
    table = [[0j] * 4 for _ in range(quarter)]
    step = points  # unit(4 * k, step) is exp(pi i k / points)
    for k in range(1, (quarter + 1) // 2):
        one, three = unit(4 * k, step), cube(4 * k, step)
        other, other_three = unit(step - 4 * k, step), cube(step - 4 * k, step)
        if points == 16:
            other_three = complex(-one.imag, one.real)  # a quarter turn from the first
        table[k] = [one, swap(other), three, -swap(other_three)]
        table[quarter - k] = [other, swap(one), other_three, -swap(three)]
    if quarter > 1:
        middle = unit(step // 2, step)
        table[quarter // 2] = [middle, swap(middle), swap(middle), -middle]
    return [w for group in table for w in group]


def twiddles(points: int) -> np.ndarray:
    """Return the table of a transform of `points` complex numbers (a power of two), complex128."""
    table: list[complex] = []
    size = points
    while size >= 4:
        table += division(size, first=size == points)
        table += late_division(size)
        size //= 4
    return np.array(table, np.complex128)


def half_twiddles(width: int) -> np.ndarray:
    """Return the factors that take the transform of `width` real numbers out of one of complex pairs."""
    count = width // 4
    half = count // 2

    def cosine(k: int) -> float:
        """Return half the cosine of ``pi / 4 * k / half``, for k up to twice `half`."""
        if k == half:
            return 0.5 * math.cos(EIGHTH / half * half)
        if k < half:
            return 0.5 * math.cos(EIGHTH / half * k)
        return 0.5 * math.sin(EIGHTH / half * (count - k))

    table = [complex(0.5 - cosine(count - k), cosine(k)) for k in range(1, count)]
    return np.array([0j, *table], np.complex128)
