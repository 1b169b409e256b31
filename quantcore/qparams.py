"""Quantization parameters, and how the TFLite converter chooses them from a range."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.rounding import round_half_away

__all__ = [
    "DTYPES",
    "QuantParams",
    "affine_range",
    "choose_qparams",
    "integer_range",
    "storage_name",
    "trained_range",
]

# Trained ranges of this width or less are widened
SMALLEST_TRAINED_RANGE = 1e-6


def integer_range(dtype: str) -> tuple[int, int]:
    """Return the smallest and the largest value of an integer dtype, those below a byte included."""
    values = 2 ** int(dtype.lstrip("uint"))
    return (0, values - 1) if dtype.startswith("u") else (-values // 2, values // 2 - 1)


# range of each quantized dtype; int4 values are held one per int8 element
DTYPES = {dtype: integer_range(dtype) for dtype in ("int4", "int8", "uint8", "int16", "int32")}


def storage_name(dtype: str) -> str:
    """Return the name of the NumPy dtype that holds values of a quantized dtype: int8 for int4."""
    return "int8" if dtype == "int4" else dtype


class QuantParams:
    """Quantization parameters of a tensor, per tensor or per channel. Immutable.

    Parameters
    ----------
    scale : float or array_like, shape (channels,)
        Finite and positive; rounded to float32, as TFLite stores it.
    zero_point : int or array_like of int
        The quantized value that stands for 0.0, within the range of the dtype: one for all channels, or
        one per channel.
    dtype : {"int8", "uint8", "int16", "int32", "int4"}
    axis : int, optional
        The dimension that a per-channel `scale` runs along; may be negative. None: per tensor.
    narrow_range : bool
        The lowest value of the dtype is not used: -127 to 127 for int8, as TFLite quantizes weights.

    Attributes
    ----------
    scale : numpy.float32, or read-only ndarray of float32, shape (channels,)
    zero_point : int, or read-only ndarray of int32, shape (channels,)
    dtype : str
    axis : int or None
    narrow_range : bool
    qmin, qmax : int
        Range of the quantized values.
    storage : numpy.dtype
        NumPy dtype of quantized arrays: that of `dtype`, and int8 for int4.

    Raises
    ------
    QuantizationError
        Anything outside these ranges; a per-channel scale without axis, or an axis with a single number.

    Examples
    --------
    >>> QuantParams(0.5, 3)
    QuantParams(scale=0.5, zero_point=3, dtype='int8')
    """

    __slots__ = ("axis", "dtype", "narrow_range", "scale", "zero_point")

    scale: Any
    zero_point: Any
    dtype: str
    axis: int | None
    narrow_range: bool

    def __init__(
        self,
        scale: Any,
        zero_point: Any,
        dtype: str = "int8",
        axis: int | None = None,
        *,
        narrow_range: bool = False,
    ) -> None:
        if dtype not in DTYPES:
            raise QuantizationError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
        scales = _checked_scales(scale)
        if axis is None and scales.ndim:
            raise QuantizationError(f"scale has shape {scales.shape}; give axis for parameters per channel")
        if axis is not None and scales.ndim != 1:
            raise QuantizationError(f"scale has shape {scales.shape}; with axis {axis} expected (channels,)")
        super().__setattr__("dtype", dtype)
        super().__setattr__("narrow_range", bool(narrow_range))
        super().__setattr__("axis", None if axis is None else int(axis))
        super().__setattr__("scale", scales if scales.ndim else np.float32(scales))
        super().__setattr__("zero_point", self._checked_zero_points(zero_point, scales.shape))

    def _checked_zero_points(self, zero_point: Any, shape: tuple[int, ...]) -> Any:
        values = np.asarray(zero_point)
        if values.dtype.kind not in "iu":
            raise QuantizationError(f"zero_point is {zero_point!r}; expected integers")
        if values.shape not in ((), shape):
            raise QuantizationError(f"zero_point has shape {values.shape}; expected () or {shape}, as scale")
        if values.size and (int(values.min()) < self.qmin or int(values.max()) > self.qmax):
            raise QuantizationError(
                f"zero_point is in [{values.min()}, {values.max()}]; the range of {self.dtype} is "
                f"[{self.qmin}, {self.qmax}]"
            )
        if not shape:
            return int(values)
        values = np.broadcast_to(values, shape).astype(np.int32)
        values.flags.writeable = False
        return values

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("QuantParams is immutable; make a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("QuantParams is immutable")

    @property
    def qmin(self) -> int:
        """Smallest quantized value."""
        return DTYPES[self.dtype][0] + self.narrow_range

    @property
    def qmax(self) -> int:
        """Largest quantized value."""
        return DTYPES[self.dtype][1]

    @property
    def storage(self) -> np.dtype:
        """NumPy dtype of quantized arrays: that of `dtype`, and int8 for int4."""
        return np.dtype(storage_name(self.dtype))

    @property
    def channels(self) -> int:
        """Number of scales; 1 per tensor."""
        return 1 if self.axis is None else self.scale.size

    @property
    def per_channel(self) -> bool:
        """Whether there is a scale for each channel."""
        return self.axis is not None

    def _key(self) -> tuple[Any, ...]:
        scales, zero_points = np.atleast_1d(self.scale), np.atleast_1d(self.zero_point)
        return (self.dtype, self.narrow_range, self.axis, scales.tobytes(), tuple(zero_points.tolist()))

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, QuantParams) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.scale, self.zero_point, self.dtype, self.axis, self.narrow_range)
        return _rebuild, arguments

    def __repr__(self) -> str:
        scale, zero_point = (
            str(v) if np.ndim(v) == 0 else _shortened(v) for v in (self.scale, self.zero_point)
        )
        axis = "" if self.axis is None else f", axis={self.axis}"
        narrow = ", narrow_range=True" if self.narrow_range else ""
        return f"QuantParams(scale={scale}, zero_point={zero_point}, dtype={self.dtype!r}{axis}{narrow})"


def _rebuild(scale: Any, zero_point: Any, dtype: str, axis: int | None, narrow_range: bool) -> QuantParams:
    return QuantParams(scale, zero_point, dtype, axis, narrow_range=narrow_range)


def _shortened(values: np.ndarray) -> str:
    return np.array2string(values, separator=", ", threshold=8, edgeitems=3, max_line_width=10**6)


def _checked_scales(scale: Any) -> np.ndarray:
    """Return the scales as a read-only float32 array of rank 0 or 1."""
    try:
        with np.errstate(over="ignore", under="ignore"):
            scales = np.array(scale, dtype=np.float32)
    except (TypeError, ValueError):
        raise QuantizationError(f"scale is {scale!r}; expected numbers") from None
    if scales.ndim > 1 or scales.size == 0:
        raise QuantizationError(f"scale has shape {scales.shape}; expected a number, or (channels,)")
    bad = ~(np.isfinite(scales) & (scales > 0))
    if bad.any():
        where = f" of channel {int(np.argmax(bad))}" if scales.ndim else ""
        found = np.asarray(scale, dtype=np.float64)[bad].flat[0]
        raise QuantizationError(f"scale{where} is {found}; expected a finite, positive float32")
    scales.flags.writeable = False
    return scales


def choose_qparams(
    rmin: Any,
    rmax: Any,
    dtype: str = "int8",
    symmetric: bool = False,
    narrow_range: bool = False,
    *,
    axis: int | None = None,
) -> QuantParams:
    """Return the parameters that the TFLite converter gives a tensor with values in [rmin, rmax].

    The range is widened to hold 0.0, and both ends are rounded to float32. Then, with ``f32`` one rounding to
    float32 and everything else in float64:

    - asymmetric: a range shorter than 1e-6 grows by 1e-6 on both sides;
      ``scale = f32(f32(rmax - rmin) / (qmax - qmin))``, and the zero point is ``f32(qmin - rmin / scale)``,
      rounded half away from zero and clamped to [qmin, qmax], so that 0.0 is exactly representable;
    - symmetric: with ``m = max(-rmin, rmax)``, at least 5e-7 (int16: at least 2**-126),
      ``scale = f32(m / qmax)``, and the zero point is 0. (int32: ``qmax`` is the float32 below ``2**31``.)

    int16 and int32 are symmetric always, as TFLite requires. uint8 has the parameters of int8 with 128 added
    to the zero point, as the converter makes uint8 inputs and outputs.

    Parameters
    ----------
    rmin, rmax : float or array_like, shape (channels,)
        Finite, ``rmin <= rmax``. Arrays give parameters per channel and need `axis`.
    dtype : {"int8", "uint8", "int16", "int32", "int4"}
    symmetric : bool
    narrow_range : bool
        Leave out the lowest value, as TFLite does for weights.
    axis : int, optional
        See `QuantParams`.

    Raises
    ------
    QuantizationError
        NaN, infinity, ``rmin > rmax``, or an unknown dtype.

    Notes
    -----
    Sources of the rules: TFLite ``kernels/internal/quantization_util.h`` (ChooseQuantizationParams),
    ``tools/optimize/quantization_utils.cc``, and TensorFlow's MLIR quantizer with legacy float scales, which
    the converter uses; where they differ, the converter's result counts.
    """
    if dtype not in DTYPES:
        raise QuantizationError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    low, high = _checked_range(rmin, rmax)
    signed = "int8" if dtype == "uint8" else dtype
    qmin, qmax = DTYPES[signed][0] + narrow_range, DTYPES[signed][1]
    if symmetric or dtype in ("int16", "int32"):
        scale, zero_point = _choose_symmetric(low, high, qmax)
    else:
        scale, zero_point = _choose_asymmetric(low, high, qmin, qmax)
    if dtype == "uint8":
        zero_point = zero_point + 128
    return QuantParams(scale, zero_point, dtype, axis, narrow_range=narrow_range)


def _checked_range(rmin: Any, rmax: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends as float32, widened to hold 0."""
    low, high = (np.asarray(end, dtype=np.float64) for end in (rmin, rmax))
    if low.shape != high.shape:
        raise QuantizationError(f"rmin has shape {low.shape} and rmax {high.shape}; expected equal shapes")
    limit = float(np.finfo(np.float32).max)
    good = (low <= high) & (np.abs(low) <= limit) & (np.abs(high) <= limit)  # False for NaN
    if not good.all():
        first = tuple(int(i) for i in np.argwhere(~good)[0])
        where = f" of channel {first[0]}" if first else ""
        raise QuantizationError(
            f"the range{where} is [{low[first]}, {high[first]}]; expected finite float32 ends, rmin <= rmax"
        )
    return np.minimum(low.astype(np.float32), 0), np.maximum(high.astype(np.float32), 0)


