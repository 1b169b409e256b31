"""Range trackers: what values a tensor takes, in one pass over each batch.

A tracker is fed with ``update(x)``, two are joined with ``merge(other)``, and ``range()`` gives
``(rmin, rmax)`` for `quantcore.choose_qparams`. Trackers pickle, so batches can be spread over processes.

>>> tracker = MinMax()
>>> tracker.update([[-1.0, 0.5], [2.0, 0.25]])
>>> tracker.range()
(-1.0, 2.0)
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from quantcore.errors import KernelError, QuantizationError
from quantcore.kernels import min_max as kernels
from quantcore.layout import channel_view, dense_view, resolve_axis

__all__ = ["MinMax", "MovingAverage", "Tracker"]

Ends = tuple[Any, Any]
BLOCK_ELEMENTS = 1 << 16  # of a copied piece: fits the second-level cache


class Tracker(abc.ABC):
    """What every tracker has.

    Its public attributes are its options: what trackers must agree in to be merged.

    Attributes
    ----------
    in_order : bool
        Whether the range depends on the order of the batches.
    axis : int or None
    """

    in_order: ClassVar[bool] = False
    axis: int | None

    @abc.abstractmethod
    def update(self, x: Any) -> None:
        """Take in the values of `x`."""

    @abc.abstractmethod
    def merge(self, other: Any) -> None:
        """Take in what `other` has seen."""

    @abc.abstractmethod
    def range(self) -> Ends:
        """Return ``(rmin, rmax)``: floats, or float32 arrays of shape (channels,).

        Raises
        ------
        QuantizationError
            No data was seen.
        """

    def __repr__(self) -> str:
        options = "".join(f" {name}={value}" for name, value in self._options().items())
        try:
            low, high = self.range()
        except QuantizationError:
            seen = "no data"
        else:
            seen = f"[{low}, {high}]" if self.axis is None else f"{low.size} channels"
        return f"<{type(self).__name__}{options}: {seen}>"

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def _check_mergeable(self, other: Tracker) -> None:
        if type(self) is not type(other) or self._options() != other._options():
            raise QuantizationError(
                f"cannot merge {other!r} into {self!r}; expected the same kind with the same options"
            )


class MinMax(Tracker):
    """Smallest and largest value seen: what the TFLite converter records.

    Parameters
    ----------
    axis : int, optional
        Track the range of each channel along this dimension. None: one range for the tensor.
    """

    def __init__(self, axis: int | None = None) -> None:
        self.axis = axis
        self._ends: np.ndarray | None = None  # shape (2, channels): minima, maxima

    def update(self, x: Any) -> None:
        """Widen the range to the values of `x`.

        Parameters
        ----------
        x : array_like of real numbers
            Any layout; not changed, and not copied as a whole. Anything but float32 is rounded to float32.

        Raises
        ------
        QuantizationError
            NaN or infinity in `x` (how many, and where the first is), or another number of channels than
            before. The tracker is unchanged then.
        """
        ends = measure(x, self.axis)
        if ends is not None:
            self._ends = ends if self._ends is None else widen(self._ends, ends)

    def merge(self, other: MinMax) -> None:
        """Widen the range to that of `other`, as if its data had been seen here."""
        self._check_mergeable(other)
        if other._ends is not None:
            self._ends = other._ends.copy() if self._ends is None else widen(self._ends, other._ends)

    def range(self) -> Ends:
        """See `Tracker.range`."""
        return as_range(self._ends, self.axis)


class MovingAverage(Tracker):
    """Exponential moving average of the smallest and largest value of each batch.

    The first batch sets the average; each later one moves it by ``1 - momentum`` of the difference:
    ``average = momentum * average + (1 - momentum) * batch``, in float64.

    Parameters
    ----------
    momentum : float
        In [0, 1). Near 1: long memory. TensorFlow's quantization-aware training uses 0.999, short
        calibrations 0.9 to 0.99.
    axis : int, optional
        As for `MinMax`.

    Notes
    -----
    The state is linear in the batches: after n of them the average is ``tail + momentum**n * first``, where
    `tail` is an average that started from zero. So `merge` gives what one pass over the batches of both would
    have given (those of `other` after those of `self`), up to the rounding of float64.
    """

    in_order = True

    def __init__(self, momentum: float = 0.99, axis: int | None = None) -> None:
        if not 0 <= momentum < 1:
            raise QuantizationError(f"momentum is {momentum}; expected a number in [0, 1)")
        self.momentum = float(momentum)
        self.axis = axis
        self._batches = 0
        self._first: np.ndarray | None = None  # ends of the first batch, float64, shape (2, channels)
        self._tail: Any = 0.0

    def update(self, x: Any) -> None:
        """Take `x` as the next batch; an empty one does not count. See `MinMax.update`."""
        ends = measure(x, self.axis)
        if ends is None:
            return
        batch = MovingAverage(self.momentum, self.axis)
        batch._batches = 1
        batch._first = ends.astype(np.float64)
        batch._tail = (1 - self.momentum) * batch._first
        self.merge(batch)

    def merge(self, other: MovingAverage) -> None:
        """Take the batches of `other` as the next ones."""
        self._check_mergeable(other)
        if other._first is None:
            return
        if self._first is None:
            self._first = other._first
        else:
            check_channels(self._first, other._first)
        self._tail = self.momentum**other._batches * self._tail + other._tail
        self._batches += other._batches

    def range(self) -> Ends:
        """Return ``(rmin, rmax)``, rounded to float32. See `Tracker.range`."""
        ends = None
        if self._first is not None:
            ends = (self._tail + self.momentum**self._batches * self._first).astype(np.float32)
        return as_range(ends, self.axis)


def as_range(ends: np.ndarray | None, axis: int | None) -> Ends:
    """Return ``(rmin, rmax)`` from an array of shape (2, channels)."""
    if ends is None:
        raise QuantizationError("the tracker has seen no data; call update first")
    if axis is None:
        return float(ends[0, 0]), float(ends[1, 0])
    return ends[0].copy(), ends[1].copy()


def check_channels(a: np.ndarray, b: np.ndarray) -> None:
    """Refuse ends of different numbers of channels."""
    if a.shape != b.shape:
        raise QuantizationError(f"the tracker has {a.shape[1]} channels, the new data {b.shape[1]}")


def widen(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the smallest range that holds both."""
    check_channels(a, b)
    ends: np.ndarray = np.minimum(a, b)
    np.maximum(a[1], b[1], out=ends[1])
    return ends


