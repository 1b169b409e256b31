"""The ranges of int8 weights in the mode int16x8, widened where a bias would overflow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.quantizer.int16x8.constants import Constants, int16_scale
from quantcore.quantizer.int16x8.plan import Step
from quantcore.quantizer.parameters import guard_weight_ranges, weight_ranges

__all__ = ["set_weight_ranges"]


def set_weight_ranges(steps: Sequence[Step], constants: Constants) -> None:
    """Find the ranges of all weights, and widen them for the biases, in the order of the operators.

    Weights of several operators are widened for each. The scale of an operator's input is here that of its
    own range, even if it will get another one's.
    """
    for step in steps:
        for position, axis in step.weights.items():
            t = step.operand(position)
            values = constants.draft.finite_value(t)
            if values.ndim == 0 or not values.size:
                raise step.error(f"its weights have shape {values.shape}; expected weights with channels")
            if (t, axis) not in constants.ranges:
                constants.ranges[t, axis] = weight_ranges(values, axis)
        if step.rule is not None and step.rule.bias is not None and step.operand(step.rule.bias[0]) >= 0:
            bias, given, position = step.rule.bias
            widen(step, step.operand(bias), step.operand(given), position, constants)


def widen(step: Step, bias: int, given: int, position: int, constants: Constants) -> None:
    """Widen the ranges of the weights at `position` for a bias."""
    values = constants.draft.finite_value(bias)
    key = step.operand(position), step.weights[position]
    channels = constants.ranges[key].size
    if values.ndim != 1 or channels not in (1, values.size):
        raise step.error(
            f"its bias has shape {values.shape}; expected one value for each of {channels} channels"
        )
    scale = int16_scale(*constants.draft.range(given))
    constants.ranges[key] = guard_weight_ranges(values, np.asarray(scale), constants.ranges[key])
