"""Ranges that make the error of quantization least."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from quantcore.calibration.distribution import Distribution
from quantcore.calibration.histogram import BINS, HistogramTracker
from quantcore.calibration.search import best_range
from quantcore.errors import QuantizationError
from quantcore.qparams import DTYPES, choose_qparams

__all__ = ["MSE"]

POINTS = 16
FLOAT32_MAX = float(np.finfo(np.float32).max)  # what a range can span
SHORT = 2.0**-10  # of a bin: its values count as one


class MSE(HistogramTracker):
    """The range with the least mean squared error of quantize and dequantize.

    The error is the expected one for values that are evenly spread within their bin, with the scale and zero
    point that `quantcore.choose_qparams` gives the range; it includes that of the values outside, which are
    clipped. It is never above that of the range of all values.

    Parameters
    ----------
    dtype : {"int8", "uint8", "int16", "int4"}
        What the tensor will be quantized to.
    axis, bins
        See `HistogramTracker`.
    """

    def __init__(self, dtype: str = "int8", axis: int | None = None, bins: int = BINS) -> None:
        super().__init__(axis, bins)
        if dtype not in DTYPES or dtype == "int32":
            known = ", ".join(name for name in DTYPES if name != "int32")
            raise QuantizationError(f"dtype is {dtype!r}; expected one of {known}")
        self.dtype = dtype

    def _choose(self, seen: Distribution) -> tuple[float, float]:
        return best_range(seen, partial(mean_squared_error, seen, Pieces.of(seen), self.dtype), POINTS)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A distribution as single values, and as edges at which its density changes.

    Attributes
    ----------
    values, counts : ndarray, shape (values,)
        Bins that are so short that they count as one value; zeros among them.
    edges, weights : ndarray of float64, shape (edges,)
        The integral of a function over all other bins is the sum over `edges` of `weights` times its
        antiderivative.
    """

    values: np.ndarray
    counts: np.ndarray
    edges: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, seen: Distribution) -> Pieces:
        """Return the pieces of a distribution."""
        size = seen.upper - seen.lower
        short = size < SHORT
        density = seen.counts[~short] / size[~short]
        ends = np.concatenate([seen.upper[~short], seen.lower[~short]])
        edges, place = np.unique(ends, return_inverse=True)
        weights = np.bincount(place, np.concatenate([density, -density]), edges.size)
        return cls(seen.upper[short], seen.counts[short], edges, weights)


def mean_squared_error(
    seen: Distribution, pieces: Pieces, dtype: str, below: np.ndarray, above: np.ndarray
) -> np.ndarray:
    """Return the expected squared errors, in squares of a bin's width, of ranges of whole bins.

    Parameters
    ----------
    seen : Distribution
    pieces : Pieces
        Of `seen`.
    dtype : str
    below, above : ndarray of int64, shape (ranges,)
        Bins on either side of 0.

    Returns
    -------
    ndarray of float64, shape (ranges,)
        Infinite where there are none, or where float32 does not hold the length of the range.
    """
    result = np.full(below.size, np.inf)
    low, high = np.maximum(-below, min(seen.low, 0)), np.minimum(above, max(seen.high, 0))
    able = (high > low) & ((high - low) * seen.width <= FLOAT32_MAX)
    if not able.any():
        return result
    params = choose_qparams(low[able] * seen.width, high[able] * seen.width, dtype, axis=0)
    scale = params.scale.astype(np.float64)[:, None] / seen.width
    zero = params.zero_point[:, None]
    bottom, top = scale * (params.qmin - zero), scale * (params.qmax - zero)
    # not @: the order in which BLAS adds depends on the machine
    total = (at_value(pieces.values, scale, bottom, top) * pieces.counts).sum(1)
    total += (integral(pieces.edges, scale, bottom, top) * pieces.weights).sum(1)
    result[able] = total / seen.count
    return result


def at_value(x: np.ndarray, scale: np.ndarray, bottom: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Return the squared error of one value."""
    return np.asarray((x - scale * np.rint(np.clip(x, bottom, top) / scale)) ** 2)


def integral(x: np.ndarray, scale: np.ndarray, bottom: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Return the integral of the squared error from 0 to `x`.

    Between `bottom` and `top` each multiple of the scale takes half a scale on either side, whose errors
    integrate to ``scale**3 / 12``; beyond, the error grows with the distance.
    """
    inside = np.clip(x, bottom, top)
    steps = np.rint(inside / scale)
    rest, beyond = inside - steps * scale, x - inside
    return np.asarray(steps * (scale**3 / 12) + (rest * rest * rest + beyond * beyond * beyond) / 3)
