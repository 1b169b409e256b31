"""What the functions of `quantcore.tf_quantization` share."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import QuantizationError

__all__ = ["floats"]


def floats(name: str, values: Any, dtype: Any = np.float32) -> np.ndarray:
    """Return real numbers as an array of `dtype`; others are rounded to it."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise QuantizationError(f"{name} is {array.dtype}; expected real numbers")
    with np.errstate(over="ignore"):  # what does not fit is an infinity
        return array.astype(dtype, copy=False)
