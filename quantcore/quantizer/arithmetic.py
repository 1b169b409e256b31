"""The two ways in which the converter computes with scales in the mode int8.

After training, from ranges that were measured, it rounds each scale to float32 before it goes on
(`ROUNDED`, "legacy float scales"). From trained ranges it computes with the float64 quotients, and rounds
them only where they are stored (`EXACT`): scales and codes of biases differ in their last bits. Sources:
TensorFlow's ``quantization_utils.cc`` and ``tfl_quantization_driver.cc``, MLIR's ``FakeQuantSupport.cpp``
and ``UniformSupport.h``. ``docs/quantization/trained.md`` has the formulas.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from quantcore.qparams import QuantParams, trained_range
from quantcore.quantizer.parameters import (
    SMALLEST_RANGE,
    affine_codes,
    bias_scales,
    constant_qparams,
    four_bit_weights,
    guard_bias,
    guarded_scales,
    quantize_bias,
    quantize_constant,
    quantize_weights,
    stored,
    weight_qparams,
    weight_ranges,
)

__all__ = ["EXACT", "ROUNDED", "Arithmetic", "WideParams", "exact_scales"]


class WideParams(QuantParams):
    """Parameters with the float64 scales that the converter computes with; `scale` is rounded.

    Attributes
    ----------
    exact : ndarray of float64, shape () or (channels,)
    """

    __slots__ = ("exact",)

    exact: np.ndarray

    def __init__(self, scale: Any, zero_point: Any, dtype: str = "int8", axis: int | None = None) -> None:
        super().__init__(scale, zero_point, dtype, axis)
        object.__setattr__(self, "exact", np.asarray(scale, np.float64))

    def __reduce__(self) -> tuple[Any, ...]:
        return WideParams, (self.exact, self.zero_point, self.dtype, self.axis)


def exact_scales(params: QuantParams) -> np.ndarray:
    """Return the scales as float64, before they were rounded if that is known; shape () or (channels,)."""
    return params.exact if isinstance(params, WideParams) else np.asarray(params.scale, np.float64)


class Arithmetic(Protocol):
    """What the passes compute of constants."""

    def weight_params(self, weights: np.ndarray, axis: int | None, bits: int) -> QuantParams:
        """Return the symmetric, narrow parameters of weights, by their content."""

    def constant_params(self, constant: np.ndarray) -> QuantParams:
        """Return the int8 parameters of another constant, by its content."""

    def bias_scales(self, source: QuantParams, weights: QuantParams) -> np.ndarray:
        """Return the scale of a bias for each scale of the weights, shape (channels,) or (1,)."""

    def guard_bias(
        self, bias: np.ndarray, source: QuantParams, weights: QuantParams
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scales of bias and weights so that no bias overflows, and where that changed them."""

    def params(self, scale: Any, zero_point: Any, dtype: str, axis: int | None) -> QuantParams:
        """Return parameters with such scales."""

    def codes(self, values: np.ndarray, params: QuantParams) -> np.ndarray:
        """Return the codes of a constant."""


class _Rounded:
    """Scales are float32 at every step: after training."""

    def weight_params(self, weights: np.ndarray, axis: int | None, bits: int) -> QuantParams:
        return weight_qparams(weights, axis, bits)

    def constant_params(self, constant: np.ndarray) -> QuantParams:
        return constant_qparams(constant)

    def bias_scales(self, source: QuantParams, weights: QuantParams) -> np.ndarray:
        return bias_scales(source.scale, np.atleast_1d(weights.scale))

    def guard_bias(
        self, bias: np.ndarray, source: QuantParams, weights: QuantParams
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return guard_bias(bias, source.scale, np.atleast_1d(weights.scale))

    def params(self, scale: Any, zero_point: Any, dtype: str, axis: int | None) -> QuantParams:
        return QuantParams(scale, zero_point, dtype, axis, narrow_range=dtype != "int32")

    def codes(self, values: np.ndarray, params: QuantParams) -> np.ndarray:
        if params.dtype == "int32":
            return quantize_bias(values, stored(params).scale)
        if params.dtype == "int4":
            return four_bit_weights(values, params)
        return (quantize_weights if params.narrow_range else quantize_constant)(values, params)


class _Exact:
    """Scales are float64 until they are stored: from trained ranges."""

    def weight_params(self, weights: np.ndarray, axis: int | None, bits: int) -> QuantParams:
        half = weight_ranges(weights, axis).astype(np.float64)
        half = np.where(2 * half > SMALLEST_RANGE, half, SMALLEST_RANGE / 2)
        return self.params(2 * half / 254, 0, "int8", axis)

    def constant_params(self, constant: np.ndarray) -> QuantParams:
        low, high = np.minimum(np.min(constant), 0), np.maximum(np.max(constant), 0)
        scale, zero_point = trained_range(low, high, -128, 127)
        return self.params(scale, zero_point, "int8", None)

    def bias_scales(self, source: QuantParams, weights: QuantParams) -> np.ndarray:
        scales: np.ndarray = np.atleast_1d(exact_scales(weights)) * exact_scales(source)
        return scales

    def guard_bias(
        self, bias: np.ndarray, source: QuantParams, weights: QuantParams
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return guarded_scales(
            bias,
            self.bias_scales(source, weights),
            exact_scales(source),
            np.atleast_1d(exact_scales(weights)),
        )

    def params(self, scale: Any, zero_point: Any, dtype: str, axis: int | None) -> QuantParams:
        return WideParams(scale, zero_point, dtype, axis)

    def codes(self, values: np.ndarray, params: QuantParams) -> np.ndarray:
        if params.dtype == "int32":
            flat = affine_codes(values.reshape(-1), exact_scales(params), params)
            return flat.reshape(values.shape)
        return affine_codes(values, exact_scales(params), params)


ROUNDED: Arithmetic = _Rounded()
EXACT: Arithmetic = _Exact()