def checked_array(x: Any, axis: int | None) -> tuple[np.ndarray, int | None, int]:
    """Return `x` as an array of real numbers, `axis` counted from the front, and the number of channels."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise QuantizationError(f"x is {array.dtype}; expected real numbers")
    if axis is None:
        return array, None, 1
    axis = resolve_axis(axis, array.ndim)
    return array, axis, array.shape[axis]


def measure(x: Any, axis: int | None) -> np.ndarray | None:
    """Return the ends of the range of `x` as float32 of shape (2, channels); None if it is empty."""
    array, axis, channels = checked_array(x, axis)
    if array.size == 0:
        return None
    ends = no_ends(channels)
    try:
        for view, position in blocks(array, axis):
            outer, count, inner = channel_view(view.shape, position)
            kernels.min_max_call(outer=outer, channels=count, inner=inner)([view], [ends])
    except KernelError:
        raise not_finite(array) from None
    return ends


def no_ends(channels: int) -> np.ndarray:
    """Return the ends of ranges that hold nothing yet, which the kernels widen."""
    ends = np.empty((2, channels), np.float32)
    ends[0], ends[1] = np.inf, -np.inf
    return ends


def blocks(array: np.ndarray, axis: int | None) -> Iterator[tuple[np.ndarray, int | None]]:
    """Yield C-contiguous float32 pieces that make up `array`, and where their channels are.

    float32 in dense memory, whatever the order of its dimensions, is one piece and not copied. Anything else
    is copied piece by piece, along its longest dimension that is not `axis`.
    """
    if array.dtype == np.float32:
        view, order = dense_view(array)
        if np.may_share_memory(view, array):
            yield view, None if axis is None else order.index(axis)
            return
    others = [d for d in range(array.ndim) if d != axis]
    if not others:
        yield as_float32(array), axis
        return
    longest = max(others, key=lambda d: array.shape[d])
    step = max(1, BLOCK_ELEMENTS * array.shape[longest] // array.size)
    slabs = np.moveaxis(array, longest, 0)
    for start in range(0, len(slabs), step):
        slab = np.moveaxis(slabs[start : start + step], 0, longest)
        yield as_float32(slab), axis


def as_float32(array: np.ndarray) -> np.ndarray:
    """Return a C-contiguous float32 array; what is too large becomes an infinity."""
    with np.errstate(over="ignore"):
        return np.require(array, np.float32, ["C", "A"])


def not_finite(array: np.ndarray) -> QuantizationError:
    """Return the error that says how many elements are not finite, and where the first is."""
    return QuantizationError(f"{describe_not_finite(array)}; a range needs finite float32 values")


def describe_not_finite(array: np.ndarray) -> str:
    """Return how many values of an array are NaN or infinite as float32, and where the first is."""
    bad = ~np.isfinite(as_float32(array))
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    count = int(bad.sum())
    return f"{count} of {array.size} values are NaN or infinite, the first at {first}: {array[first]}"
