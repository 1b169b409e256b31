"""Sums of products: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from quantcore.flatbuffer.constants import constant_codes
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.padding import transposed_padding
from quantcore.ops.node import Node
from quantcore.ops.shared.convolution import conv_shape
from quantcore.rounding_error.real import Array, RealOutput, fake_quant_error, gamma
from quantcore.rounding_error.rules import requantization_error

__all__ = [
    "places",
    "real_batch_matmul",
    "real_conv_2d",
    "real_depthwise_conv_2d",
    "real_fully_connected",
    "real_transpose_conv",
]

ROUNDED_OPERANDS = 7  # float32 roundings of a term: input 1, weight 1, its scale 4, the product 1
BIAS = 4  # and of the bias in the file: its scale, the quotient, the float32 bias


# (input beneath a place of the window, its row and column there, whether of absolute values) -> products
OnePlace = Callable[[np.ndarray, int, int, bool], np.ndarray]


class Sums(NamedTuple):
    """Exact sums of whole numbers, as float64: ``x * w``, ``|x| * |w|``, and terms to a sum."""

    total: np.ndarray
    magnitude: np.ndarray
    terms: int


def filter_codes(node: Node) -> np.ndarray:
    """Return the integers of a node's constant filter as float64."""
    return np.asarray(constant_codes(node.input(1).tensor), np.float64)


def real_conv_2d(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of CONV_2D for an input of int8."""
    w = filter_codes(node)
    shape = conv_shape(node, w.shape[0])
    groups = x.shape[3] // w.shape[3]
    given = centred(node, x).reshape(*x.shape[:3], groups, w.shape[3])
    kernels = w.reshape(groups, -1, *w.shape[1:])

    def multiply(part: np.ndarray, fy: int, fx: int, absolute: bool) -> Array:
        taps = kernels[:, :, fy, fx]
        taps = np.abs(taps) if absolute else taps
        products = np.stack([part[..., g, :] @ taps[g].T for g in range(groups)], axis=-2)
        return products.reshape(*part.shape[:3], -1)

    return finish(node, windowed(given, shape, multiply, int(np.prod(w.shape[1:]))))


def real_depthwise_conv_2d(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of DEPTHWISE_CONV_2D for an input of int8."""
    w = filter_codes(node)
    shape = conv_shape(node, w.shape[3])
    given = np.repeat(centred(node, x), w.shape[3] // x.shape[3], axis=3)

    def multiply(part: np.ndarray, fy: int, fx: int, absolute: bool) -> Array:
        taps = w[0, fy, fx]
        product: np.ndarray = part * (np.abs(taps) if absolute else taps)
        return product

    return finish(node, windowed(given, shape, multiply, int(np.prod(w.shape[1:3]))))


def real_fully_connected(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of FULLY_CONNECTED for an input of int8."""
    w = filter_codes(node)
    rows = centred(node, x).reshape(-1, w.shape[1])
    sums = Sums(rows @ w.T, np.abs(rows) @ np.abs(w).T, w.shape[1])
    keep = bool(node.options["keep_num_dims"])
    real = finish(node, sums)
    output = (*x.shape[:-1], w.shape[0]) if keep else real.value.shape
    return RealOutput(*(part.reshape(output) for part in (real.value, real.kernel, real.forward)))


def real_batch_matmul(node: Node, a: np.ndarray, b: np.ndarray) -> RealOutput:
    """Return the real output of BATCH_MATMUL."""
    left, right = centred(node, a), centred(node, b, 1)
    left = np.swapaxes(left, -1, -2) if node.options["adj_x"] else left
    right = np.swapaxes(right, -1, -2) if node.options["adj_y"] else right
    return finish(node, Sums(left @ right, np.abs(left) @ np.abs(right), left.shape[-1]))


def real_transpose_conv(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of TRANSPOSE_CONV for an input of int8, which is its third operand."""
    w = filter_codes(node)
    given = centred(node, x, 2)
    _, height, width, _ = (int(n) for n in node.known_value(0))
    stride, padding = (node.options["stride_h"], node.options["stride_w"]), node.options["padding"]
    tops = [
        transposed_padding(size, w.shape[1 + d], stride[d], padding) for d, size in enumerate((height, width))
    ]
    total, magnitude = (np.zeros((len(x), height, width, len(w))) for _ in range(2))
    for fy in range(w.shape[1]):
        iy, rows = places(x.shape[1], height, stride[0], tops[0], fy)
        for fx in range(w.shape[2]):
            ix, columns = places(x.shape[2], width, stride[1], tops[1], fx)
            where = np.ix_(np.arange(len(x)), rows, columns)
            part, taps = given[:, iy][:, :, ix], w[:, fy, fx].T
            total[where] += part @ taps
            magnitude[where] += np.abs(part) @ np.abs(taps)
    return finish(node, Sums(total, magnitude, int(np.prod(w.shape[1:]))), 2)


def centred(node: Node, x: np.ndarray, position: int = 0) -> Array:
    """Return the input less its zero point."""
    return x.astype(np.float64) - node.input(position).zero_point


def places(count: int, size: int, stride: int, before: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs along an axis for which a place of the window is in the image, and where it is."""
    at = np.arange(count) * stride - before + offset
    inside = np.flatnonzero((at >= 0) & (at < size))
    return inside, at[inside]


def parts(x: np.ndarray, shape: ConvShape) -> Iterator[tuple[int, int, tuple[np.ndarray, ...], np.ndarray]]:
    """Yield the place in the window, the outputs for which it is in the image, and the input beneath."""
    for fy in range(shape.filter_height):
        rows, iy = places(
            shape.output_height, x.shape[1], shape.stride_height, shape.pad_top, fy * shape.dilation_height
        )
        for fx in range(shape.filter_width):
            columns, ix = places(
                shape.output_width, x.shape[2], shape.stride_width, shape.pad_left, fx * shape.dilation_width
            )
            yield fy, fx, np.ix_(np.arange(len(x)), rows, columns), x[:, iy][:, :, ix]


def windowed(x: np.ndarray, shape: ConvShape, multiply: OnePlace, terms: int) -> Sums:
    """Return the sums over the window of each output; `multiply` gives those of one place."""
    total, magnitude = np.zeros(shape.output_shape), np.zeros(shape.output_shape)
    for fy, fx, where, part in parts(x, shape):
        total[where] += multiply(part, fy, fx, False)
        magnitude[where] += multiply(np.abs(part), fy, fx, True)
    return Sums(total, magnitude, terms)


def finish(node: Node, sums: Sums, position: int = 0) -> RealOutput:
    """Return the real output of sums, with the channels along the last axis.

    `position`: of the input; the bias is the last operand.
    """
    x, w, y = node.input(position), node.input(1), node.output
    bias = node.optional_input(max(position, 1) + 1)
    real = np.float64(x.scale) * w.scales.astype(np.float64) / np.float64(y.scale)
    b = np.zeros(1) if bias is None else np.asarray(bias.tensor.data, np.float64)
    accumulator = sums.total + b
    value = accumulator * real
    size = sums.magnitude + np.abs(b)
    stored = 0.5 + gamma(BIAS) * np.abs(b) if bias is not None else 0.0
    missed = real * (gamma(sums.terms + ROUNDED_OPERANDS) * size + stored)
    kernel = requantization_error(node.rule, accumulator, real)
    return RealOutput(value, kernel, missed + fake_quant_error(value))