def _choose_asymmetric(
    low: np.ndarray, high: np.ndarray, qmin: int, qmax: int
) -> tuple[np.ndarray, np.ndarray]:
    wide_low, wide_high = low.astype(np.float64), high.astype(np.float64)
    short = wide_high - wide_low < 1e-6
    wide_low = np.where(short, wide_low - 1e-6, wide_low)
    wide_high = np.where(short, wide_high + 1e-6, wide_high)
    return affine_range(wide_low, wide_high, qmin, qmax)


def affine_range(low: np.ndarray, high: np.ndarray, qmin: int, qmax: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scale (float32) and zero point (int64) that spread the range [low, high] over [qmin, qmax].

    The ends are float64, hold 0 between them, and are not equal as float32. The scale is computed in float32.
    The zero point is computed in float64 and rounded to float32 before it is rounded to an integer: a value
    just below a half becomes the half, and goes away from zero.

    Raises
    ------
    QuantizationError
        The range is wider than the largest float32.
    """
    with np.errstate(over="ignore"):
        scale = (high.astype(np.float32) - low.astype(np.float32)) / np.float32(qmax - qmin)
    if not np.isfinite(scale).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(scale))[0])
        where = f" of channel {first[0]}" if first else ""
        raise QuantizationError(
            f"the range{where} is [{low[first]}, {high[first]}], which is wider than the largest float32"
        )
    zero_point = (qmin - low / scale.astype(np.float64)).astype(np.float32).astype(np.float64)
    zero_point = np.clip(zero_point, qmin, qmax)
    return scale, round_half_away(zero_point).astype(np.int64)


def _choose_symmetric(low: np.ndarray, high: np.ndarray, qmax: int) -> tuple[np.ndarray, np.ndarray]:
    floor = np.finfo(np.float32).tiny if qmax == 2**15 - 1 else np.float32(5e-7)
    largest = np.maximum(np.maximum(-low, high), floor)
    # as float32, 2**31 - 1 would be 2**31, which does not fit int32 any more
    divisor = np.float32(qmax) if qmax < 2**31 - 1 else np.nextafter(np.float32(2**31), np.float32(0))
    return largest / divisor, np.zeros(low.shape, np.int64)


def trained_range(low: Any, high: Any, qmin: int, qmax: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scale (float64) and zero point (int64) that the converter gives a range of fake quantization.

    Unlike after training, nothing is rounded to float32, and a range need not hold 0. One of 1e-6 or less is
    widened to hold -5e-7 and 5e-7. The zero point follows from the end of the range that gives the smaller
    error, is rounded half away from zero, and clamped to [qmin, qmax].

    Parameters
    ----------
    low, high : array_like of float32, shape () or (channels,)
    qmin, qmax : int
        Of the codes; `qmin` is one more where fake quantization has a narrow range.

    Notes
    -----
    Sources of the rule: MLIR's ``fakeQuantAttrsToType`` (``FakeQuantSupport.cpp``), and ``GetQuantizedType``
    (``quantization_utils.cc``) of the converter.
    """
    low, high = (np.asarray(end, np.float64) for end in (low, high))
    short, half = ~(high - low > SMALLEST_TRAINED_RANGE), SMALLEST_TRAINED_RANGE / 2
    low = np.where(short, np.minimum(low, -half), low)
    high = np.where(short, np.maximum(high, half), high)
    scale = (high - low) / (qmax - qmin)
    below, above = low / scale, high / scale
    from_low = abs(qmin) + np.abs(below) < abs(qmax) + np.abs(above)
    zero_point = round_half_away(np.where(from_low, qmin - below, qmax - above))
    return scale, np.clip(zero_point, qmin, qmax).astype(np.int64)
