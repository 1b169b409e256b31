"""Float and hybrid convolutions and pools: every vector version against the definition, over drawn sizes."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall
from quantcore.kernels._fully_connected import fully_connected_f32_call
from quantcore.kernels.conv import conv_f32_call, conv_hybrid_call
from quantcore.kernels.depthwise_conv import depthwise_conv_f32_call
from quantcore.kernels.pool import pool_call

from quantcore.kernels.conv_shape import ConvShape
from tests.kernels.guarded import Guarded
from tests.kernels.versions import compare
from tests.ops.harness import assert_same_bits, instruction_sets, using

Rng = np.random.Generator
RARE = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-30, -1e-30, 3e38, -3e38], np.float32)


def elements(rng: Rng, shape: tuple[int, ...], rare: float) -> np.ndarray:
    """Return floats of which many may be zero, and a share of `rare` ones."""
    x = rng.normal(0, 1, shape).astype(np.float32)
    x[rng.random(shape) < rng.choice([0.0, 0.3, 0.6, 0.95])] = 0.0
    chosen = rng.random(shape) < rare
    x[chosen] = rng.choice(RARE, int(chosen.sum()))
    return x


def bounds(rng: Rng) -> dict[str, float]:
    low, high = ((-np.inf, np.inf), (0.0, 6.0), (-1.0, 1.0))[rng.integers(3)]
    return {"activation_min": low, "activation_max": high}


def draw_shape(rng: Rng, channels: int, units: int) -> ConvShape:
    """Return sizes that need not fit each other: windows may lie outside, padding be negative."""
    height, width, rows, columns = (int(n) for n in rng.integers(1, 20, 4))
    window = (3, 3) if rng.random() < 0.4 else tuple(int(n) for n in rng.integers(1, 6, 2))
    stride = (1, 1) if rng.random() < 0.4 else tuple(int(n) for n in rng.integers(1, 4, 2))
    dilation = (1, 1) if rng.random() < 0.7 else tuple(int(n) for n in rng.choice([1, 2, 3, 40], 2))
    pads = tuple(int(n) for n in rng.integers(-3, 5, 2))
    return ConvShape(
        int(rng.integers(0, 3)), height, width, channels, *window, rows, columns, units, *stride, *dilation,
        pads[0], max(0, pads[1]),
    )  # fmt: skip


def size(shape: ConvShape) -> tuple[int, ...]:
    return (shape.batches, shape.input_height, shape.input_width, shape.input_channels)


@pytest.mark.parametrize("fused", [False, True])
def test_conv(fused: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60 if fused else 200):
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        channels = groups * int(rng.choice([1, 2, 3, 4, 8, 16, 17, 33]))
        units = groups * int(rng.choice([1, 3, 7, 8, 9, 16, 31, 32, 40, 48, 64, 65]))
        shape = draw_shape(rng, channels, units)
        if rng.random() < 0.2:
            pixels = {"output_height": shape.input_height, "output_width": shape.input_width}
            shape = shape._replace(
                **pixels, **dict.fromkeys(("filter_height", "filter_width", "stride_height"), 1)
            )
            shape = shape._replace(stride_width=1, pad_top=0, pad_left=0)
        rare = float(rng.choice([0.0, 0.0, 0.05]))
        x = elements(rng, size(shape), float(rng.choice([0.0, 0.02])))
        w = elements(rng, (units, shape.filter_height, shape.filter_width, channels // groups), rare)
        b = elements(rng, (units,), rare) if rng.random() < 0.7 else None
        limits, known = bounds(rng), rng.random() < 0.8

        def make() -> KernelCall:
            return conv_f32_call(shape, filter=w if known else None, groups=groups, fused=fused, **limits)  # noqa: B023

        compare(
            make, [x, w, b], np.zeros(shape.output_shape, np.float32), f"{shape}, {groups} groups, {known}"
        )


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs mprotect")
def test_conv_of_short_windows() -> None:
    """Rows of all widths, of one or two channels; nothing beyond the ends is read or written."""
    rng, guarded = np.random.default_rng(5), Guarded()
    for width in range(1, 36):
        channels, units = int(rng.choice([1, 1, 2])), int(rng.choice([1, 5, 8, 8, 9, 16, 20]))
        window, stride = (int(rng.integers(1, 5)), int(rng.integers(1, 6))), int(rng.choice([1, 1, 2]))
        pad = int(rng.integers(0, 3))
        columns = (
            (width - 1) * stride + window[1] - pad
        )  # with `pad` columns before them, no more than needed
        shape = ConvShape(
            1, 5, max(columns, 1), channels, *window, 5, width, units, 1, stride, 1, 1, pad, pad
        )
        x, w, b = (
            guarded(elements(rng, s, 0.01)) for s in (size(shape), (units, *window, channels), (units,))
        )
        w[~np.isfinite(w)] = 1
        limits = bounds(rng)
        expected = None
        for isa in instruction_sets():
            with using(isa):
                call = conv_f32_call(shape, filter=w, groups=1, **limits)
            y = guarded(np.zeros(shape.output_shape, np.float32))
            call([x, w, b], [y])
            expected = y if expected is None else expected
            assert_same_bits(y, expected, f"{isa}: {shape}")


def test_conv_by_columns() -> None:
    """Windows of 3 x 3 places next to each other, in images of several bands too, with zeros to leave out."""
    rng = np.random.default_rng(6)
    for _ in range(60):
        channels = int(rng.choice([8, 16, 17, 40, 64]))
        units = int(rng.choice([1, 15, 16, 17, 32, 40, 48, 65]))
        height, width = (int(n) for n in rng.choice([1, 2, 3, 5, 8, 23], 2))
        pads = tuple(int(n) for n in rng.integers(0, 3, 2))
        rows, columns = (max(1, n + 2 * pad - 2) for n, pad in zip((height, width), pads, strict=True))
        batches = int(rng.integers(1, 3))
        shape = ConvShape(batches, height, width, channels, 3, 3, rows, columns, units, 1, 1, 1, 1, *pads)
        x, w = elements(rng, size(shape), 0.01), elements(rng, (units, 3, 3, channels), 0.0)
        b = elements(rng, (units,), 0.05) if rng.random() < 0.7 else None
        limits = bounds(rng)

        def make() -> KernelCall:
            return conv_f32_call(shape, filter=w, groups=1, **limits)  # noqa: B023

        compare(make, [x, w, b], np.zeros(shape.output_shape, np.float32), f"{shape}")


@pytest.mark.parametrize("fused", [False, True])
def test_depthwise(fused: bool) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60 if fused else 200):
        channels = int(rng.choice([1, 2, 3, 4, 7, 8, 16, 17, 31, 32, 33, 64, 65, 100, 130]))
        multiplier = int(rng.choice([1, 1, 1, 2, 3, 8])) if channels < 33 else 1
        shape = draw_shape(rng, channels, channels * multiplier)
        rare = float(rng.choice([0.0, 0.0, 0.05]))
        x = elements(rng, size(shape), float(rng.choice([0.0, 0.02])))
        w = elements(rng, (1, shape.filter_height, shape.filter_width, channels * multiplier), rare)
        b = elements(rng, (channels * multiplier,), rare) if rng.random() < 0.7 else None
        limits = bounds(rng)

        def make() -> KernelCall:
            return depthwise_conv_f32_call(shape, fused=fused, **limits)  # noqa: B023

        compare(make, [x, w, b], np.zeros(shape.output_shape, np.float32), f"{shape}, fused {fused}")


def test_fully_connected() -> None:
    rng = np.random.default_rng(3)
    for _ in range(150):
        batches, depth = int(rng.integers(0, 9)), int(rng.integers(1, 300))
        units = int(rng.choice([1, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200]))
        rare = float(rng.choice([0.0, 0.0, 0.05]))
        x = elements(rng, (batches, depth), float(rng.choice([0.0, 0.02])))
        w = elements(rng, (units, depth), rare)
        b = elements(rng, (units,), rare) if rng.random() < 0.7 else None
        limits, known = bounds(rng), rng.random() < 0.8

        def make() -> KernelCall:
            constant = {"filter": w} if known else {}  # noqa: B023
            return fully_connected_f32_call(batches=batches, depth=depth, units=units, **constant, **limits)  # noqa: B023

        compare(make, [x, w, b], np.zeros((batches, units), np.float32), f"{batches} x {depth} x {units}")


def test_hybrid_conv() -> None:
    rng = np.random.default_rng(4)
    for _ in range(150):
        groups = int(rng.choice([1, 1, 1, 2]))
        channels = groups * int(rng.choice([1, 2, 3, 8, 16, 17]))
        units = groups * int(rng.choice([1, 3, 8, 17, 32, 64, 65]))
        shape = draw_shape(rng, channels, units)
        x = elements(rng, size(shape), float(rng.choice([0.0, 0.0, 0.02])))
        w = rng.integers(
            -128, 128, (units, shape.filter_height, shape.filter_width, channels // groups), np.int8
        )
        b = elements(rng, (units,), 0.0) if rng.random() < 0.8 else None
        scales = rng.uniform(0.001, 0.1, units if rng.random() < 0.6 else 1).astype(np.float32)
        limits, known = bounds(rng), rng.random() < 0.8

        def make() -> KernelCall:
            return conv_hybrid_call(
                shape, filter=w if known else None, groups=groups, sign_overflow=bool((w == -128).any()),  # noqa: B023
                filter_scale=scales, **limits,  # noqa: B023
            )  # fmt: skip

        y = np.zeros(shape.output_shape, np.float32)
        compare(make, [x, w, b], y, f"{shape}, {groups} groups, {scales.size} scales")


@pytest.mark.parametrize("kind", ["max", "average"])
def test_pools(kind: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(120):
        window = [int(n) for n in rng.integers(1, 7, 2)]
        channels = int(rng.choice([0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64]))
        height, width = (w + int(rng.integers(0, 10)) for w in window)
        padding = [int(rng.integers(0, w // 2 + 1)) for w in window]
        stride = [int(n) for n in rng.integers(1, 4, 2)]
        output = [
            1 + (n - w + p) // s for n, w, p, s in zip((height, width), window, padding, stride, strict=True)
        ]
        x = elements(rng, (int(rng.integers(0, 3)), height, width, channels), float(rng.choice([0.0, 0.1])))
        limits = bounds(rng)

        def make() -> KernelCall:
            return pool_call(
                kind, "float32", input_shape=x.shape, output_size=output, filter_size=window, stride=stride,  # noqa: B023
                padding=padding, **limits,  # noqa: B023
            )  # fmt: skip

        y = np.zeros((x.shape[0], *output, channels), np.float32)
        compare(make, [x], y, f"{x.shape}, window {window}, stride {stride}, padding {padding}, {limits}")
