"""Ranges that lose least information: the KL divergence between the values and their quantized form."""

from __future__ import annotations

from functools import partial

import numpy as np

from quantcore.calibration.distribution import Distribution
from quantcore.calibration.histogram import BINS, HistogramTracker
from quantcore.calibration.search import best_range
from quantcore.errors import QuantizationError
from quantcore.qparams import DTYPES

__all__ = ["Entropy"]

POINTS = 256


class Entropy(HistogramTracker):
    """The range with the least Kullback-Leibler divergence between values and quantized values.

    The method of TensorRT (S. Migacz, "8-bit Inference with TensorRT", GTC 2017) with two ends that move by
    themselves. A candidate range is a run of whole bins that holds 0, and at least one bin per level.

    - P: the counts of these bins; what lies outside is added to the outermost bin of its side.
    - Q: the counts without what lies outside, in as many groups of neighbouring bins as there are levels
      (group ``g`` starts at bin ``g * bins // levels``), each group spread evenly over those bins where P is
      not 0.
    - Both are divided by their sums. The range with the least ``sum(P * log(P / Q))`` counts; where Q is 0
      and P is not, that is infinite.

    Zeros are left out of both: 0 is always represented exactly, and after a RELU it outweighs all else.

    Parameters
    ----------
    dtype : {"int8", "uint8", "int4"}
        What the tensor will be quantized to: 256 or 16 levels.
    axis : int, optional
        See `HistogramTracker`.
    bins : int
        At least four times the number of levels.
    """

    def __init__(self, dtype: str = "int8", axis: int | None = None, bins: int = BINS) -> None:
        super().__init__(axis, bins)
        if dtype not in ("int8", "uint8", "int4"):
            raise QuantizationError(f"dtype is {dtype!r}; expected one of int8, uint8, int4")
        self.dtype = dtype
        if bins < 4 * self.levels:
            raise QuantizationError(
                f"bins is {bins}; expected at least 4 for each of the {self.levels} levels of {dtype}"
            )

    @property
    def levels(self) -> int:
        """How many quantized values there are."""
        return DTYPES[self.dtype][1] - DTYPES[self.dtype][0] + 1

    def _choose(self, seen: Distribution) -> tuple[float, float]:
        return best_range(seen, partial(divergence, *sums(seen), self.levels), POINTS)


def sums(seen: Distribution) -> tuple[np.ndarray, int]:
    """Return the counts of all bins from the outermost inwards, without zeros, and how many lie below 0."""
    below, above = seen.sides
    counts = np.zeros(below + above)
    used = seen.bins != 0
    bins = seen.bins[used]
    counts[np.where(bins > 0, bins - 1, bins) + below] = seen.counts[used]
    return counts, below


def divergence(
    counts: np.ndarray, zero: int, levels: int, below: np.ndarray, above: np.ndarray
) -> np.ndarray:
    """Return the divergences of ranges of `below` and `above` bins on either side of 0.

    Parameters
    ----------
    counts : ndarray of float64, shape (bins,)
    zero : int
        How many of the bins lie below 0.
    levels : int
    below, above : ndarray of int64, shape (ranges,)

    Returns
    -------
    ndarray of float64, shape (ranges,)
        Infinite where there are fewer bins than levels, or no values.
    """
    result = np.full(below.size, np.inf)
    upto, upto_log, upto_used = (np.cumsum(np.append(0, v)) for v in (counts, xlogx(counts), counts > 0))
    able = (below + above >= levels) & (upto[zero + above] > upto[zero - below])
    first, last = zero - below[able], zero + above[able]
    edges = first[:, None] + np.arange(levels + 1) * (last - first)[:, None] // levels
    group, used = np.diff(upto[edges]), np.diff(upto_used[edges])
    p_group, p_log = group.copy(), upto_log[last] - upto_log[first]
    for column, outermost, outside in ((0, first, upto[first]), (-1, last - 1, upto[-1] - upto[last])):
        alone = counts[outermost]
        p_group[:, column] += outside
        p_log += xlogx(alone + outside) - xlogx(alone)
        used[:, column] += (alone == 0) & (outside > 0)
    empty = p_group == 0
    with np.errstate(divide="ignore"):
        q_log = np.log(np.where(empty, 1, group)) - np.log(np.where(empty, 1, used))
        inside = np.log(upto[-1]) - np.log(upto[last] - upto[first])
        result[able] = (p_log - (p_group * q_log).sum(1)) / upto[-1] - inside
    return result


def xlogx(x: np.ndarray) -> np.ndarray:
    """Return ``x * log(x)``, which is 0 at 0."""
    return np.asarray(x * np.log(np.where(x > 0, x, 1)))
