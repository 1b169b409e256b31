"""`quantize`: float32 to the quantized dtypes of TensorFlow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels import tf_quantize as kernels
from quantcore.kernels._core import KernelCall
from quantcore.layout import resolve_axis
from quantcore.tf_quantization.arguments import (
    STORAGE,
    choice,
    floats,
    per_slice,
    quantized_dtype,
    slice_ranges,
)

__all__ = ["MODES", "Quantized", "quantize"]

MODES = ("MIN_COMBINED", "MIN_FIRST", "SCALED")
ROUND_MODES = ("HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN")
ENDS = ("min_range", "max_range")


class Quantized(NamedTuple):
    """What `quantize` returns.

    Attributes
    ----------
    output : ndarray of the integer dtype of `T`'s width
        The quantized values, of the shape of the input.
    output_min, output_max : ndarray of float32
        The range that they stand for: shape ``()``, or ``(slices,)`` where `axis` has other than one slice.
    """

    output: np.ndarray
    output_min: np.ndarray
    output_max: np.ndarray


def quantize(
    input: Any,
    min_range: Any,
    max_range: Any,
    T: Any,
    mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
    ensure_minimum_range: float = 0.01,
    *,
    onednn: bool = True,
) -> Quantized:
    """Quantize as ``tf.quantization.quantize`` does, with its bits.

    The range is first made to enclose zero, and at least ``ensure_minimum_range`` times as wide as its larger
    end is large (as 1, if that is larger). What the modes make of it: ``docs/numerics/tf_quantize.md``.

    Parameters
    ----------
    input : array_like of float32
        Without NaN. float16 is exact; float64 and integers are rounded to float32 first.
    min_range, max_range : array_like of float32
        One finite number each, or one per slice along `axis`.
    T : str or dtype
        ``qint8``, ``quint8``, ``qint16``, ``quint16`` or ``qint32``; TensorFlow's dtypes and the NumPy dtypes
        of their widths are taken for their names.
    mode : str
        ``MIN_COMBINED``, ``MIN_FIRST`` or ``SCALED``.
    round_mode : str
        ``HALF_AWAY_FROM_ZERO``, or ``HALF_TO_EVEN`` in the mode ``SCALED``.
    name : str, optional
        Has no effect; it stands where it stands in TensorFlow.
    narrow_range : bool
        In the mode ``SCALED``: leave out the lowest quantized value. Of unsigned types that value is 0.
    axis : int, optional
        The dimension whose slices have ranges of their own; negative counts from the back. The mode
        ``MIN_FIRST`` takes it only where there is one slice.
    ensure_minimum_range : float
    onednn : bool
        Whether TensorFlow runs with oneDNN, as it does by default on x86-64 processors with AVX512-VNNI or
        newer (``TF_ENABLE_ONEDNN_OPTS`` decides there). oneDNN computes ``quint8`` in the mode
        ``MIN_FIRST`` and 8 bits in ``SCALED`` with ``HALF_TO_EVEN``, without `axis` and `narrow_range`, in
        another way, and does not take ``qint32`` in the latter.

    Returns
    -------
    Quantized
        Named tuple ``(output, output_min, output_max)``.

    Raises
    ------
    QuantizationError
        Unknown words, combinations that TensorFlow refuses, ranges that are not finite and ordered or have
        another shape, NaN in the input (its result depends on its place in TensorFlow).
    KernelError
        The range is too narrow or too wide for float32.
    """
    target = quantized_dtype("T", T)
    choice("mode", mode, MODES)
    choice("round_mode", round_mode, ROUND_MODES)
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise QuantizationError(f"round_mode HALF_TO_EVEN needs the mode SCALED, not {mode}")
    array = floats("input", input)
    axis = None if axis is None else resolve_axis(axis, array.ndim)
    ensured = float(floats("ensure_minimum_range", ensure_minimum_range))
    if not np.isfinite(ensured):
        raise QuantizationError(f"ensure_minimum_range is {ensured}; expected a finite number")
    low, high = slice_ranges(min_range, max_range, array.shape, axis, ENDS)
    if mode == "MIN_FIRST" and low.size != 1:
        raise QuantizationError(
            f"mode MIN_FIRST has no axis in TensorFlow; got axis {axis} of {low.size} slices"
        )
    formula = mode if mode != "SCALED" else f"SCALED_{round_mode}"
    if onednn and axis is None and not narrow_range:
        formula = _onednn_formula(formula, target, array.ndim)
    stored = STORAGE[target]
    ranges = kernels.quantize_ranges(
        formula, stored, low, high, ensure_minimum_range=ensured, narrow_range=bool(narrow_range)
    )
    _check_numbers(array, bool((ranges["scale"] == 0).any()))

    def call(outer: int, inner: int) -> KernelCall:
        return kernels.quantize_call(formula, stored, outer=outer, inner=inner, ranges=ranges)

    shape = () if low.size == 1 else low.shape
    ends = (ranges[end].reshape(shape).copy() for end in ENDS)
    return Quantized(per_slice(call, array, axis, stored), *ends)


def _onednn_formula(formula: str, target: str, rank: int) -> str:
    """Return what TensorFlow runs in place of its own kernel when oneDNN is on, for a range without axis."""
    if formula == "MIN_FIRST" and target == "quint8":
        if rank == 0:
            return "ONEDNN_MIN_FIRST_SCALAR"
        replaced = "ONEDNN_MIN_FIRST"
    elif formula == "SCALED_HALF_TO_EVEN" and target in ("qint8", "quint8", "qint32"):
        replaced = "ONEDNN_SCALED"
    else:
        return formula
    if target == "qint32" or not 1 <= rank <= 5:
        found = "qint32" if target == "qint32" else f"{rank} dimensions"
        raise QuantizationError(
            f"TensorFlow with oneDNN does not quantize {found} by {formula}; pass onednn=False for its own "
            "kernel"
        )
    return replaced


def _check_numbers(array: np.ndarray, no_steps: bool) -> None:
    """Refuse what TensorFlow converts in another way in the body of its loops than in their tails."""
    wrong = ~np.isfinite(array) if no_steps else np.isnan(array)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise QuantizationError(
            f"input{list(first) if first else ''} is {array[first]}, and what TensorFlow makes of that "
            "depends on its place; expected numbers"
        )
