"""The error of quantized values against float ones, measured sample by sample.

`ErrorSums` keeps sums, never tensors. They are kept as exact fractions, so partial results merge to the same
bits in any order and however the samples were split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from quantcore.affine import dequantize
from quantcore.graph import Tensor
from quantcore.qparams import DTYPES, QuantParams, storage_name

__all__ = ["ErrorSums", "Measures", "measure", "params_of", "real_values"]

ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Measures:
    """How far quantized values are from float ones; ``error = quantized - float``, both as real values.

    Attributes
    ----------
    elements : int
        Pairs of values that were compared, over all samples.
    non_finite : int
        Pairs left out because either value is NaN or infinite.
    mean_error, stddev : float
        Mean of the error, and its standard deviation (dividing by `elements`).
    max_abs_error : float
    mean_squared_error, rmse : float
    rmse_over_scale : float or None
        `rmse` in quantization steps; rounding alone gives ``1 / sqrt(12) = 0.289``.
    sqnr_db : float
        ``10 log10(sum(float**2) / sum(error**2))``; ``inf`` without any error, ``-inf`` where there is no
        signal.
    cosine : float
        Cosine of the angle between the two; 1 where both are zero, 0 where one is.
    range_use : float or None
        Share of the codes from the smallest to the largest one that occurred, among all that the dtype has.
    clipped_low, clipped_high : float or None
        Share of the float values below and above what the codes can express, by more than half a step.
    """

    elements: int
    non_finite: int
    mean_error: float
    stddev: float
    max_abs_error: float
    mean_squared_error: float
    rmse: float
    rmse_over_scale: float | None
    sqnr_db: float
    cosine: float
    range_use: float | None
    clipped_low: float | None
    clipped_high: float | None


@dataclass(slots=True)
class ErrorSums:
    """Sums over the pairs of values seen so far; merging is exact.

    Attributes
    ----------
    elements, non_finite, clipped_low, clipped_high : int
    error, squared_error, squared_float, squared_quantized, product : Fraction
        Exact sums of what float64 gives for each sample.
    max_abs_error : float
    low_code, high_code : int or None
        Smallest and largest code.
    """

    elements: int = 0
    non_finite: int = 0
    clipped_low: int = 0
    clipped_high: int = 0
    error: Fraction = field(default=ZERO)
    squared_error: Fraction = field(default=ZERO)
    squared_float: Fraction = field(default=ZERO)
    squared_quantized: Fraction = field(default=ZERO)
    product: Fraction = field(default=ZERO)
    max_abs_error: float = 0.0
    low_code: int | None = None
    high_code: int | None = None

    def update(self, expected: np.ndarray, values: np.ndarray, params: QuantParams | None = None) -> None:
        """Add one sample.

        Parameters
        ----------
        expected : ndarray of a real dtype
            What the float model has.
        values : ndarray with as many elements
            What the quantized model has: codes where `params` says what they stand for, else real values.
        params : QuantParams, optional
        """
        x = np.asarray(expected, np.float64).reshape(-1)
        y = np.asarray(values if params is None else dequantize(values, params), np.float64).reshape(-1)
        finite = np.isfinite(x) & np.isfinite(y)
        if not finite.all():
            self.non_finite += int(finite.size - np.count_nonzero(finite))
            x, y = x[finite], y[finite]
        self.elements += x.size
        error = y - x
        self.error += Fraction(float(error.sum()))
        self.squared_error += Fraction(float(error @ error))
        self.squared_float += Fraction(float(x @ x))
        self.squared_quantized += Fraction(float(y @ y))
        self.product += Fraction(float(x @ y))
        if error.size:
            self.max_abs_error = max(self.max_abs_error, float(np.abs(error, out=error).max()))
        if params is not None and values.size:
            self._add_codes(np.asarray(expected), values, params)

    def _add_codes(self, expected: np.ndarray, codes: np.ndarray, params: QuantParams) -> None:
        low, high = int(codes.min()), int(codes.max())
        self.low_code = low if self.low_code is None else min(low, self.low_code)
        self.high_code = high if self.high_code is None else max(high, self.high_code)
        if params.per_channel:
            return  # weights: scales are made for their content
        scale, zero_point = float(params.scale), int(params.zero_point)
        with np.errstate(over="ignore"):  # a bound beyond float32 is infinite, and nothing lies outside
            self.clipped_low += int(np.count_nonzero(expected < scale * (params.qmin - zero_point - 0.5)))
            self.clipped_high += int(np.count_nonzero(expected > scale * (params.qmax - zero_point + 0.5)))

    def merge(self, other: ErrorSums) -> None:
        """Add what `other` has seen."""
        self.elements += other.elements
        self.non_finite += other.non_finite
        self.clipped_low += other.clipped_low
        self.clipped_high += other.clipped_high
        self.error += other.error
        self.squared_error += other.squared_error
        self.squared_float += other.squared_float
        self.squared_quantized += other.squared_quantized
        self.product += other.product
        self.max_abs_error = max(self.max_abs_error, other.max_abs_error)
        lows = [code for code in (self.low_code, other.low_code) if code is not None]
        highs = [code for code in (self.high_code, other.high_code) if code is not None]
        self.low_code, self.high_code = min(lows, default=None), max(highs, default=None)

    def result(self, params: QuantParams | None = None) -> Measures:
        """Return the measures of what was seen; `params` as for `update`."""
        n = self.elements or 1
        mean, mse = self.error / n, self.squared_error / n
        rmse = math.sqrt(mse)
        per_tensor = params is not None and not params.per_channel
        codes = None
        # What an int32 could hold says nothing about a bias.
        if (
            params is not None
            and params.dtype != "int32"
            and self.low_code is not None
            and self.high_code is not None
        ):
            codes = (self.high_code - self.low_code + 1) / (params.qmax - params.qmin + 1)
        return Measures(
            elements=self.elements,
            non_finite=self.non_finite,
            mean_error=float(mean),
            stddev=math.sqrt(max(mse - mean * mean, ZERO)),
            max_abs_error=self.max_abs_error,
            mean_squared_error=float(mse),
            rmse=rmse,
            rmse_over_scale=rmse / float(params.scale) if params is not None and per_tensor else None,
            sqnr_db=self._sqnr(),
            cosine=self._cosine(),
            range_use=codes,
            clipped_low=self.clipped_low / n if per_tensor else None,
            clipped_high=self.clipped_high / n if per_tensor else None,
        )

    def _sqnr(self) -> float:
        if not self.squared_error:
            return math.inf
        return 10 * math.log10(self.squared_float / self.squared_error) if self.squared_float else -math.inf

    def _cosine(self) -> float:
        if not self.squared_float or not self.squared_quantized:
            return float(self.squared_float == self.squared_quantized)
        # One square root of the exact ratio: neither square leaves the range of float64 first.
        ratio = self.product * self.product / (self.squared_float * self.squared_quantized)
        return math.copysign(min(1.0, math.sqrt(ratio)), self.product)


def measure(expected: np.ndarray, values: np.ndarray, params: QuantParams | None = None) -> Measures:
    """Return the measures of one pair of arrays; parameters as for `ErrorSums.update`."""
    sums = ErrorSums()
    sums.update(expected, values, params)
    return sums.result(params)


def params_of(tensor: Tensor) -> QuantParams | None:
    """Return the parameters of a quantized tensor; None where it has none, or is not of a quantized dtype."""
    if tensor.quantization is None or tensor.dtype not in DTYPES:
        return None
    # A channel of zeros has the scale 0 in the mode int16x8: its codes are zeros, whatever the scale.
    scale = np.maximum(tensor.quantization.scale, np.finfo(np.float32).tiny)
    return replace(tensor, quantization=replace(tensor.quantization, scale=scale)).params


def real_values(array: np.ndarray, params: QuantParams | None) -> Any:
    """Return `array` dequantized, where there are parameters."""
    if params is None or array.dtype != np.dtype(storage_name(params.dtype)):
        return array
    return dequantize(array, params)
