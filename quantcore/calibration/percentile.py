"""Ranges that leave out a fixed share of the values."""

from __future__ import annotations

import numpy as np

from quantcore.calibration.distribution import Distribution
from quantcore.calibration.histogram import BINS, HistogramTracker
from quantcore.errors import QuantizationError

__all__ = ["Percentile"]


class Percentile(HistogramTracker):
    """The range that holds the middle `percentile` per cent of the values.

    Half of what is left out lies below it, half above: 99.99 cuts off 0.005 per cent of the values at each
    end, as ONNX Runtime's percentile calibration does. Values count as evenly spread within their bin, the
    outermost bins end at the smallest and largest value seen, and 100 gives these.

    Parameters
    ----------
    percentile : float
        In (0, 100].
    axis, bins
        See `HistogramTracker`.
    """

    def __init__(self, percentile: float = 99.99, axis: int | None = None, bins: int = BINS) -> None:
        super().__init__(axis, bins)
        if not 0 < percentile <= 100:
            raise QuantizationError(f"percentile is {percentile}; expected a number above 0, at most 100")
        self.percentile = float(percentile)

    def _choose(self, seen: Distribution) -> tuple[float, float]:
        tail = (100 - self.percentile) / 200 * seen.count
        rmin = inner_end(seen.lower, seen.upper, seen.counts, tail)
        rmax = inner_end(seen.upper[::-1], seen.lower[::-1], seen.counts[::-1], tail)
        return rmin * seen.width, rmax * seen.width


def inner_end(outer: np.ndarray, inner: np.ndarray, counts: np.ndarray, tail: float) -> float:
    """Return where `tail` values have passed, bin by bin, each from its end `outer` to `inner`."""
    passed = np.cumsum(counts)
    b = int(np.searchsorted(passed, tail, side="right"))
    share = (tail - (passed[b] - counts[b])) / counts[b]
    return float(outer[b] * (1 - share) + inner[b] * share)
