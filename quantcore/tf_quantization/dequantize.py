"""`dequantize`: the quantized dtypes of TensorFlow to float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels import tf_quantize as kernels
from quantcore.kernels._core import KernelCall
from quantcore.layout import resolve_axis
from quantcore.tf_quantization.arguments import (
    STORAGE,
    choice,
    dtype_name,
    per_slice,
    quantized_dtype,
    slice_ranges,
)
from quantcore.tf_quantization.quantize import ENDS, MODES

__all__ = ["dequantize"]

FORMULA = {
    "MIN_COMBINED": "MIN_COMBINED",
    "MIN_FIRST": "MIN_FIRST",
    "SCALED": "SCALED_HALF_TO_EVEN",  # rounding has no part in it
}


def dequantize(
    input: Any,
    min_range: Any,
    max_range: Any,
    mode: str = "MIN_COMBINED",
    name: str | None = None,
    axis: int | None = None,
    narrow_range: bool = False,
    dtype: Any = "float32",
    *,
    onednn: bool = True,
) -> np.ndarray:
    """Dequantize as ``tf.quantization.dequantize`` does, with its bits.

    Unlike in `quantize`, the range is taken as it is. The modes: ``docs/numerics/tf_quantize.md``.

    Parameters
    ----------
    input : array_like of int8, uint8, int16, uint16 or int32
        Which stand for ``qint8``, ``quint8``, ``qint16``, ``quint16`` and ``qint32``.
    min_range, max_range : array_like of float32
        One finite number each, or one per slice along `axis`.
    mode : str
        ``MIN_COMBINED``, ``MIN_FIRST`` or ``SCALED``.
    name : str, optional
        Has no effect; it stands where it stands in TensorFlow.
    axis : int, optional
        The dimension whose slices have ranges of their own; negative counts from the back. The mode
        ``MIN_FIRST`` takes it only where there is one slice.
    narrow_range : bool
        In the mode ``SCALED``: the lowest quantized value is left out.
    dtype : str or dtype
        ``float32``, or ``bfloat16`` in the mode ``MIN_COMBINED``, with oneDNN also ``SCALED`` of 8 bits
        without `axis`.
    onednn : bool
        Whether TensorFlow runs with oneDNN; see `quantize`. oneDNN takes the mode ``SCALED`` without `axis`:
        8 bits with 1 to 5 dimensions, no ``qint32``.

    Returns
    -------
    ndarray of float32, the shape of `input`
        For ``bfloat16`` numbers of that type, which NumPy has not, in float32.

    Raises
    ------
    QuantizationError
        Unknown words, combinations that TensorFlow refuses, ranges that are not finite and ordered or have
        another shape.
    KernelError
        The range is too narrow or too wide for float32.
    """
    array = np.asarray(input)
    source = quantized_dtype("the dtype of input", array.dtype)
    choice("mode", mode, MODES)
    real = choice("dtype", dtype_name(dtype), ("float32", "bfloat16"))
    axis = None if axis is None else resolve_axis(axis, array.ndim)
    low, high = slice_ranges(min_range, max_range, array.shape, axis, ENDS)
    if mode == "MIN_FIRST" and low.size != 1:
        raise QuantizationError(
            f"mode MIN_FIRST has no axis in TensorFlow; got axis {axis} of {low.size} slices"
        )
    formula = FORMULA[mode]
    if onednn and axis is None and mode == "SCALED" and source in ("qint8", "quint8", "qint32"):
        _check_onednn(source, array.ndim)
        formula = "ONEDNN_SCALED"
    if real == "bfloat16" and formula not in ("MIN_COMBINED", "ONEDNN_SCALED"):
        raise QuantizationError(f"dtype bfloat16 needs the mode MIN_COMBINED; got {mode}")
    stored = STORAGE[source]
    terms = kernels.dequantize_terms(formula, stored, low, high, narrow_range=bool(narrow_range))

    def call(outer: int, inner: int) -> KernelCall:
        return kernels.dequantize_call(
            stored,
            outer=outer,
            inner=inner,
            terms=terms,
            bfloat16=real == "bfloat16",
            by_int32=mode == "SCALED" and low.size == 1,
        )

    return per_slice(call, array, axis, np.float32)


def _check_onednn(source: str, rank: int) -> None:
    if source == "qint32" or not 1 <= rank <= 5:
        found = "qint32" if source == "qint32" else f"{rank} dimensions"
        raise QuantizationError(
            f"TensorFlow with oneDNN does not dequantize {found} by SCALED; pass onednn=False for its own "
            "kernel"
        )
