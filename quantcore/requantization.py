"""QUANTIZE by the rules of the numerics profiles, and its multiplier from one quantized dtype to another.

Used by the operator (`quantcore.ops.quantize`) and by `quantcore.requantize`. Derived in
``docs/numerics/requantize.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.numerics import FIXED8, Rule, split_keys

__all__ = [
    "QUANTIZE_RULES",
    "in_delegate_range",
    "requantize_delegated",
    "requantize_multiplier",
    "to_fixed8",
]

# between which the XNNPACK delegate takes ratios of scales: what fits its 16-bit multipliers
RATIO_MIN, RATIO_MAX = 2.0**-8, 2.0**7

QUANTIZE_RULES = split_keys(
    {
        "optimized": {
            "float32_to_int8, float32_to_uint8, float32_to_int16": Rule(form="reciprocal", block=8),
            "int8_to_int8, int8_to_uint8, uint8_to_int8, uint8_to_uint8": Rule("ruy", block=16),
            "int16_to_int8, int16_to_int16, int16_to_int32, int32_to_int8, int32_to_int16": Rule(),
        },
        "xnnpack": {
            "float32_to_int8, float32_to_uint8": Rule(form="saturating"),
            "int8_to_int8, uint8_to_uint8": FIXED8,
        },
        "tflm": {
            "float32_to_int8, float32_to_int16": Rule(form="per_tensor"),
            "int8_to_int8, int8_to_uint8, int8_to_int16, int8_to_int32, uint8_to_int8": Rule(),
            "int16_to_int8, int16_to_int16, int16_to_int32, int32_to_int8, int32_to_int16": Rule(),
        },
    }
)


def to_fixed8(ratio: np.float32) -> np.float64:
    """Return a ratio of scales rounded to 8 fractional bits, half to even, as XNNPACK does."""
    return np.float64(np.rint(np.float32(256) * np.float32(ratio))) / 256


def in_delegate_range(ratio: np.float32) -> bool:
    """Whether XNNPACK multiplies by `ratio` in fixed point."""
    return bool(RATIO_MIN <= ratio <= RATIO_MAX)


def requantize_delegated(from_dtype: str, to_dtype: str, scale: Any, scale2: Any) -> bool:
    """Whether XNNPACK takes a QUANTIZE between these dtypes and (per-tensor) scales."""
    with np.errstate(all="ignore"):
        ratio = np.float32(scale) / np.float32(scale2)
    return from_dtype == to_dtype and to_dtype in ("int8", "uint8") and in_delegate_range(ratio)


def requantize_multiplier(rule: Rule, scale: Any, scale2: Any) -> np.float64:
    """Return ``scale / scale2`` as `rule` forms it."""
    with np.errstate(all="ignore"):  # callers refuse what is not finite
        if rule.form == "fixed8":
            return to_fixed8(np.float32(scale) / np.float32(scale2))
        return np.float64(np.float64(scale) / np.float64(scale2))
