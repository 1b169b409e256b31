"""Operators on one or two values at a time: ADD, SUB, MUL, QUANTIZE, RELU, LOGISTIC, TANH."""

from __future__ import annotations

import math

import numpy as np

from quantcore.ops.node import Node
from quantcore.rounding_error.real import UNIT, Array, RealOutput, fake_quant_error, gamma
from quantcore.rounding_error.rules import MULTIPLIER, double_rounding_step, requantization_error

__all__ = [
    "real_function",
    "real_leaky_relu",
    "real_mul",
    "real_of_floats",
    "real_prelu",
    "real_quantize",
    "real_relu",
    "real_sum",
]

LEFT = 20  # bits that ADD and SUB on 8 bits have before they round
FUNCTION = 16  # float32 roundings within LOGISTIC, TANH, GELU and their arguments: generous
MICRO_RANGE = 15.0  # TFLite Micro has the ends of LOGISTIC and TANH from here on, give or take a factor of 2


def terms(node: Node, *inputs: np.ndarray) -> list[np.ndarray]:
    """Return the inputs, less their zero points, in steps of the output."""
    scale = np.float64(node.output.scale)
    operands = [node.input(i) for i in range(len(inputs))]
    return [
        (q.astype(np.float64) - o.zero_point) * (np.float64(o.scale) / scale)
        for q, o in zip(inputs, operands, strict=True)
    ]


def real_sum(node: Node, x1: np.ndarray, x2: np.ndarray) -> RealOutput:
    """Return the real output of ADD or SUB."""
    a, b = terms(node, x1, x2)
    size = np.abs(a) + np.abs(b)
    value = a + b if node.op.op == "ADD" else a - b
    weighted = node.rule.form == "weighted_sum"
    kernel = weighted_error(node, x1, x2) if weighted else common_scale_error(node, size)
    return RealOutput(value, kernel, gamma(3) * size + fake_quant_error(value))


def common_scale_error(node: Node, size: Array) -> Array:
    """Return the error where both inputs are brought to a common scale: two units of it for each input."""
    common = 2 * max(np.float64(node.input(i).scale) for i in (0, 1))
    real = np.asarray(common / (2.0**LEFT * np.float64(node.output.scale)))
    return 4 * real + 2 * MULTIPLIER * size + double_rounding_step(real)


def weighted_error(node: Node, x1: np.ndarray, x2: np.ndarray) -> Array:
    """Return XNNPACK's error: both weights are rounded to whole numbers, the larger one with 21 bits."""
    ratios = [np.float32(node.input(i).scale) / np.float32(node.output.scale) for i in (0, 1)]
    shift = 20 - (int(np.frexp(max(ratios))[1]) - 1)
    return np.asarray(
        sum(
            np.abs(q.astype(np.float64) - node.input(i).zero_point)
            * (2.0 ** -(shift + 1) + 2 * UNIT * np.float64(ratios[i]))
            for i, q in enumerate((x1, x2))
        )
    )


def real_mul(node: Node, x1: np.ndarray, x2: np.ndarray) -> RealOutput:
    """Return the real output of MUL."""
    a, b, y = node.input(0), node.input(1), node.output
    product = (x1.astype(np.float64) - a.zero_point) * (x2.astype(np.float64) - b.zero_point)
    real = np.float64(a.scale) * np.float64(b.scale) / np.float64(y.scale)
    value = product * real
    kernel = requantization_error(node.rule, product, np.asarray(real))
    return RealOutput(value, kernel, gamma(4) * np.abs(value) + fake_quant_error(value))


def real_of_floats(x: np.ndarray, scale: float, zero_point: int, dtype: str) -> RealOutput:
    """Return what floats are quantized from, within the bounds of the dtype."""
    info = np.iinfo(dtype)
    value = np.clip(x.astype(np.float64) / scale, info.min - zero_point, info.max - zero_point)
    return RealOutput(value, gamma(4) * (np.abs(value) + 256), fake_quant_error(value))


