"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED in 16x8: every vector version against the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._fully_connected import fully_connected_call
from quantcore.kernels.conv import conv_call
from quantcore.kernels.depthwise_conv import depthwise_conv_call

from quantcore.kernels.conv_shape import ConvShape
from tests.kernels.test_recurrent_versions import extreme
from tests.ops.harness import assert_same_bits, instruction_sets, using

Rng = np.random.Generator
RULES = {"int16": ("double_rounding", "ruy", "float64"), "int16_wide": ("int16_multiplier", "float64")}


def draw_requant(rng: Rng, dtype: str, channels: int) -> Requant:
    """Return a requantization by any rule that the sums can have, with multipliers of all sizes."""
    rule = str(rng.choice(RULES[dtype]))
    count = channels if rng.random() < 0.5 else 1
    multiplier = rng.choice([2**30, 2**31 - 1, 0x7FFF0000, 0x7FFEFFFF, 0], count)
    multiplier = np.where(rng.random(count) < 0.6, rng.integers(2**30, 2**31, count), multiplier)
    shift = rng.integers(-16, -7, count) if rng.random() < 0.6 else rng.integers(-31, 8, count)
    low, high = sorted(int(v) for v in rng.choice([-32768, -20000, -1, 0, 7, 9000, 32767], 2, replace=False))
    return Requant(
        rule,
        multiplier,
        shift,
        real_multiplier=np.ldexp(multiplier.astype(np.float64), shift - 31),
        output_offset=int(rng.choice([0, 0, 5, -32768])),
        activation_min=low,
        activation_max=high,
    )


def draw_bias(rng: Rng, dtype: str, channels: int) -> np.ndarray | None:
    """Return a bias over the whole range, also of sums beyond float64's 53 bits, or none."""
    if rng.random() < 0.3:
        return None
    if dtype == "int16":
        return rng.integers(-(2**31), 2**31, channels).astype(np.int32) >> int(rng.integers(0, 24))
    return rng.integers(-(2**62), 2**62, channels) >> int(rng.integers(0, 50))


def compare(
    make: Callable[[], KernelCall], inputs: list[Any], shape: tuple[int, ...], what: str
) -> np.ndarray:
    expected: np.ndarray | None = None
    for isa in instruction_sets():
        with using(isa):
            call = make()
        y = np.full(shape, 77, np.int16)
        call(inputs, [y])
        expected = y if expected is None else expected
        assert_same_bits(y, expected, f"{isa}: {what}")
    assert expected is not None
    return expected


@pytest.mark.parametrize("dtype", list(RULES))
def test_fully_connected(dtype: str) -> None:
    rng = np.random.default_rng(1)
    values: set[int] = set()
    for trial in range(150):
        batches, units = int(rng.integers(0, 20)), int(rng.integers(1, 70))
        depth = (
            int(rng.choice([1019, 1020, 1021, 2041, 2100])) if trial % 15 == 0 else int(rng.integers(1, 80))
        )
        x, w = extreme(rng, (batches, depth), "int16"), extreme(rng, (units, depth), "int8")
        offsets = {"input_offset": int(trial % 20 == 3), "filter_offset": int(trial % 20 == 4)}
        requant = draw_requant(rng, dtype, units)
        bias = draw_bias(rng, dtype, units)

        def make() -> KernelCall:
            size = {"batches": batches, "depth": depth, "units": units}  # noqa: B023
            return fully_connected_call(dtype, filter=w, **size, **offsets, requant=requant)  # noqa: B023

        y = compare(make, [x, w, bias], (batches, units), f"{batches} x {depth} x {units}")
        values.update(np.unique(y).tolist())
    assert len(values) > 1000


def draw_shape(rng: Rng, channels: tuple[int, int]) -> ConvShape:
    """Return a geometry; windows may lie outside of the input altogether."""
    height, width, fh, fw, sh, sw, dh, dw, oh, ow = (
        int(v) for v in rng.integers(1, [9, 9, 5, 5, 4, 4, 4, 4, 7, 7])
    )
    pads = (int(v) for v in rng.integers(0, 6, 2))
    batches = int(rng.integers(0, 3))
    return ConvShape(batches, height, width, channels[0], fh, fw, oh, ow, channels[1], sh, sw, dh, dw, *pads)


@pytest.mark.parametrize("dtype", list(RULES))
def test_conv(dtype: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        groups = int(rng.choice([1, 1, 2, 3]))
        shape = draw_shape(rng, (groups * int(rng.integers(1, 20)), groups * int(rng.integers(1, 40))))
        image = (shape.batches, shape.input_height, shape.input_width, shape.input_channels)
        filter_shape = (
            shape.output_channels,
            shape.filter_height,
            shape.filter_width,
            shape.input_channels // groups,
        )
        x, w = extreme(rng, image, "int16"), extreme(rng, filter_shape, "int8")
        requant = draw_requant(rng, dtype, shape.output_channels)

        def make() -> KernelCall:
            offsets = {"input_offset": 0, "filter_offset": 0}
            return conv_call(dtype, shape, filter=w, groups=groups, **offsets, requant=requant)  # noqa: B023

        size = (shape.batches, shape.output_height, shape.output_width, shape.output_channels)
        compare(make, [x, w, draw_bias(rng, dtype, shape.output_channels)], size, f"{shape}, {groups} groups")


@pytest.mark.parametrize("dtype", list(RULES))
def test_depthwise_conv(dtype: str) -> None:
    rng = np.random.default_rng(3)
    for trial in range(120):
        channels = int(rng.integers(1, 70))
        shape = draw_shape(rng, (channels, channels * (2 if trial % 10 == 0 else 1)))
        if trial % 20 == 1:  # 511 and 512 taps, of which all are inside
            shape = shape._replace(
                input_height=20, input_width=40, filter_height=16, filter_width=32 - trial // 20 % 2
            )
        image = (shape.batches, shape.input_height, shape.input_width, shape.input_channels)
        filter_shape = (1, shape.filter_height, shape.filter_width, shape.output_channels)
        x, w = extreme(rng, image, "int16"), extreme(rng, filter_shape, "int8")
        requant = draw_requant(rng, dtype, shape.output_channels)

        def make() -> KernelCall:
            offsets = {"input_offset": 0, "filter_offset": 0}
            return depthwise_conv_call(dtype, shape, **offsets, requant=requant)  # noqa: B023

        size = (shape.batches, shape.output_height, shape.output_width, shape.output_channels)
        compare(make, [x, w, draw_bias(rng, dtype, shape.output_channels)], size, f"{shape}")
