"""The range that fake quantization rounds to, and what it is as scale and zero point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels.fake_quant import nudged_ranges
from quantcore.qparams import DTYPES, QuantParams, integer_range, trained_range
from quantcore.tf_quantization.arguments import floats

__all__ = ["NudgedRange", "checked_range", "converted_qparams", "nudge", "quantized_range"]

WIDTHS = {dtype: int(dtype.lstrip("uint")) for dtype in DTYPES}


@dataclass(frozen=True)
class NudgedRange:
    """What `nudge` returns.

    Attributes
    ----------
    min, max : float32, or ndarray of float32, shape (channels,)
        The lowest and the highest number that fake quantization gives.
    scale : float32, or ndarray of float32, shape (channels,)
        The distance of two such numbers.
    zero_point : int, or ndarray of int32, shape (channels,)
        How many steps 0 is above `min`, and one more with `narrow_range`: the value that stands for 0 in the
        quantized range 0 (or 1) to ``2**num_bits - 1``.
    num_bits : int
    narrow_range : bool
    """

    min: Any
    max: Any
    scale: Any
    zero_point: Any
    num_bits: int
    narrow_range: bool

    def qparams(self, dtype: str = "int8", *, axis: int | None = None) -> QuantParams:
        """Return the same numbers as the parameters of a quantized tensor.

        Parameters
        ----------
        dtype : str
            Of `num_bits` bits: ``int8`` or ``uint8`` for 8, ``int4`` for 4, ``int16`` for 16.
        axis : int, optional
            Of the channels; needed where there are several ranges.

        Raises
        ------
        QuantizationError
            The dtype has another width, or a scale is 0 or not finite.
        """
        check_width(dtype, self.num_bits)
        zero_point = self.zero_point + integer_range(dtype)[0]
        return QuantParams(self.scale, zero_point, dtype, axis, narrow_range=self.narrow_range)


def nudge(min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False) -> NudgedRange:
    """Move a range so that 0 is one of its numbers, as fake quantization does before it rounds.

    ``scale = (max - min) / (qmax - qmin)`` with `qmax` ``2**num_bits - 1`` and `qmin` 0, or 1 with
    `narrow_range`. The zero point ``qmin - min / scale`` is rounded half away from zero and kept within the
    bounds: a range that does not hold 0 is moved until it does, and keeps its width. All in float32, in which
    subnormal numbers count as 0. ``docs/numerics/fake_quant.md`` derives it, and says where the result is not
    that of `quantcore.choose_qparams`.

    Parameters
    ----------
    min, max : float or array_like of float32, shape (channels,)
        Finite, ``min <= max``. A range from 0 to 0 has the scale 0: fake quantization does not use it.
    num_bits : int
        2 to 16.
    narrow_range : bool

    Raises
    ------
    QuantizationError
        NaN, infinity, ``min > max``, shapes that differ, or `num_bits` outside its bounds.
    """
    qmin, qmax = quantized_range(num_bits, narrow_range)
    low, high = range_or_ranges(min, max)
    ends = (np.array(end, np.float32, ndmin=1) for end in (low, high))
    first, last, scale, zero = (row if low.ndim else row[0] for row in nudged_ranges(*ends, qmin, qmax))
    zero_point = zero.astype(np.int32) if low.ndim else int(zero)
    return NudgedRange(first, last, scale, zero_point, num_bits, bool(narrow_range))


def converted_qparams(
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    dtype: str = "int8",
    *,
    axis: int | None = None,
) -> QuantParams:
    """Return the parameters that TFLite's converter gives a tensor that is fake-quantized with a range.

    The same formulas as in `nudge`, but in float64, of which the scale is rounded to float32 once: it
    differs by a unit in the last place from that of `nudge` for a quarter of all ranges. The zero point can
    differ where ``min / scale`` is halfway between two integers ([-1, 1] in 8 bits: 0, where `nudge` gives
    -1). A range that is narrower than 1e-6 is widened to hold [-5e-7, 5e-7].

    Parameters
    ----------
    min, max : float or array_like of float32, shape (channels,)
        Finite, ``min <= max``.
    num_bits : int
        4, 8 or 16.
    narrow_range : bool
    dtype : str
        Of `num_bits` bits: ``int8`` where the converter optimizes, ``uint8`` where it does not; ``int4``;
        ``int16``.
    axis : int, optional
        Of the channels; needed where there are several ranges.

    Raises
    ------
    QuantizationError
        As for `nudge`, or the dtype has another width.
    """
    check_width(dtype, num_bits)
    qmin, qmax = quantized_range(num_bits, narrow_range)
    scale, zero_point = trained_range(*range_or_ranges(min, max), qmin, qmax)
    zero_point = zero_point.astype(np.int32) + integer_range(dtype)[0]
    return QuantParams(scale, zero_point, dtype, axis, narrow_range=narrow_range)


def check_width(dtype: str, num_bits: int) -> None:
    """Refuse a dtype that has not `num_bits` bits."""
    fitting = [name for name, bits in WIDTHS.items() if bits == num_bits]
    if dtype not in fitting:
        known = f"expected {' or '.join(fitting)}" if fitting else "no dtype has as many"
        raise QuantizationError(f"dtype is {dtype!r} and num_bits {num_bits}; {known}")


def range_or_ranges(min: Any, max: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of one range, or of several, as float32."""
    low, high = floats("min", min), floats("max", max)
    if low.ndim > 1 or low.shape != high.shape:
        raise QuantizationError(f"min has shape {low.shape} and max {high.shape}; expected () or (channels,)")
    check_order(low, high)
    return low, high


def quantized_range(num_bits: int, narrow_range: bool) -> tuple[int, int]:
    """Return the bounds of the quantized values."""
    if not isinstance(num_bits, int | np.integer) or not 2 <= num_bits <= 16:
        raise QuantizationError(f"num_bits is {num_bits!r}; expected an integer from 2 to 16")
    return int(bool(narrow_range)), 2 ** int(num_bits) - 1


def checked_range(min: Any, max: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of a range, or of one per channel, as float32."""
    low, high = floats("min", min), floats("max", max)
    for name, end in (("min", low), ("max", high)):
        if end.shape != shape:
            expected = f"{shape}, one per element of the last dimension" if shape else "(), one number"
            raise QuantizationError(f"{name} has shape {end.shape}; expected {expected}")
    check_order(low, high)
    return low, high


def check_order(low: np.ndarray, high: np.ndarray) -> None:
    """Refuse ranges that are not finite, or upside down."""
    wrong = np.argwhere(~(np.isfinite(low) & np.isfinite(high) & (low <= high)))
    if len(wrong):  # of a single range the place has no numbers
        place = tuple(int(i) for i in wrong[0])
        where = f" of channel {place[0]}" if place else ""
        raise QuantizationError(
            f"the range{where} is [{low[place]}, {high[place]}]; expected finite ends, min <= max"
        )
