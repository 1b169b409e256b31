"""Rounding as C does it."""

from __future__ import annotations

import numpy as np

__all__ = ["round_half_away"]


def round_half_away(x: np.ndarray | np.floating) -> np.ndarray:
    """Return C's ``round``, of float32 or float64; a NaN stays.

    Not one half is added but the number before it: a sum just below a whole number would be rounded to that.
    """
    below_half = np.nextafter(x.dtype.type(0.5), x.dtype.type(0))
    rounded: np.ndarray = np.trunc(x + np.copysign(below_half, x))
    return rounded
