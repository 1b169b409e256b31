"""Multipliers, bounds and requantization, from scales: shared by all quantized operators.

Sources: TFLite ``kernels/kernel_util.cc`` (PopulateConvolutionQuantizationParams,
CalculateActivationRangeQuantized) and ``kernels/internal/quantization_util.cc``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels._core import Requant
from quantcore.kernels.knots import on_arrays
from quantcore.ops.node import Node, Operand
from quantcore.rounding import round_half_away

__all__ = [
    "FLOAT_BOUNDS",
    "check_no_activation",
    "fixed_point",
    "float_bounds",
    "fused_activation",
    "integer_bounds",
    "log2_of_scale",
    "make_requant",
    "open_float_bounds",
    "power_of_two",
    "product_multiplier",
    "quantized_bounds",
    "quotient",
    "type_bounds",
]

# Where an activation has no bound, TFLite clamps to the largest float: a fused activation, NONE included,
# makes 3.4e38 of an infinity. (The unfused RELU does not; RELU_0_TO_1 exists unfused only.)
_FLOAT_MAX = float(np.finfo(np.float32).max)

# Largest left shift of int64 sums
WIDE_SHIFT_LIMIT = 7

FLOAT_BOUNDS = {
    "NONE": (-_FLOAT_MAX, _FLOAT_MAX),
    "RELU": (0.0, _FLOAT_MAX),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def type_bounds(dtype: str) -> tuple[int, int]:
    """Return the smallest and largest value of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def fused_activation(node: Node) -> str:
    """Return the name of the fused activation."""
    return str(node.options["fused_activation_function"])


def check_no_activation(node: Node) -> None:
    """Refuse a fused activation."""
    if fused_activation(node) != "NONE":
        raise node.refuse(f"fused activation {fused_activation(node)} is not supported, as in TFLite")


def real_bounds(node: Node, activation: str) -> tuple[float, float]:
    """Return the real bounds of an activation; refuse TANH and SIGN_BIT, which TFLite's kernels ignore."""
    if activation not in FLOAT_BOUNDS:
        raise node.refuse(f"fused activation {activation} is not supported; known: {', '.join(FLOAT_BOUNDS)}")
    return FLOAT_BOUNDS[activation]


def float_bounds(node: Node) -> tuple[float, float]:
    """Return the real bounds of the fused activation.

    Raises
    ------
    UnsupportedOperatorError
        TANH and SIGN_BIT, which TFLite's kernels ignore.
    """
    return real_bounds(node, fused_activation(node))


def open_float_bounds(node: Node) -> tuple[float, float]:
    """Return the bounds of a fused activation that lets infinities pass where it has no bound of its own."""
    low, high = float_bounds(node)
    return (-math.inf if low == -_FLOAT_MAX else low), (math.inf if high == _FLOAT_MAX else high)


def integer_bounds(node: Node, dtype: str) -> tuple[int, int]:
    """Return the bounds of a fused activation of integers without a scale."""
    low, high = float_bounds(node)
    least, largest = type_bounds(dtype)
    # a bound beyond the dtype is the largest float, which stands for none
    return (least if low < least else int(low)), (largest if high > largest else int(high))


def quantized_bounds(node: Node, activation: str, output: Operand) -> tuple[int, int]:
    """Return the bounds of a fused activation in the output's quantized domain.

    A real bound v becomes ``zero_point + round_half_away(float32(v / scale))``, clamped to the type. Where
    the profile's rule says ``xnnpack``, it is rounded half to even after the zero point was added in float32.
    """
    qmin, qmax = type_bounds(output.dtype)

    def quantized(bound: float) -> int:
        with np.errstate(all="ignore"):
            quotient = float(np.float32(bound) / output.scale)
        if not abs(quotient) < 2**31:
            raise node.refuse(
                f"activation {activation}: the bound {bound} is {quotient} in units of the output's scale "
                f"{output.scale}; expected less than 2**31"
            )
        if node.rule.bounds == "xnnpack":
            return int(np.rint(np.float32(quotient) + np.float32(output.zero_point)))
        return output.zero_point + int(round_half_away(np.float64(quotient)))

    low, high = real_bounds(node, activation)
    qlow = qmin if low == -_FLOAT_MAX else max(qmin, quantized(low))
    qhigh = qmax if high == _FLOAT_MAX else min(qmax, quantized(high))
    if qlow > qhigh:
        raise node.refuse(
            f"activation {activation} leaves no values of {output.dtype} with scale {output.scale} and zero "
            f"point {output.zero_point}"
        )
    return qlow, qhigh


