"""Constants of the mode int16x8: each in the form that the operator that uses it needs.

TFLite's converter quantizes a constant once, for the first operator that has it, and rewrites its buffer,
which other tensors may share. Here every form that is needed has a tensor of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from quantcore.graph import Quantization
from quantcore.quantizer.int16x8.draft import Draft
from quantcore.quantizer.int16x8.plan import Step
from quantcore.quantizer.parameters import (
    bias_scales,
    guard_weight_ranges,
    quantize_bias,
    quantize_weights_int16x8,
    weight_ranges,
)
from quantcore.rounding import round_half_away

__all__ = ["Constants", "int16_codes", "int16_scale", "symmetric"]

Form = tuple[Hashable, ...]
LIMIT = np.float32(32767)
FLOAT: Form = ("float32",)


def int16_scale(low: np.float32, high: np.float32) -> np.float32:
    """Return the scale of int16 values with a range, ``f32(max(|low|, |high|) / 32767)``; zero point 0."""
    return np.float32(np.maximum(np.abs(low), np.abs(high)) / LIMIT)


def int16_codes(values: np.ndarray, scale: np.float32) -> np.ndarray:
    """Return ``clip(round(f32(v * f32(1 / scale))), -32767, 32767)``; zeros where the scale is 0."""
    if scale == 0:
        return np.zeros(values.shape, np.int16)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = round_half_away(values * np.float32(1.0 / np.float64(scale)))
    codes: np.ndarray = np.clip(np.nan_to_num(steps), -LIMIT, LIMIT).astype(np.int16)
    return codes


def symmetric(scale: ArrayLike, axis: int | None = None, ends: Sequence[ArrayLike] = ()) -> Quantization:
    """Return parameters with zero points 0, and the ends of the range that they are from, if given."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    low, high = (np.atleast_1d(np.asarray(end, np.float32)) for end in ends) if ends else (None, None)
    return Quantization(scales, np.zeros(scales.size, np.int64), axis or 0, low, high)