def real_quantize(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of QUANTIZE, from float32 or from one int8 scale to another."""
    given, y = node.input(0), node.output
    if given.dtype == "float32":
        return real_of_floats(x, np.float64(y.scale), y.zero_point, y.dtype)
    shifted = x.astype(np.float64) - given.zero_point
    ratio = np.float64(given.scale) / np.float64(y.scale)
    value = shifted * ratio
    if node.rule.form == "fixed8":
        factor = np.rint(256 * np.float32(np.float32(given.scale) / np.float32(y.scale))) / 256
        kernel = np.abs(shifted) * abs(factor - ratio)
    else:
        kernel = requantization_error(node.rule, shifted, np.asarray(ratio))
    return RealOutput(value, kernel, gamma(2) * np.abs(value) + fake_quant_error(value))


def real_relu(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of RELU, RELU6, RELU_0_TO_1 or RELU_N1_TO_1, without its bounds."""
    (value,) = terms(node, x)
    ratio = np.float64(node.input(0).scale) / np.float64(node.output.scale)
    shifted = value / ratio
    kernel = requantization_error(node.rule, shifted, np.asarray(ratio)) + gamma(2) * np.abs(value)
    return RealOutput(value, kernel, gamma(2) * np.abs(value) + fake_quant_error(value))


def real_leaky_relu(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of LEAKY_RELU."""
    given, y = node.input(0), node.output
    shifted = x.astype(np.float64) - given.zero_point
    alpha = np.float64(np.float32(node.options["alpha"]))
    ratio = np.float64(given.scale) / np.float64(y.scale) * np.where(shifted >= 0, 1.0, alpha)
    value = shifted * ratio
    if node.rule.form == "fixed8":
        first = np.float32(given.scale) / np.float32(y.scale)
        factors = [np.rint(256 * factor) / 256 for factor in (first, first * np.float32(alpha))]
        kernel = np.abs(shifted) * np.abs(np.where(shifted >= 0, *factors) - ratio)
    else:
        kernel = requantization_error(node.rule, shifted, ratio) + gamma(3) * np.abs(value)
    return RealOutput(value, kernel, gamma(4) * np.abs(value) + fake_quant_error(value))


def real_prelu(node: Node, x: np.ndarray, slopes: np.ndarray) -> RealOutput:
    """Return the real output of PRELU."""
    given, alpha, y = node.input(0), node.input(1), node.output
    shifted = x.astype(np.float64) - given.zero_point
    negative = shifted * (slopes.astype(np.float64) - alpha.zero_point)
    ratio = np.float64(given.scale) / np.float64(y.scale)
    accumulator = np.where(shifted >= 0, shifted, negative)
    real = np.where(shifted >= 0, ratio, ratio * np.float64(alpha.scale))
    value = accumulator * real
    kernel = requantization_error(node.rule, accumulator, real)
    return RealOutput(value, kernel, gamma(8) * np.abs(value) + fake_quant_error(value))


def gelu(node: Node, x: Array) -> Array:
    """Return GELU, exact or by its option's formula."""
    if node.options["approximate"]:
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    values, places = np.unique(x, return_inverse=True)
    half = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values])
    return np.asarray(x * half[places].reshape(x.shape))


def real_function(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of LOGISTIC, TANH or GELU."""
    given, y = node.input(0), node.output
    real = (x.astype(np.float64) - given.zero_point) * np.float64(given.scale)
    f = gelu(node, real) if node.op.op == "GELU" else np.tanh(real)
    f = 1 / (1 + np.exp(-real)) if node.op.op == "LOGISTIC" else f
    steps = 1 / np.float64(y.scale)
    error = gamma(FUNCTION) * (np.maximum(1, np.abs(real)) * steps + 256)
    kernel = error
    if node.profile.micro:  # the ends of the function from half of the range on
        end = np.where(real > 0, 1.0, -1.0 if node.op.op == "TANH" else 0.0)
        far = np.abs(real) >= MICRO_RANGE / 2
        kernel = error + np.where(far, np.abs(end - f) * steps, 0.0)
    value = f * steps
    return RealOutput(value, kernel, error + fake_quant_error(value))
