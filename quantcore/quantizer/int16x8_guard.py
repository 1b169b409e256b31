"""The ranges of int8 weights in the mode int16x8, widened where a bias would overflow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.calibration.ranges import Ranges
from quantcore.errors import QuantizationError
from quantcore.quantizer.int16x8_constants import Constants, int16_scale
from quantcore.quantizer.int16x8_plan import Step
from quantcore.quantizer.parameters import guard_weight_ranges, weight_ranges

__all__ = ["range_of", "set_weight_ranges"]


ZERO = np.float32(0)
# The converter's calibration starts with this as largest value: so ends the range of what is always 0
SMALLEST = np.finfo(np.float32).smallest_normal


def set_weight_ranges(steps: Sequence[Step], ranges: Ranges, constants: Constants) -> None:
    """Find the ranges of all weights, and widen them for the biases, in the order of the operators.

    Weights of several operators are widened for each. The scale of an operator's input is here that of its
    own range, even if it will get another one's.
    """
    for step in steps:
        for position, axis in step.weights.items():
            t = step.operand(position)
            values = constants.value(t)
            if values.ndim == 0 or not values.size:
                raise step.error(f"its weights have shape {values.shape}; expected weights with channels")
            if (t, axis) not in constants.ranges:
                constants.ranges[t, axis] = weight_ranges(values, axis)
        if step.rule is not None and step.rule.bias is not None and step.operand(step.rule.bias[0]) >= 0:
            bias, given, position = step.rule.bias
            widen(step, step.operand(bias), step.operand(given), position, ranges, constants)


def widen(step: Step, bias: int, given: int, position: int, ranges: Ranges, constants: Constants) -> None:
    """Widen the ranges of the weights at `position` for a bias."""
    values = constants.value(bias)
    key = step.operand(position), step.weights[position]
    channels = constants.ranges[key].size
    if values.ndim != 1 or channels not in (1, values.size):
        raise step.error(
            f"its bias has shape {values.shape}; expected one value for each of {channels} channels"
        )
    scale = int16_scale(*range_of(given, ranges, constants))
    constants.ranges[key] = guard_weight_ranges(values, np.asarray(scale), constants.ranges[key])


def range_of(t: int, ranges: Ranges, constants: Constants) -> tuple[np.float32, np.float32]:
    """Return the range of tensor `t`, widened to hold 0, and to more than 0."""
    if constants.draft.float_value(t) is not None:
        values = constants.value(t)
        return np.minimum(np.min(values), ZERO), np.maximum(np.max(values), ZERO)
    if t not in ranges:
        name = constants.draft.tensors[t].name
        raise QuantizationError(
            f"tensor {t} ({name!r}) has no range; calibrate the model on data that computes it"
        )
    low, high = np.float32(ranges[t].rmin), np.float32(ranges[t].rmax)
    if low == high == 0:
        return low, SMALLEST
    return np.minimum(low, ZERO), np.maximum(high, ZERO)
