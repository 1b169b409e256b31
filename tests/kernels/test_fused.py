"""The fused forms of the float kernels: each product is added without being rounded first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from quantcore.kernels._fully_connected import fully_connected_f32_call
from quantcore.kernels.conv import conv_f32_call
from quantcore.kernels.depthwise_conv import depthwise_conv_f32_call

from quantcore.kernels.conv_shape import ConvShape
from tests.ops.harness import instruction_sets, using

LIMITS = {"activation_min": -40.0, "activation_max": 40.0}


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return floats with all of their bits in use, in (-2, -1] and [1, 2)."""
    return (rng.choice([-1, 1], shape) * rng.uniform(1, 2, shape)).astype(np.float32)


def fused_sums(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the sums over the last axis in parts of 256 products in order, each step rounded once.

    A product of such values has 48 bits, and sums of few of them are below 64: float64 holds both exactly.
    """
    total = np.zeros(np.broadcast_shapes(x.shape, w.shape)[:-1], np.float32)
    for first in range(0, x.shape[-1], 256):
        part = np.zeros_like(total)
        for k in range(first, min(first + 256, x.shape[-1])):
            part = (part + x[..., k].astype(np.float64) * w[..., k].astype(np.float64)).astype(np.float32)
        total += part
    return total


def on_every_isa(run: Callable[[], np.ndarray], expected: np.ndarray) -> None:
    for isa in instruction_sets():
        with using(isa):
            np.testing.assert_array_equal(run(), expected, err_msg=isa)


@pytest.mark.parametrize(("batches", "depth", "units"), [(1, 1, 1), (7, 13, 70), (13, 9, 17), (6, 12, 64)])
def test_fully_connected(batches: int, depth: int, units: int) -> None:
    rng = np.random.default_rng(depth)
    x, w, b = values(rng, batches, depth), values(rng, units, depth), values(rng, units)
    sums = fused_sums(x[:, None], w[None])
    expected = np.clip(sums + b, -40, 40)
    plain = np.zeros((batches, units), np.float32)
    for k in range(depth):
        plain += x[:, None, k] * w[None, :, k]
    assert depth == 1 or (plain != sums).any()  # the rounding of products shows

    def run() -> np.ndarray:
        y = np.zeros((batches, units), np.float32)
        size = {"batches": batches, "depth": depth, "units": units}
        fully_connected_f32_call(**size, **LIMITS, fused=True)([x, w, b], [y])
        return y

    on_every_isa(run, expected)


@pytest.mark.parametrize("depth", [255, 256, 257, 512, 700])
def test_long_sums_are_made_in_parts(depth: int) -> None:
    rng = np.random.default_rng(depth)
    x = values(rng, 7, depth)
    w = values(rng, 20, depth).astype(np.float16).astype(np.float32)  # products of 35 bits, sums below 2**17
    sums = fused_sums(x[:, None], w[None])
    b = np.zeros(20, np.float32)
    limits = {"activation_min": -np.inf, "activation_max": np.inf}

    def connect() -> np.ndarray:
        y = np.zeros((7, 20), np.float32)
        fully_connected_f32_call(batches=7, depth=depth, units=20, **limits, fused=True)([x, w, b], [y])
        return y

    on_every_isa(connect, sums)


@pytest.mark.parametrize("dilation", [1, 2])
def test_parts_end_inside_of_pixels(dilation: int) -> None:
    rng = np.random.default_rng(dilation)
    x, b = values(rng, 1, 1, 16, 100), np.zeros(20, np.float32)
    w = values(rng, 20, 1, 7, 100).astype(np.float16).astype(np.float32)
    shape = ConvShape(1, 1, 16, 100, 1, 7, 1, 3, 20, 1, 1, 1, dilation, 0, 0)
    windows = np.stack([x[0, 0, i : i + 7 * dilation : dilation].reshape(-1) for i in range(3)])
    sums = fused_sums(windows[:, None], w.reshape(1, 20, -1))
    limits = {"activation_min": -np.inf, "activation_max": np.inf}

    def convolve() -> np.ndarray:
        y = np.zeros((1, 1, 3, 20), np.float32)
        conv_f32_call(shape, groups=1, **limits, fused=True)([x, w, b], [y])
        return y[0, 0]

    on_every_isa(convolve, sums)


def patches(
    x: np.ndarray, size: int, stride: int, dilation: int
) -> list[list[list[tuple[int, int, np.ndarray]]]]:
    """Return, for each output place of a convolution padded by 1, filter row, column and pixels inside."""
    height, width = x.shape[1:3]
    reach = (size - 1) * dilation
    rows = range(-1, height + 1 - reach, stride)
    columns = range(-1, width + 1 - reach, stride)
    return [
        [
            [
                (fy, fx, x[:, oy + fy * dilation, ox + fx * dilation])
                for fy in range(size)
                for fx in range(size)
                if 0 <= oy + fy * dilation < height and 0 <= ox + fx * dilation < width
            ]
            for ox in columns
        ]
        for oy in rows
    ]


@pytest.mark.parametrize("channels", [1, 3, 4, 9, 16, 21, 33, 64, 100])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_depthwise(channels: int, stride: int, dilation: int) -> None:
    rng = np.random.default_rng(channels)
    x, w, b = values(rng, 2, 7, 11, channels), values(rng, 1, 3, 3, channels), values(rng, channels)
    windows = patches(x, 3, stride, dilation)
    sums = [
        [
            fused_sums(
                np.stack([p for *_, p in at], -1), np.stack([w[0, fy, fx] for fy, fx, _ in at], -1)[None]
            )
            for at in row
        ]
        for row in windows
    ]
    expected = np.clip(np.moveaxis(np.array(sums), 2, 0) + b, -40, 40)
    height, width = expected.shape[1:3]
    shape = ConvShape(
        2, 7, 11, channels, 3, 3, height, width, channels, stride, stride, dilation, dilation, 1, 1
    )  # fmt: skip

    def run() -> np.ndarray:
        y = np.zeros(expected.shape, np.float32)
        depthwise_conv_f32_call(shape, **LIMITS, fused=True)([x, w, b], [y])
        return y

    on_every_isa(run, expected)


@pytest.mark.parametrize("units", [1, 16, 21, 64, 70])
@pytest.mark.parametrize("size", [1, 2])
def test_conv(units: int, size: int) -> None:
    rng = np.random.default_rng(units)
    x, w, b = values(rng, 2, 5, 9, 3), values(rng, units, size, size, 3), values(rng, units)
    pad = size - 1
    windows = patches(x, size, 1, 1)
    windows = windows if pad else [row[1:-1] for row in windows[1:-1]]
    sums = [
        [
            fused_sums(
                np.concatenate([p for *_, p in at], -1)[:, None],
                np.concatenate([w[:, fy, fx] for fy, fx, _ in at], -1)[None],
            )
            for at in row
        ]
        for row in windows
    ]
    expected = np.clip(np.moveaxis(np.array(sums), 2, 0) + b, -40, 40)
    height, width = expected.shape[1:3]
    shape = ConvShape(2, 5, 9, 3, size, size, height, width, units, 1, 1, 1, 1, pad, pad)

    def run() -> np.ndarray:
        y = np.zeros(expected.shape, np.float32)
        conv_f32_call(shape, groups=1, **LIMITS, fused=True)([x, w, b], [y])
        return y

    on_every_isa(run, expected)


def test_a_product_of_many_rows_is_cut_into_parts_alike() -> None:
    """Pointwise convolutions run in parts of the input that stay in the cache."""
    rng = np.random.default_rng(0)
    x, w, b = values(rng, 1, 40, 50, 96), values(rng, 80, 1, 1, 96), values(rng, 80)
    shape = ConvShape(1, 40, 50, 96, 1, 1, 40, 50, 80, 1, 1, 1, 1, 0, 0)

    def run(fused: bool) -> np.ndarray:
        y = np.zeros((1, 40, 50, 80), np.float32)
        limits = {"activation_min": -np.inf, "activation_max": np.inf}
        conv_f32_call(shape, groups=1, **limits, fused=fused)([x, w, b], [y])
        return y

    for fused in (False, True):
        with using("scalar"):
            expected = run(fused)
        on_every_isa(lambda fused=fused: run(fused), expected)
