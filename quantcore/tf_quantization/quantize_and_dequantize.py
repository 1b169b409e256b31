"""`quantize_and_dequantize_v2`: real numbers rounded to those that a quantized type holds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels import tf_quantize_dequantize as kernels
from quantcore.kernels._core import KernelCall
from quantcore.layout import resolve_axis
from quantcore.tf_quantization.arguments import choice, floats, per_slice, slice_ranges

__all__ = ["quantize_and_dequantize_v2"]

ROUND_MODES = ("HALF_TO_EVEN", "HALF_UP")
ENDS = ("input_min", "input_max")


def quantize_and_dequantize_v2(
    input: Any,
    input_min: Any,
    input_max: Any,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
) -> np.ndarray:
    """Quantize and dequantize as ``tf.quantization.quantize_and_dequantize_v2`` does, with its bits.

    ``round(x * scale) / scale``, with zero for zero and the largest scale that keeps the range within the
    quantized type: ``docs/numerics/tf_quantize_and_dequantize.md``.

    Parameters
    ----------
    input : array_like of float32 or float64
        Lists and integers are taken for float32. A NaN stays one where the range is given.
    input_min, input_max : array_like
        The range, where it is given: one finite number each, or one per slice along `axis`. Not looked at
        otherwise.
    signed_input : bool
        Whether the quantized type has a sign.
    num_bits : int
        Its width: 1 to 61 with a sign, 1 to 62 without.
    range_given : bool
        False: the range is that of the input, and nothing is clamped.
    round_mode : str
        ``HALF_TO_EVEN`` or ``HALF_UP``.
    name : str, optional
        Has no effect; it stands where it stands in TensorFlow.
    narrow_range : bool
        Leave out the lowest number of a type with a sign.
    axis : int, optional
        The dimension whose slices have ranges of their own; negative counts from the back. Where these are
        given, TensorFlow 2.21 refuses every shape of them; quantcore computes what its
        ``QuantizeAndDequantizeV3`` does, which has ``HALF_TO_EVEN`` only.

    Returns
    -------
    ndarray of the dtype of `input`, and of its shape

    Raises
    ------
    QuantizationError
        Other dtypes, words or numbers of bits than those above, ranges that are not finite and ordered or
        have another shape, NaN in an input that has to give the range.
    """
    array = _real(input)
    choice("round_mode", round_mode, ROUND_MODES)
    lowest, highest = _bounds(num_bits, bool(signed_input), bool(narrow_range))
    axis = None if axis is None else resolve_axis(axis, array.ndim)
    low = high = None
    if range_given:
        low, high = slice_ranges(input_min, input_max, array.shape, axis, ENDS, array.dtype)
        if axis is not None and round_mode != "HALF_TO_EVEN":
            raise QuantizationError(
                f"TensorFlow has no op for round_mode {round_mode} with given ranges along an axis; "
                "expected HALF_TO_EVEN"
            )
    elif np.isnan(array).any():
        raise QuantizationError(
            "input has a NaN, and range_given is False: there is no range; expected numbers"
        )

    def call(outer: int, inner: int) -> KernelCall:
        return kernels.quantize_and_dequantize_call(
            "f64" if array.dtype == np.float64 else "f32",
            outer=outer,
            slices=1 if axis is None else array.shape[axis],
            inner=inner,
            lowest=lowest,
            highest=highest,
            half_up=round_mode == "HALF_UP",
            low=low,
            high=high,
        )

    return per_slice(call, array, axis, array.dtype)


def _real(values: Any) -> np.ndarray:
    """Return an array of float32 or float64."""
    array = np.asarray(values)
    if isinstance(values, np.ndarray | np.generic):
        if array.dtype not in (np.float32, np.float64):
            raise QuantizationError(f"input is {array.dtype}; expected float32 or float64")
        return array
    return floats("input", array)


def _bounds(num_bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the lowest and the highest quantized number."""
    try:
        bits = operator.index(num_bits)
    except TypeError:
        bits = 0
    most = 61 if signed else 62
    if not 1 <= bits <= most:
        kind = "with" if signed else "without"
        raise QuantizationError(
            f"num_bits is {num_bits!r}; expected an integer from 1 to {most} {kind} a sign"
        )
    return (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
