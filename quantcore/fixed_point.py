"""Fixed-point primitives of quantized inference, over arrays.

Each function is one function of ``csrc/include/quantcore/fixed_point.h``, where it stands next to its
formula; ``docs/numerics/requantize.md`` explains how they combine. Arguments broadcast as in NumPy; scalars
give 0-d arrays.

Source of the rules: gemmlowp ``fixedpoint/fixedpoint.h``, TFLite ``kernels/internal/common.cc`` and
``kernels/internal/quantization_util.cc``, ruy ``ruy/apply_multiplier.cc``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels import affine as kernels
from quantcore.rounding import round_half_away

__all__ = [
    "multiply_by_quantized_multiplier",
    "multiply_by_real_multiplier",
    "quantize_multiplier",
    "rounding_divide_by_pot",
    "rounding_right_shift",
    "saturating_rounding_doubling_high_mul",
]

# shifts that each rule is defined for
SHIFT_RANGE = {
    "double_rounding": (-31, 31),
    "ruy": (-31, 31),
    "single_rounding": (-31, 30),
    "int16_multiplier": (-31, 7),
}


def quantize_multiplier(real_multiplier: Any) -> tuple[Any, Any]:
    """Return ``(multiplier, shift)`` with ``real = multiplier * 2**(shift - 31)`` as nearly as 31 bits allow.

    With ``real = f * 2**e`` and ``0.5 <= f < 1``, the multiplier is ``f * 2**31``, rounded half away from 0,
    and the shift is ``e``. A multiplier that rounds up to ``2**31`` becomes ``2**30`` with ``shift + 1``. A
    shift below -31 gives (0, 0), because the product would vanish. There is no upper limit here; kernels
    accept shifts up to 31.

    Parameters
    ----------
    real_multiplier : float or array_like
        A negative one gives a negative multiplier (TFLite has them in LEAKY_RELU).

    Returns
    -------
    multiplier, shift : int, or ndarray of int32
        Python integers for a scalar (or a 0-d array), otherwise arrays of the shape of `real_multiplier`.
        The multiplier is 0, or has a magnitude in ``[2**30, 2**31)``.

    Raises
    ------
    QuantizationError
        NaN or infinity.
    """
    real = np.asarray(real_multiplier, dtype=np.float64)
    if not np.isfinite(real).all():
        bad = real[~np.isfinite(real)].flat[0]
        raise QuantizationError(f"the real multiplier is {bad}; expected a finite number")
    fraction, exponent = np.frexp(real)
    multiplier = round_half_away(fraction * 2.0**31).astype(np.int64)
    carry = np.abs(multiplier) == 1 << 31
    multiplier = np.where(carry, multiplier // 2, multiplier)
    shift = np.where(carry, exponent + 1, exponent)
    vanishes = shift < -31
    multiplier = np.where(vanishes, 0, multiplier).astype(np.int32)
    shift = np.where(vanishes, 0, shift).astype(np.int32)
    return (int(multiplier), int(shift)) if real.ndim == 0 else (multiplier, shift)


def saturating_rounding_doubling_high_mul(a: Any, b: Any) -> np.ndarray:
    """Return ``floor((a * b + 2**30) / 2**31)``; ``a = b = -2**31``, which does not fit, gives ``2**31 - 1``.

    Parameters
    ----------
    a, b : array_like of int32
    """
    (a, b), shape = _broadcast(_integers(a, "a"), _integers(b, "b"))
    out = np.empty(a.size, np.int32)
    kernels.high_mul_loop(a, b, out)
    return out.reshape(shape)


def rounding_divide_by_pot(x: Any, exponent: Any) -> np.ndarray:
    """Return ``x / 2**exponent`` rounded to nearest, ties away from zero (gemmlowp's RoundingDivideByPOT).

    Parameters
    ----------
    x : array_like of int32
    exponent : array_like of int
        In [0, 31].
    """
    return _shift("rounding_divide_by_pot", x, exponent)


def rounding_right_shift(x: Any, exponent: Any) -> np.ndarray:
    """Return ``floor((x + 2**(exponent - 1)) / 2**exponent)``: to nearest, ties toward plus infinity.

    Parameters
    ----------
    x : array_like of int32
    exponent : array_like of int
        In [0, 31]; 0 gives `x`.
    """
    return _shift("rounding_right_shift", x, exponent)


def multiply_by_quantized_multiplier(
    x: Any, multiplier: Any, shift: Any, rounding: str = "double_rounding"
) -> np.ndarray:
    """Return ``x * multiplier * 2**(shift - 31)`` as int32, by a named rule.

    Parameters
    ----------
    x : array_like of int32
        For ``int16_multiplier`` int64, with a magnitude below ``2**47``.
    multiplier, shift : array_like of int32
        As `quantize_multiplier` gives them. A positive shift moves `x` to the left first, and wraps.
    rounding : {"double_rounding", "ruy", "single_rounding", "int16_multiplier"}
        - ``double_rounding``: high multiplication, then a shift with ties away from zero (TFLite's default).
        - ``ruy``: the same with ties of the shift toward plus infinity (TFLite's optimized kernels).
        - ``single_rounding``: one rounding, half up, saturated (TFLite with ``TFLITE_SINGLE_ROUNDING``).
        - ``int16_multiplier``: one rounding, half up, with a multiplier of 16 bits (int16 activations).

    Raises
    ------
    QuantizationError
        An unknown rule, or an argument out of range.
    """
    if rounding not in SHIFT_RANGE:
        raise QuantizationError(f"rounding is {rounding!r}; expected one of {', '.join(SHIFT_RANGE)}")
    wide = rounding == "int16_multiplier"
    accumulators = _integers(x, "x", (1 - 2**47, 2**47 - 1), np.int64) if wide else _integers(x, "x")
    factors = _integers(multiplier, "multiplier")
    shifts = _integers(shift, "shift", SHIFT_RANGE[rounding])
    (accumulators, factors, shifts), shape = _broadcast(accumulators, factors, shifts)
    out = np.empty(accumulators.size, np.int32)
    if wide:
        kernels.int16_multiplier_loop(accumulators, factors, shifts, out)
    else:
        kernels.multiplier_loop(rounding, accumulators, factors, shifts, out)
    return out.reshape(shape)


def multiply_by_real_multiplier(x: Any, real_multiplier: Any, rounding: str = "float64") -> np.ndarray:
    """Return ``x * real_multiplier`` as int32, by a floating-point rule.

    Parameters
    ----------
    x : array_like of int32
    real_multiplier : array_like of float
        Rounded to float32 first for ``float32``.
    rounding : {"float64", "float32"}
        - ``float64``: a float64 product, rounded half away from zero (TFLite's reference FULLY_CONNECTED).
        - ``float32``: a float32 product, rounded half to even (XNNPACK on x86).

    Raises
    ------
    QuantizationError
        An unknown rule, or accumulators that are not int32.
    """
    if rounding not in ("float64", "float32"):
        raise QuantizationError(f"rounding is {rounding!r}; expected 'float64' or 'float32'")
    real = np.asarray(real_multiplier, np.float64)
    (accumulators, factors), shape = _broadcast(_integers(x, "x"), real)
    out = np.empty(accumulators.size, np.int32)
    kernels.real_multiplier_loop(rounding, accumulators, factors, out)
    return out.reshape(shape)


def _shift(name: str, x: Any, exponent: Any) -> np.ndarray:
    (values, exponents), shape = _broadcast(_integers(x, "x"), _integers(exponent, "exponent", (0, 31)))
    out = np.empty(values.size, np.int32)
    kernels.shift_loop(name, values, exponents, out)
    return out.reshape(shape)


def _integers(
    value: Any, name: str, bounds: tuple[int, int] = (-(2**31), 2**31 - 1), dtype: type = np.int32
) -> np.ndarray:
    """Return `value` as an integer array, if it is one and within `bounds`."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" and array.size:
        raise QuantizationError(f"{name} is {array.dtype}; expected integers")
    if array.size and (int(array.min()) < bounds[0] or int(array.max()) > bounds[1]):
        raise QuantizationError(f"{name} is in [{array.min()}, {array.max()}]; allowed is {list(bounds)}")
    return array.astype(dtype)


def _broadcast(*arrays: np.ndarray) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Return the arrays broadcast against each other, flat and contiguous, and their common shape."""
    try:
        full = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise QuantizationError(f"shapes {shapes} do not broadcast") from None
    return [np.ascontiguousarray(a).reshape(-1) for a in full], full[0].shape
