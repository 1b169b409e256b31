"""A real value, and how far what is rounded may be from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["COMPUTED", "FAKE_QUANT", "SCALE", "UNIT", "Array", "RealOutput", "fake_quant_error", "gamma"]

Array = np.ndarray[Any, np.dtype[np.float64]]

UNIT = 2.0**-24  # relative error of one float32 operation
COMPUTED = 2.0**-40  # of our own float64 values, in steps of the output: generous
FAKE_QUANT = 2.0**-13  # in steps: TensorFlow's shift, quotient and additions, on at most 256 steps
SCALE = 4  # UNITs between the float32 scale of the forward pass and the one in the file


def gamma(operations: float | Array) -> Array:
    """Return Higham's ``n u / (1 - n u)``: the relative error of so many float32 operations."""
    product = np.asarray(operations, np.float64) * UNIT
    return product / (1 - product)


def fake_quant_error(value: Array) -> Array:
    """Return by how many steps the quotient that a fake quantization rounds may miss ``x / scale``."""
    return FAKE_QUANT + gamma(SCALE) * np.abs(value)


@dataclass(slots=True)
class RealOutput:
    """What an operator's output stands for before it is rounded to integers.

    All arrays are float64, of one shape, in steps of the output's scale.

    Attributes
    ----------
    value : ndarray
        The real output by the integers and scales in the file, counted from the zero point, within the bounds
        of dtype and activation.
    kernel : ndarray
        By how much what the integer kernel rounds to nearest may differ from `value`.
    forward : ndarray
        By how much what the forward pass rounds to nearest may differ from it.
    """

    value: Array
    kernel: Array
    forward: Array

    @classmethod
    def exact(cls, value: Array) -> RealOutput:
        """Return integers that both have alike."""
        return cls(value, np.zeros(value.shape), np.zeros(value.shape))

    @classmethod
    def joined(cls, parts: Sequence[RealOutput]) -> RealOutput:
        """Return several along their first axis."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    @property
    def is_exact(self) -> bool:
        """Whether both have the same integers."""
        return not (self.kernel.any() or self.forward.any())

    def bounded(self, low: float, high: float, error: float = 0.0) -> RealOutput:
        """Return the output clamped; `error`: by how much the kernel's bounds may be off before rounding."""
        return RealOutput(np.clip(self.value, low, high), self.kernel + error, self.forward)

    def kernel_slack(self, integers: Array) -> Array:
        """Return how far inside of their bounds the kernel's integers, less the zero point, are.

        Below 0 they are outside.
        """
        return 0.5 + self.kernel + COMPUTED - np.abs(integers - self.value)

    def forward_slack(self, integers: Array) -> Array:
        """Return the same of the forward pass."""
        return 0.5 + self.forward + COMPUTED - np.abs(integers - self.value)

    def undecided(self) -> np.ndarray:
        """Return which outputs are so close to a tie that both roundings are allowed."""
        distance = np.abs(self.value - np.floor(self.value) - 0.5)
        return np.asarray(distance <= self.kernel + self.forward)
