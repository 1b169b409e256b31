"""Checks of arguments that the public kernel functions share, and how they run a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels.padding import INT32_MAX, Padding

__all__ = [
    "EIGHT_BITS",
    "INT32_MAX",
    "QUANTIZED",
    "Pair",
    "activation_bounds",
    "check_offset",
    "check_one_of",
    "check_range",
    "contiguous_input",
    "fixed_point",
    "most_shift",
    "optional_vector",
    "padding_of_axes",
    "pair",
    "run",
    "state_array",
    "sum_form",
    "sum_requant",
]

EIGHT_BITS = ("int8", "uint8")
QUANTIZED = (*EIGHT_BITS, "int16")
ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")
WIDE_ROUNDINGS = ("double_rounding", "int16_multiplier", "float64")  # that sums in int64 have
OUTPUT_OFFSETS = {"int8": (-255, 255), "uint8": (-255, 255), "int16": (-32768, 32767)}
Pair = tuple[int, int]


def contiguous_input(name: str, value: Any, dtypes: tuple[str, ...], rank: int | None = None) -> np.ndarray:
    """Return `value` as a C-contiguous array.

    Raises
    ------
    KernelError
        If its dtype is none of `dtypes`, or its rank is not `rank`.
    """
    array = np.asarray(value)
    if array.dtype.name not in dtypes:
        raise KernelError(f"{name} has dtype {array.dtype}; expected {' or '.join(dtypes)}")
    if rank is not None and array.ndim != rank:
        raise KernelError(f"{name} has shape {array.shape}; expected {rank} dimensions")
    if array.size > INT32_MAX:
        raise KernelError(f"{name} has {array.size} elements; the limit is 2**31 - 1")
    return np.require(array, requirements=["C", "A"])


def optional_vector(name: str, value: Any, dtype: str, count: int) -> np.ndarray | None:
    """Return a vector of `count` elements, such as a bias, or None where there is none."""
    if value is None:
        return None
    vector = contiguous_input(name, value, (dtype,), 1)
    if vector.size != count:
        raise KernelError(f"{name} has {vector.size} elements; expected {count}, one per output channel")
    return vector


def state_array(
    name: str, value: Any, dtype: np.dtype, shape: tuple[int, ...], initial: int | None = None
) -> np.ndarray:
    """Return an array that the kernel may write to; a new one where the caller gives none."""
    if value is None and initial is not None:
        return np.full(shape, initial, dtype)
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise KernelError(f"{name} is {found}; expected an ndarray of {dtype} with shape {shape}")
    if not (value.flags.c_contiguous and value.flags.writeable and value.flags.aligned):
        raise KernelError(f"{name} is changed in place; expected a writeable, C-contiguous array")
    return value


def check_range(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int; refuse it outside [low, high]."""
    number = int(value)
    if number != value or not low <= number <= high:
        raise KernelError(f"{name} is {value}; expected an integer in [{low}, {high}]")
    return number


