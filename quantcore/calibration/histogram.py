"""The histogram behind `Percentile`, `Entropy` and `MSE`: bounded in size, exact to merge."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from quantcore.calibration.distribution import Distribution
from quantcore.calibration.trackers import (
    Ends,
    Tracker,
    as_range,
    blocks,
    check_channels,
    checked_array,
    measure,
    no_ends,
    not_finite,
    widen,
)
from quantcore.errors import KernelError, QuantizationError
from quantcore.kernels import _core
from quantcore.kernels.histogram import histogram_call
from quantcore.layout import channel_view

__all__ = ["BINS", "HistogramTracker"]

BINS = 4096
MIN_EXPONENT = -127  # as in csrc/include/quantcore/histogram.h


class HistogramTracker(Tracker):
    """A tracker that counts values in bins, and chooses the range from the counts.

    Parameters
    ----------
    axis : int, optional
        Track the range of each channel along this dimension. None: one range for the tensor.
    bins : int
        A power of two, 8 to 2**21: half of them for each sign; zeros are counted in one more. Takes 8 bytes
        per bin and channel.

    Notes
    -----
    The width of the bins is a power of two that follows from the largest magnitude seen, so that this lies
    in the outer half of the bins of its sign. As it grows, bins are added up in pairs: the edges of wide bins
    are edges of narrow ones. So the counts are a function of the values alone, whatever their order and
    however they were split over trackers.
    """

    def __init__(self, axis: int | None = None, bins: int = BINS) -> None:
        if not isinstance(bins, int) or not 8 <= bins <= 2**21 or bins & (bins - 1):
            raise QuantizationError(f"bins is {bins!r}; expected a power of two from 8 to 2**21")
        self.axis = axis
        self.bins = bins
        self._ends: np.ndarray | None = None  # float32 (2, channels): minima, maxima
        self._counts: np.ndarray | None = None  # int64 (channels, bins + 1)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same options and have counted the same."""
        if not isinstance(other, HistogramTracker) or type(other) is not type(self):
            return NotImplemented
        return self._options() == other._options() and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def update(self, x: Any) -> None:
        """Count the values of `x`. See `MinMax.update`."""
        array, axis, channels = checked_array(x, self.axis)
        if array.size == 0:
            return
        if self._ends is None or self._counts is None:
            ends, counts = self.new_state(channels)
        else:
            check_channels(self._ends, no_ends(channels))
            ends, counts = self._ends, self._counts
            if counts.nbytes < array.nbytes:
                ends, counts = ends.copy(), counts.copy()
            else:
                measure(array, axis)  # to read x twice costs less than to copy the state
        try:
            for view, position in blocks(array, axis):
                self.call(channel_view(view.shape, position))([view], [ends, counts])
        except KernelError:
            raise not_finite(array) from None
        self._ends, self._counts = ends, counts

    def merge(self, other: HistogramTracker) -> None:
        """Add the counts of `other`, as if its data had been seen here."""
        self._check_mergeable(other)
        if other._ends is not None and other._counts is not None:
            self.take(other._ends, other._counts)

    def range(self) -> Ends:
        """See `Tracker.range`."""
        ends = [self._choose(distribution) for distribution in self._distributions()]
        return as_range(np.array(ends, np.float32).T if ends else None, self.axis)

    @property
    def seen_min(self) -> Any:
        """Smallest value seen: a float, or a float32 array of shape (channels,)."""
        return as_range(self._ends, self.axis)[0]

    @property
    def seen_max(self) -> Any:
        """Largest value seen: a float, or a float32 array of shape (channels,)."""
        return as_range(self._ends, self.axis)[1]

    @property
    def count(self) -> int:
        """How many values were seen, of all channels together."""
        return 0 if self._counts is None else int(self._counts.sum())

    def clipped(self, rmin: Any, rmax: Any) -> Any:
        """Return the share of the values seen that lie outside a range, widened to hold 0.

        Parameters
        ----------
        rmin, rmax : float or array_like, shape (channels,)

        Returns
        -------
        float, or ndarray of float64, shape (channels,)
            In [0, 1]. Exactly 0 where the range holds all values; otherwise values count as evenly spread
            within their bin.
        """
        found = self._distributions()
        if not found:
            as_range(None, self.axis)
        low, high = (np.broadcast_to(np.asarray(end, np.float64), len(found)) for end in (rmin, rmax))
        shares = [d.share_outside(a, b) for d, a, b in zip(found, low.tolist(), high.tolist(), strict=True)]
        return shares[0] if self.axis is None else np.array(shares)

    def new_state(self, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(ends, counts)`` before any data: float32 (2, channels) and int64 (channels, bins + 1)."""
        return no_ends(channels), np.zeros((channels, self.bins + 1), np.int64)

    def call(self, shape: tuple[int, int, int]) -> _core.KernelCall:
        """Return the kernel that counts a contiguous float32 array ``(outer, channels, inner)`` in place.

        It takes the array as input, and `new_state` as the outputs that it updates, so it can be a step of a
        plan; `take` adds the result to the tracker. After a `KernelError` (a value is not finite) the state
        is not valid.
        """
        outer, channels, inner = shape
        bits = self.bins.bit_length() - 2
        return histogram_call(outer=outer, channels=channels, inner=inner, bits=bits)

    def take(self, ends: np.ndarray, counts: np.ndarray) -> None:
        """Add a state that `call` has updated, as if its data had been seen here."""
        if not counts.any():
            return
        if self._ends is None or self._counts is None:
            self._ends, self._counts = ends.copy(), counts.copy()
            return
        check_channels(self._ends, ends)
        together = widen(self._ends, ends)
        width = exponents(together, self.bins)
        self._counts = coarsened(self._counts, width - exponents(self._ends, self.bins)) + coarsened(
            counts, width - exponents(ends, self.bins)
        )
        self._ends = together

    def _state(self) -> tuple[bytes, bytes] | None:
        """Return the ends and counts, to compare."""
        if self._ends is None or self._counts is None:
            return None
        return self._ends.tobytes(), self._counts.tobytes()

    def _distributions(self) -> list[Distribution]:
        """Return what was seen of each channel."""
        if self._ends is None or self._counts is None:
            return []
        as_range(self._ends, self.axis)
        powers = exponents(self._ends, self.bins).tolist()
        return [
            Distribution.from_counts(counts, exponent, float(low), float(high))
            for counts, exponent, low, high in zip(self._counts, powers, *self._ends, strict=True)
        ]

    @abc.abstractmethod
    def _choose(self, seen: Distribution) -> tuple[float, float]:
        """Return the range of one channel."""


def exponents(ends: np.ndarray, bins: int) -> np.ndarray:
    """Return the power of two that is the width of the bins, of each channel: int64 (channels,)."""
    magnitude = np.maximum(np.maximum(-ends[0], ends[1]), 0)
    found = np.frexp(magnitude)[1].astype(np.int64) - (bins.bit_length() - 2)
    return np.where(magnitude > 0, np.maximum(found, MIN_EXPONENT), MIN_EXPONENT)


def coarsened(counts: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the counts (channels, bins + 1) of bins that are ``2**steps`` (channels,) as wide."""
    half = counts.shape[1] // 2
    result = counts.copy()
    for step in np.unique(steps[steps > 0]).tolist():
        rows = steps == step
        joined = min(2**step, half)
        above = counts[rows, half + 1 :].reshape(-1, half // joined, joined).sum(2)
        below = counts[rows, :half].reshape(-1, half // joined, joined).sum(2)
        wide = np.zeros_like(counts[rows])
        wide[:, half] = counts[rows, half]
        wide[:, half + 1 : half + 1 + above.shape[1]] = above
        wide[:, half - below.shape[1] : half] = below
        result[rows] = wide
    return result