def product_multiplier(node: Node, a: Any, b: Any, output: Any, product: str | None = None) -> np.ndarray:
    """Return ``a * b / output`` for scales, rounded as `product` or the profile's rule says (float64)."""
    a, b, output = (np.atleast_1d(np.asarray(s, dtype=np.float32)) for s in (a, b, output))
    product = product or node.rule.product
    if product == "double" or (product == "float_product" and b.size > 1):
        a, b = a.astype(np.float64), b.astype(np.float64)
    if product != "float32":
        output = output.astype(np.float64)
    with np.errstate(all="ignore"):  # make_requant refuses what is not finite
        multiplier: np.ndarray = a * b / output
    return multiplier.astype(np.float64)


def quotient(node: Node, dividend: Any, *divisors: Any) -> np.ndarray:
    """Return scales divided, in the precision that the profile's rule names (float64 array, one element).

    The divisors are multiplied first. Products ``float32`` and ``double``.
    """
    precision = np.float32 if node.rule.product == "float32" else np.float64
    with np.errstate(all="ignore"):  # make_requant refuses what is not finite
        divisor = precision(1)
        for factor in divisors:
            divisor = divisor * precision(factor)
        return np.array([precision(dividend) / divisor], dtype=np.float64)


def make_requant(
    node: Node,
    real_multiplier: np.ndarray,
    output: Operand,
    activation: str = "NONE",
    *,
    length: int | None = None,
    rounding: str | None = None,
    offset: int | None = None,
    modulo: bool = False,
) -> Requant:
    """Return the requantization to `output` by the profile's rule for this operator.

    Parameters
    ----------
    length : int, optional
        Number of channels (or elements) over which the rule's ``block`` is counted: what is left after the
        last full block is rounded by the rule's ``tail``.
    rounding : str, optional
        In place of the rule's, for int64 accumulators.
    offset : int, optional
        What is added behind the multiplication, in place of the output's zero point.
    modulo : bool
        Take shifts beyond 31 modulo 32, as the x86 instruction does, in place of refusing them.

    Raises
    ------
    UnsupportedOperatorError
        A multiplier that is negative, not finite or too large for a shift of 31.
    """
    real_multiplier = np.atleast_1d(real_multiplier)
    multiplier, shift = checked_multiplier(node, real_multiplier, modulo=modulo)
    low, high = quantized_bounds(node, activation, output)
    rule = node.rule
    if (rounding or rule.rounding) == "int16_multiplier" and np.max(shift) > WIDE_SHIFT_LIMIT:
        raise node.refuse(
            f"the scales give the multiplier {real_multiplier.max():g}; expected less than "
            f"{2**WIDE_SHIFT_LIMIT}, beyond which TFLite's 64-bit arithmetic is undefined"
        )
    body = None if length is None else rule.body(length)
    return Requant(
        rounding or rule.rounding,
        multiplier,
        shift,
        real_multiplier=real_multiplier,
        output_offset=output.zero_point if offset is None else offset,
        activation_min=low,
        activation_max=high,
        body=body,
        tail=rule.tail if body is not None else None,
    )


def checked_multiplier(
    node: Node, real_multiplier: np.ndarray, *, modulo: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(multiplier, shift)`` of each real multiplier; `modulo` as for `make_requant`.

    Raises
    ------
    UnsupportedOperatorError
        A multiplier that is negative, not finite or too large for a shift of 31.
    """
    if not (np.isfinite(real_multiplier) & (real_multiplier >= 0)).all():
        raise node.refuse(
            f"the scales give the multiplier {real_multiplier.max()}; expected a finite one, at least 0"
        )
    multiplier, shift = quantize_multiplier(real_multiplier)
    if modulo:
        return multiplier, np.where(shift > 31, shift % 32, shift)
    if np.max(shift) > 31:
        raise node.refuse(
            f"the scales give the multiplier {real_multiplier.max():g}; expected less than 2**31, beyond "
            "which backends disagree"
        )
    return multiplier, shift


def fixed_point(node: Node, real_multiplier: Any) -> tuple[int, int]:
    """Return ``(multiplier, shift)`` of a single real multiplier; refusals as of `checked_multiplier`."""
    multiplier, shift = checked_multiplier(node, np.atleast_1d(np.asarray(real_multiplier, np.float64)))
    return int(multiplier[0]), int(shift[0])


def log2_of_scale(scale: np.float32) -> np.float32:
    """Return the base-2 logarithm of a scale, each step rounded to float32 as in C: NumPy's differs."""
    return np.float32(on_arrays("LOG")(np.array([scale]))[0] * (np.float32(1) / np.float32(math.log(2))))


def power_of_two(scale: np.float32) -> int | None:
    """Return the base-2 logarithm of a scale where it is a whole number, give or take 0.001.

    Source: TFLite ``kernels/internal/quantization_util.cc`` (CheckedLog2).
    """
    logarithm = log2_of_scale(scale)
    rounded = np.rint(logarithm)
    return int(rounded) if abs(logarithm - rounded) < np.float32(1e-3) else None
