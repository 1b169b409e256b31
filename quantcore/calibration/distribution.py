"""What was seen of one tensor or channel, for the methods that choose a range from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Distribution"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values by bins. All lengths are in units of the width of a bin, and exact.

    Attributes
    ----------
    width : float
        Width of a bin: a power of two.
    low, high : float
        Smallest and largest value.
    bins : ndarray of int64, shape (n,), ascending
        Those that hold values. Bin ``k > 0`` is from ``k - 1`` to ``k``, bin ``-k`` its mirror image, bin 0
        zero.
    counts : ndarray of int64, shape (n,)
    lower, upper : ndarray of float64, shape (n,)
        Ends of these bins, which the first and last end at `low` and `high`.
    """

    width: float
    low: float
    high: float
    bins: np.ndarray
    counts: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def from_counts(cls, counts: np.ndarray, exponent: int, low: float, high: float) -> Distribution:
        """Return the distribution of a row of counts, which mirrors around its middle."""
        width = 2.0**exponent
        used = np.flatnonzero(counts)
        bins = used - counts.size // 2
        ends = low / width, high / width
        lower = np.clip(np.where(bins > 0, bins - 1, bins), *ends)
        upper = np.clip(np.where(bins < 0, bins + 1, bins), *ends)
        return cls(width, *ends, bins, counts[used], lower, upper)

    @property
    def sides(self) -> tuple[int, int]:
        """How many bins there are from 0 to the outermost below it, and above it."""
        return max(-int(self.bins[0]), 0), max(int(self.bins[-1]), 0)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    def share_outside(self, rmin: float, rmax: float) -> float:
        """Return the share of values outside [rmin, rmax], widened to hold 0; evenly spread in each bin."""
        bottom, top = min(rmin / self.width, 0.0), max(rmax / self.width, 0.0)
        size = self.upper - self.lower
        safe = np.where(size > 0, size, 1.0)
        above = np.where(size > 0, np.clip((self.upper - top) / safe, 0, 1), self.upper > top)
        below = np.where(size > 0, np.clip((bottom - self.lower) / safe, 0, 1), self.lower < bottom)
        return float((self.counts * (above + below)).sum() / self.count)
