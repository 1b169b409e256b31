"""DEPTHWISE_CONV_2D: every vector version against the definition, over drawn sizes and rare parameters."""

from __future__ import annotations

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels.depthwise_conv import depthwise_conv_call, depthwise_conv_hybrid_call

from quantcore.kernels.conv_shape import ConvShape
from tests.kernels.versions import compare

CHANNELS = (1, 2, 3, 5, 7, 8, 12, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 80, 96, 127, 128, 130)
Rng = np.random.Generator


def draw_shape(rng: Rng) -> ConvShape:
    """Return sizes that need not fit each other: windows may lie outside, padding be negative."""
    channels = int(rng.choice(CHANNELS))
    multiplier = int(rng.choice([1, 1, 1, 2, 3, 8])) if channels <= 33 else 1
    height, width, rows, columns = (int(n) for n in rng.integers(1, 24, 4))
    window = (3, 3) if rng.random() < 0.4 else tuple(int(n) for n in rng.integers(1, 8, 2))
    stride = (1, 1) if rng.random() < 0.4 else tuple(int(n) for n in rng.integers(1, 4, 2))
    dilation = (1, 1) if rng.random() < 0.6 else tuple(int(n) for n in rng.choice([1, 2, 3, 40, 1000], 2))
    pads = tuple(int(n) for n in rng.integers(-3, 5, 2))
    return ConvShape(
        int(rng.integers(0, 3)), height, width, channels, *window, rows, columns, channels * multiplier,
        *stride, *dilation, pads[0], max(0, pads[1]),
    )  # fmt: skip


def elements(rng: Rng, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return values anywhere in the type's range, or many at its bounds, or small ones."""
    info = np.iinfo(dtype)
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if kind == 1:
        return rng.choice(np.array([info.min, info.max], dtype), shape)
    return rng.integers(100, 130 if info.min == 0 else 127, shape, dtype)


def draw_requant(rng: Rng, channels: int, dtype: str) -> Requant:
    """Return a requantization by any rule, with usual shifts or any."""
    count = channels if rng.random() < 0.7 else 1
    rules = ["double_rounding"] * 4 + ["ruy", "float32", "single_rounding", "float64"]
    rule = str(rng.choice(rules))
    multiplier = rng.integers(2**30, 2**31, count)
    multiplier[rng.random(count) < 0.2] = 2**30
    multiplier[rng.random(count) < 0.1] = 0
    low, high = ((-14, -2), (-14, 3), (-31, 31 if rule != "single_rounding" else 30))[
        int(rng.choice(3, p=[0.6, 0.2, 0.2]))
    ]
    shift = rng.integers(low, high, count)
    real = (multiplier * 2.0 ** (np.minimum(shift, 5) - 31)).astype(np.float32).astype(np.float64)
    info = np.iinfo(dtype)
    offset = int(rng.integers(info.min, info.max + 1))
    bounds = (
        (info.min, info.max)
        if rng.random() < 0.5
        else sorted(int(n) for n in rng.integers(info.min, info.max, 2))
    )
    if rng.random() < 0.3:
        bounds = (offset, info.max)
    whole = rule in ("double_rounding", "ruy") and rng.random() < 0.4
    return Requant(
        rule, multiplier, shift, real_multiplier=real if rule.startswith("float") else None,
        output_offset=offset, activation_min=bounds[0], activation_max=bounds[1],
        body=channels // 8 * 8 if whole else None, tail="double_rounding" if whole else None,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantized(dtype: str) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    for _ in range(350):
        shape = draw_shape(rng)
        channels = shape.output_channels
        x = elements(rng, (shape.batches, shape.input_height, shape.input_width, shape.input_channels), dtype)
        w = elements(rng, (1, shape.filter_height, shape.filter_width, channels), dtype)
        bias = rng.integers(-(2**31), 2**31, channels).astype(np.int32) >> int(rng.choice([0, 3, 16, 20]))
        b = bias if rng.random() < 0.8 else None
        offsets = [-int(rng.choice([info.min, info.max, rng.integers(info.min, info.max)])) for _ in range(2)]
        requant = draw_requant(rng, channels, dtype)
        known = rng.random() < 0.7
        filter_offset = offsets[1] if dtype == "uint8" or rng.random() < 0.2 else 0

        def make() -> KernelCall:
            return depthwise_conv_call(
                dtype, shape, constants=(w, b) if known else None, input_offset=offsets[0],  # noqa: B023
                filter_offset=filter_offset, requant=requant,  # noqa: B023
            )  # fmt: skip

        y = np.zeros(shape.output_shape, dtype)
        compare(make, [x, w, b], y, f"{shape}, offsets {offsets}, bounds {requant.bounds}, constants {known}")


def test_hybrid() -> None:
    rng = np.random.default_rng(2)
    for _ in range(120):
        shape = draw_shape(rng)
        channels = shape.output_channels
        size = (shape.batches, shape.input_height, shape.input_width, shape.input_channels)
        x = rng.normal(rng.normal(0, 2), 3, size).astype(np.float32)
        w = elements(rng, (1, shape.filter_height, shape.filter_width, channels), "int8")
        b = rng.normal(0, 1, channels).astype(np.float32) if rng.random() < 0.7 else None
        scales = rng.uniform(0.001, 0.1, channels).astype(np.float32)
        known = rng.random() < 0.7

        def make() -> KernelCall:
            return depthwise_conv_hybrid_call(
                shape, filter=w if known else None, filter_scale=scales, activation_min=-50.0,  # noqa: B023
                activation_max=50.0,
            )  # fmt: skip

        compare(make, [x, w, b], np.zeros(shape.output_shape, np.float32), f"{shape}, constant {known}")
