"""Means: MEAN, AVERAGE_POOL_2D, SOFTMAX, whose sums are over the values of one channel or row."""

from __future__ import annotations

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.ops.mean import is_image_mean, mean_multiplier
from quantcore.ops.node import Node
from quantcore.ops.shared.reduction import reduction_operands
from quantcore.ops.shared.windows import window_geometry
from quantcore.rounding_error.real import UNIT, Array, RealOutput, fake_quant_error, gamma
from quantcore.rounding_error.rules import double_rounding_step, requantization_error
from quantcore.rounding_error.sums import places

__all__ = ["real_average_pool", "real_mean", "real_softmax"]


def real_mean(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of MEAN."""
    given, y = node.input(0), node.output
    axes = tuple(reduction_operands(node)[1])
    keep = bool(node.options["keep_dims"])
    shifted = x.astype(np.float64) - given.zero_point
    count = int(np.prod([x.shape[d] for d in axes]))
    total = shifted.sum(axis=axes, keepdims=keep)
    ratio = np.float64(given.scale) / np.float64(y.scale)
    value = total * (ratio / count)
    size = np.abs(shifted).sum(axis=axes, keepdims=keep) * (ratio / count)
    forward = gamma(count + 4) * size + fake_quant_error(value)
    stored = x.astype(np.float64).sum(axis=axes, keepdims=keep)
    return RealOutput(value, mean_error(node, stored, count), forward)


def mean_error(node: Node, stored: np.ndarray, count: int) -> Array:
    """Return the kernel's error; `stored`: sums of the stored integers."""
    given, y = node.input(0), node.output
    ratio = np.float64(given.scale) / np.float64(y.scale)
    total, real = stored - count * given.zero_point, ratio / count
    if node.rule.form == "image" and is_image_mean(node):  # the zero points make an offset, rounded alone
        shifted = np.float32(given.zero_point) * given.scale / y.scale
        rounded = int(shifted + np.float32(0.5) if shifted > 0 else shifted - np.float32(0.5))
        offset = abs(rounded - given.zero_point * ratio)
        return requantization_error(node.rule, stored, np.asarray(real)) + offset
    if node.rule.form == "scaled":
        sizes = np.abs(stored * real) + 2 * abs(count * given.zero_point * real) + abs(y.zero_point)
        return np.asarray(gamma(8) * sizes)
    multiplier, shift = quantize_multiplier(ratio)
    multiplier, shift = mean_multiplier(int(multiplier), int(shift), count)
    used = multiplier * 2.0 ** (shift - 31)
    step = double_rounding_step(np.asarray(2.0 ** (shift - 1)))
    return np.asarray(np.abs(total) * abs(used - real) + step)


def real_average_pool(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of AVERAGE_POOL_2D."""
    size = (node.options["filter_height"], node.options["filter_width"])
    window = window_geometry(node, x.shape[1:3], size)
    shifted = x.astype(np.float64) - node.input(0).zero_point
    shape = (x.shape[0], window.output_height, window.output_width, x.shape[3])
    total, magnitude = np.zeros(shape), np.zeros(shape)
    count = np.zeros((shape[1], shape[2]))
    for fy in range(size[0]):
        rows, iy = places(shape[1], x.shape[1], node.options["stride_h"], window.pad_top, fy)
        for fx in range(size[1]):
            columns, ix = places(shape[2], x.shape[2], node.options["stride_w"], window.pad_left, fx)
            part = shifted[:, iy][:, :, ix]
            where = np.ix_(np.arange(len(x)), rows, columns)
            total[where] += part
            magnitude[where] += np.abs(part)
            count[np.ix_(rows, columns)] += 1
    count = count[:, :, None]
    value = total / count
    forward = gamma(size[0] * size[1] + 4) * magnitude / count + fake_quant_error(value)
    return RealOutput(value, np.zeros(shape), forward)


LOWEST = 31 / 2  # the smallest exponent that the fixed-point kernel always counts


def real_softmax(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of SOFTMAX over the last axis."""
    given, y = node.input(0), node.output
    beta = np.float64(np.float32(node.options["beta"]))
    shifted = x.astype(np.float64)
    exponents = (shifted - shifted.max(axis=-1, keepdims=True)) * (beta * np.float64(given.scale))
    e = np.exp(exponents)
    total = e.sum(axis=-1, keepdims=True)
    steps = 1 / np.float64(y.scale)
    value = e / total * steps
    inputs = np.abs(shifted - given.zero_point) * (beta * np.float64(given.scale))
    reach = inputs.max(axis=-1, keepdims=True) - exponents.min(axis=-1, keepdims=True)
    count = x.shape[-1]
    forward = value * gamma(4 * reach + count + 16) + fake_quant_error(value)
    if node.rule.form == "table":
        deepest = -exponents.min(axis=-1, keepdims=True)
        return RealOutput(value, value * gamma(4 * deepest + count + 16) + 256 * UNIT, forward)
    return RealOutput(value, fixed_point_error(value, exponents, total, count, steps), forward)


def fixed_point_error(
    value: np.ndarray, exponents: np.ndarray, total: np.ndarray, count: int, steps: float
) -> Array:
    """Return the error of the fixed-point kernel: its exp, the sum with 19 bits, what it leaves out."""
    left_out = np.where(exponents < -LOWEST, value, 0.0)
    few = (exponents < -LOWEST).sum(axis=-1, keepdims=True) * np.exp(-LOWEST)
    relative = 2.0**-19.5 + (count * 2.0**-19.9 + few) / total
    return np.asarray(value * relative + steps * 2.0**-26 + left_out)
