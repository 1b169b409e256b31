"""Calls of CONV_2D and FULLY_CONNECTED of drawn shapes, with what they are called on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._fully_connected import fully_connected_call
from quantcore.kernels.conv import conv_call

import quantcore as qc
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.sum_bound import sum_bound

ORDINARY_BIAS = 20000
ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")


class Product(NamedTuple):
    """`make` returns the call with the instruction set that is in use then."""

    make: Callable[[], KernelCall]
    inputs: list[np.ndarray]
    output_shape: tuple[int, ...]
    what: object


def drawn(rng: np.random.Generator, *choices: tuple[int, int]) -> int:
    """Return a number in one of some ranges, ends included."""
    low, high = choices[rng.integers(len(choices))]
    return int(rng.integers(low, high + 1))


def requant(
    rng: np.random.Generator, dtype: str, channels: int, depth: int, bias: np.ndarray | None = None
) -> dict[str, Any]:
    """Multipliers for sums of `depth` products, and for the huge ones of `bias`."""
    info = np.iinfo(dtype)
    reals = np.exp(rng.uniform(-1, 1, channels)) / (40 * np.sqrt(depth) + 1)
    if bias is not None:
        reals = np.where(abs(bias) < ORDINARY_BIAS, reals, np.ldexp(rng.uniform(0.3, 90, channels), -30))
    multiplier, shift = qc.quantize_multiplier(reals)
    rounding = ROUNDINGS[rng.integers(len(ROUNDINGS))]
    offset = int(rng.integers(info.min, int(info.max) + 1))
    return {
        "rounding": rounding,
        "multiplier": multiplier,
        "shift": shift,
        "real_multiplier": reals.astype(np.float32) if "float" in rounding else None,
        "output_offset": offset,
        "activation_min": offset if rng.random() < 0.4 else int(info.min),
        "activation_max": int(info.max),
    }


def operands(
    rng: np.random.Generator, shape: tuple[int, ...], filter_shape: tuple[int, ...], channels: int
) -> tuple[list[np.ndarray], dict[str, int]]:
    """Return input, filter and bias, and their offsets, int8 or uint8."""
    dtype = ("int8", "uint8")[rng.integers(2)]
    info = np.iinfo(dtype)
    values = [rng.integers(info.min, int(info.max) + 1, s).astype(dtype) for s in (shape, filter_shape)]
    bias = rng.integers(1 - ORDINARY_BIAS, ORDINARY_BIAS, channels).astype(np.int32)
    if rng.random() < 0.2:  # as where a channel's filter is nearly 0, and so is its scale
        huge = rng.random(channels) < 0.2
        bias[huge] = rng.choice([-1, 1], huge.sum()) * rng.integers(2**28, 2**30, huge.sum(), endpoint=True)
    zeros = rng.integers(info.min, int(info.max) + 1, 2)
    if rng.random() < 0.5 and dtype == "int8":
        zeros[1] = 0
    return [*values, bias], {"input_offset": -int(zeros[0]), "filter_offset": -int(zeros[1])}


def convolution(rng: np.random.Generator, shape: ConvShape, groups: int) -> Product:
    """Draw everything but the shape."""
    depth = shape.input_channels // groups
    window, channels = (shape.filter_height, shape.filter_width), shape.output_channels
    image = (shape.batches, shape.input_height, shape.input_width, shape.input_channels)
    given, offsets = operands(rng, image, (channels, *window, depth), channels)
    dtype = given[0].dtype.name
    store = requant(rng, dtype, channels, depth * window[0] * window[1], given[2])
    bound = sum_bound(dtype, given[1], given[2], axis=0, **offsets)

    def make() -> KernelCall:
        common = {"filter": given[1], "requant": Requant(**store), "sum_bound": bound, **offsets}
        return conv_call(dtype, shape, groups=groups, **common)

    output = (shape.batches, shape.output_height, shape.output_width, channels)
    return Product(make, given, output, (shape, groups, dtype, store["rounding"]))


def fully_connected(rng: np.random.Generator, batches: int, depth: int, units: int) -> Product:
    """Draw everything but the shape."""
    given, offsets = operands(rng, (batches, depth), (units, depth), units)
    dtype = given[0].dtype.name
    store = requant(rng, dtype, units, depth, given[2])
    bound = sum_bound(dtype, given[1], given[2], axis=0, **offsets)

    def make() -> KernelCall:
        size = {"batches": batches, "depth": depth, "units": units}
        common = {"filter": given[1], "requant": Requant(**store), "sum_bound": bound, **offsets}
        return fully_connected_call(dtype, **size, **common)

    return Product(make, given, (batches, units), (batches, depth, units, dtype, store["rounding"]))


def convolutions(count: int) -> Iterator[Product]:
    """Windows of whole rows and of single places, padding of either sign, groups, tails of every kind."""
    rng = np.random.default_rng(0)
    for number in range(count):
        groups = drawn(rng, (1, 1), (1, 1), (2, 4))
        depth, units = drawn(rng, (1, 9), (10, 90)), drawn(rng, (1, 40), (41, 150))
        pointwise = number % 3 == 0
        height, width = drawn(rng, (1, 12)), drawn(rng, (1, 14))
        window = (1, 1) if pointwise else (drawn(rng, (1, 4)), drawn(rng, (1, 5)))
        rest = [1, 1, 1, 1, 0, 0]  # strides, dilations, padding
        output = (height, width)
        if not pointwise:
            rest = [drawn(rng, (1, 1), (1, 3)) for _ in range(4)] + [
                drawn(rng, (0, 0), (-3, 4)) for _ in "hw"
            ]
            output = (drawn(rng, (1, 9)), drawn(rng, (1, 30)))
        shape = ConvShape(2, height, width, depth * groups, *window, *output, units * groups, *rest)
        yield convolution(rng, shape, groups)


def fully_connecteds(count: int) -> Iterator[Product]:
    rng = np.random.default_rng(1)
    for _ in range(count):
        batches, depth = drawn(rng, (1, 1), (2, 60)), drawn(rng, (1, 9), (10, 300))
        yield fully_connected(rng, batches, depth, drawn(rng, (1, 40), (41, 300)))