def check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not known."""
    if value not in known:
        raise KernelError(f"{name} is {value!r}; expected one of {', '.join(known)}")


def check_offset(name: str, value: Any, dtype: np.dtype) -> int:
    """Return an offset, which is minus a value of `dtype`."""
    info = np.iinfo(dtype)
    return check_range(name, value, -int(info.max), -int(info.min))


def pair(name: str, values: Pair) -> Pair:
    """Return two positive integers, for height and width."""
    if np.shape(values) != (2,):
        raise KernelError(f"{name} is {values}; expected a value for the height and one for the width")
    return check_range(name, values[0], 1, INT32_MAX), check_range(name, values[1], 1, INT32_MAX)


def padding_of_axes(padding: str | Sequence[Pair]) -> tuple[Padding, Padding]:
    """Return the padding of the height and that of the width."""
    if isinstance(padding, str):
        return padding, padding
    if len(padding) != 2:
        raise KernelError(f"padding is {padding}; expected 'same', 'valid' or ((top, bottom), (left, right))")
    return padding[0], padding[1]


def most_shift(rounding: str) -> int:
    """Return the largest shift of a rule for sums in int32."""
    return 30 if rounding == "single_rounding" else 31


def fixed_point(name: str, multiplier: Any, shift: Any, max_shift: int = 31) -> tuple[int, int]:
    """Return a multiplier (0, or at least 2**30) and its shift in [-31, max_shift] as ints."""
    m = check_range(f"{name}multiplier", multiplier, 0, INT32_MAX)
    if 0 < m < 1 << 30:
        raise KernelError(
            f"{name}multiplier is {m}; expected 0, or at least 2**30 (quantize_multiplier gives it)"
        )
    return m, check_range(f"{name}shift", shift, -31, max_shift)


def activation_bounds(dtype: np.dtype, low: Any, high: Any) -> dict[str, int]:
    """Return the bounds of an activation as the arguments of a kernel; None stands for those of `dtype`."""
    info = np.iinfo(dtype)
    low = check_range("activation_min", info.min if low is None else low, int(info.min), int(info.max))
    high = check_range("activation_max", info.max if high is None else high, int(info.min), int(info.max))
    if low > high:
        raise KernelError(f"activation_min {low} is above activation_max {high}")
    return {"activation_min": low, "activation_max": high}


def sum_form(
    dtype: np.dtype, bias: Any, channels: int, rounding: str, wide_without_bias: bool
) -> tuple[np.ndarray | None, str, str]:
    """Return the bias of a sum of products, checked, the form of the kernel, and its rule.

    Products of int16 activations are summed in int64 where the bias is int64. Such sums have rules of their
    own, for one of which ``double_rounding`` stands too, as in TFLite.
    """
    wide = wide_without_bias if bias is None else np.asarray(bias).dtype == np.int64
    if dtype != np.int16 or not wide:
        return optional_vector("bias", bias, "int32", channels), dtype.name, rounding
    if rounding not in WIDE_ROUNDINGS:
        raise KernelError(
            f"rounding is {rounding!r}; expected one of {', '.join(WIDE_ROUNDINGS)} for sums in int64"
        )
    rule = "float64" if rounding == "float64" else "int16_multiplier"
    return optional_vector("bias", bias, "int64", channels), "int16_wide", rule


def sum_requant(
    dtype: np.dtype,
    channels: int,
    rounding: str,
    multiplier: Any,
    shift: Any,
    real_multiplier: Any,
    output_offset: Any,
    activation_min: Any,
    activation_max: Any,
) -> Requant:
    """Return the requantization of sums, of one multiplier or one per channel."""
    check_one_of("rounding", rounding, (*ROUNDINGS, "int16_multiplier") if dtype == np.int16 else ROUNDINGS)
    store = activation_bounds(dtype, activation_min, activation_max)
    store["output_offset"] = check_range("output_offset", output_offset, *OUTPUT_OFFSETS[dtype.name])
    if rounding in ("float32", "float64"):
        requant = Requant(rounding, real_multiplier=real_multiplier, **store)
    else:
        most = 7 if rounding == "int16_multiplier" else most_shift(rounding)
        requant = Requant(rounding, *_fixed_points(multiplier, shift, most), **store)
    if requant.channels not in (1, channels):
        raise KernelError(f"{requant.channels} multipliers given; expected 1, or one per channel, {channels}")
    return requant


def _fixed_points(multiplier: Any, shift: Any, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return multipliers and shifts, checked."""
    m, s = np.atleast_1d(multiplier), np.atleast_1d(shift)
    if m.dtype.kind not in "iu" or s.dtype.kind not in "iu":
        raise KernelError(f"multiplier and shift have dtypes {m.dtype} and {s.dtype}; expected integers")
    if ((m != 0) & ((m < 1 << 30) | (m > INT32_MAX))).any():
        raise KernelError(
            "multiplier has elements other than 0 outside [2**30, 2**31); quantize_multiplier gives them"
        )
    if s.size and not -31 <= s.min() <= s.max() <= most:
        raise KernelError(f"shift is in [{s.min()}, {s.max()}]; expected integers in [-31, {most}]")
    return m, s


def run(
    call: KernelCall, inputs: Sequence[np.ndarray | None], shape: Sequence[int], dtype: np.dtype | str
) -> np.ndarray:
    """Run a kernel of one output, and return that."""
    output = np.empty(shape, dtype)
    call(inputs, [output])
    return output