@dataclass(slots=True)
class Constants:
    """The float constants of a draft, in the forms that operators need.

    The first form takes the place of the float tensor; for further ones there are new tensors.

    Attributes
    ----------
    ranges : dict of (int, int or None) to ndarray of float32
        By tensor and axis ``max |w|`` of weights, widened where a bias would overflow.
    forms : dict of int to (dict of form to int)
        By tensor the tensors that hold its forms.
    """

    draft: Draft
    ranges: dict[tuple[int, int | None], np.ndarray] = field(default_factory=dict)
    forms: dict[int, dict[Form, int]] = field(default_factory=dict)

    def find_ranges(self, steps: Sequence[Step]) -> None:
        """Find the ranges of all weights, and widen them for the biases, in the order of the operators.

        Weights of several operators are widened for each. The scale of an operator's input is here that of
        its own range, even if it will get another one's.
        """
        for step in steps:
            for position, axis in step.weights.items():
                t = step.operand(position)
                values = self.draft.finite_value(t)
                if values.ndim == 0 or not values.size:
                    raise step.error(f"its weights have shape {values.shape}; expected weights with channels")
                if (t, axis) not in self.ranges:
                    self.ranges[t, axis] = weight_ranges(values, axis)
            if step.rule is not None and step.rule.bias is not None and step.operand(step.rule.bias[0]) >= 0:
                self._widen(step, *step.rule.bias)

    def _widen(self, step: Step, position: int, given: int, weights: int) -> None:
        """Widen the ranges of the weights for a bias; by positions among the inputs."""
        values = self.draft.finite_value(step.operand(position))
        key = step.operand(weights), step.weights[weights]
        channels = self.ranges[key].size
        if values.ndim != 1 or channels not in (1, values.size):
            raise step.error(
                f"its bias has shape {values.shape}; expected one value for each of {channels} channels"
            )
        scale = int16_scale(*self.draft.range(step.operand(given)))
        self.ranges[key] = guard_weight_ranges(values, np.asarray(scale), self.ranges[key])

    def as_float(self, t: int) -> int:
        """Return the tensor for a float operator: `t`, unless that has been quantized before."""
        return self.forms.setdefault(t, {FLOAT: t}).get(FLOAT, -1)

    def weights(self, t: int, axis: int | None) -> int:
        """Return constant `t` as int8 weights, per channel along `axis`."""
        if ("int8", axis) in self.forms.get(t, {}):
            return self.forms[t]["int8", axis]
        values = self.draft.finite_value(t)
        span = self.ranges.get((t, axis))
        own = weight_ranges(values, axis)
        span = own if span is None else span
        codes, scales = quantize_weights_int16x8(values, span, axis)
        others = None if axis is None else tuple(d for d in range(values.ndim) if d != axis)
        low, high = (
            np.where(span == own, f(values, axis=others), s * span) for f, s in ((np.min, -1), (np.max, 1))
        )
        new = self._store(t, ("int8", axis), codes, symmetric(scales, axis, (low, high)))
        guarded = int(np.sum(span != own))
        self.draft.account.record(
            new, "range of the weights", t, **({"guarded_channels": guarded} if guarded else {})
        )
        return new

    def activation(self, t: int, *, keep_range: bool = True, positive: bool = False) -> int:
        """Return constant `t` as int16, by its own range.

        Parameters
        ----------
        t : int
        keep_range : bool
            Its quantization record says the range.
        positive : bool
            The kernel needs a scale above 0, even if all values are 0.
        """
        values = self.draft.finite_value(t)
        ends = np.min(values), np.max(values)
        scale = int16_scale(*ends)
        form: Form = ("int16",)
        if positive and scale == 0:
            scale, form = int16_scale(np.float32(0), np.float32(1)), ("int16", "positive")
        new = self.forms.get(t, {}).get(form)
        if new is None:
            new = self._store(t, form, int16_codes(values, scale), symmetric(scale))
            self.draft.account.record(new, "range of the constant", t)
        if keep_range:
            self.draft.tensors[new].quantization = symmetric(self.draft.scale(new), ends=ends)
        return new

    def like(self, t: int, other: int) -> int:
        """Return constant `t` as int16 with the scale of tensor `other`; what lies outside saturates."""
        scale = self.draft.scale(other)
        form = ("int16", scale.tobytes())
        if form in self.forms.get(t, {}):
            return self.forms[t][form]
        value = self.draft.float_value(t)
        assert value is not None
        new = self._store(t, form, int16_codes(value, scale), symmetric(scale))
        self.draft.account.record(new, f"same scale as tensor {other}", other)
        return new

    def bias(self, t: int, input_scale: np.float32, weight_scales: np.ndarray) -> int:
        """Return constant `t` as int64 bias, with the product of the scales of input and weights.

        A bias of zeros means the same in any scale: all operators that have it share the first one's.
        """
        scales, value = bias_scales(np.asarray(input_scale), weight_scales), self.draft.finite_value(t)
        forms = self.forms.get(t, {})
        alike = not value.any() and all(form[0] == "int64" for form in forms)
        form: Form = ("int64", b"" if alike else scales.tobytes())
        if form in forms:
            return forms[form]
        new = self._store(t, form, quantize_bias(value, scales, "int64"), symmetric(scales))
        self.draft.account.record(new, "scale of the input times scale of the weights", t)
        return new

    def _store(self, t: int, form: Form, data: np.ndarray, quantization: Quantization) -> int:
        forms = self.forms.setdefault(t, {})
        if forms:
            name = f"{self.draft.source.subgraphs[0].tensors[t].name}_duplicate_{len(forms)}"
            forms[form] = self.draft.add(name, t, data.dtype.name, quantization, data)
        else:
            tensor = self.draft.tensors[t]
            tensor.data, tensor.dtype, tensor.quantization, tensor.buffer = (
                data,
                data.dtype.name,
                quantization,
                0,
            )
            forms[form] = t
        return forms[form]
