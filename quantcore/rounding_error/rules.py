"""The error of a requantization before its last rounding, rule by rule.

The rules: ``docs/numerics/requantize.md``. The bounds: ``docs/numerics/qat.md``.
"""

from __future__ import annotations

import numpy as np

from quantcore.numerics import Rule
from quantcore.rounding_error.real import Array, gamma

__all__ = ["double_rounding_step", "requantization_error"]

MULTIPLIER = 2.0**-31  # relative, of a multiplier with 31 bits
FORMING = {"double": 0, "float_product": 1, "float32": 2}  # float32 operations that form the real multiplier
TWICE = ("double_rounding", "ruy")


def double_rounding_step(real: Array) -> Array:
    """Return what the first of two roundings adds, in steps: half of a unit, which is shifted right then."""
    right = -np.frexp(np.asarray(real, np.float64))[1]
    return np.where(right > 0, 2.0 ** -(np.maximum(right, 0) + 1.0), 0.0)


def requantization_error(rule: Rule, accumulator: Array, real: Array) -> Array:
    """Return by how many steps what a rule rounds last may miss ``accumulator * real``.

    Parameters
    ----------
    rule : Rule
        ``rounding`` (``double_rounding``, ``ruy``, ``single_rounding``, ``float64`` or ``float32``), and
        ``product``, how the multiplier is formed.
    accumulator : ndarray
        Whole numbers.
    real : ndarray
        The multiplier; broadcasts.
    """
    size = np.abs(accumulator * real)
    error = gamma(FORMING[rule.product]) * size
    if rule.rounding in TWICE:
        return error + MULTIPLIER * size + double_rounding_step(real)
    if rule.rounding == "single_rounding":
        return error + MULTIPLIER * size
    if rule.rounding == "float32":
        conversions = np.where(np.abs(accumulator) > 2**24, 2, 1)
        return error + gamma(conversions + FORMING[rule.product]) * size
    return error  # float64, beyond what is looked at here
