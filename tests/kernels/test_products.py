"""Products requantized in registers, of drawn shapes: the bits of the definition by every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._fully_connected import fully_connected_call
from quantcore.kernels.conv import conv_call

import quantcore as qc
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.sum_bound import sum_bound
from tests.ops.harness import instruction_sets, using

ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")


def drawn(rng: np.random.Generator, *choices: tuple[int, int]) -> int:
    """Return a number in one of some ranges, ends included."""
    low, high = choices[rng.integers(len(choices))]
    return int(rng.integers(low, high + 1))


def requant(rng: np.random.Generator, dtype: str, channels: int, depth: int) -> dict[str, Any]:
    info = np.iinfo(dtype)
    reals = np.exp(rng.uniform(-1, 1, channels)) / (40 * np.sqrt(depth) + 1)
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
    bias = rng.integers(-20000, 20000, channels).astype(np.int32)
    zeros = rng.integers(info.min, int(info.max) + 1, 2)
    if rng.random() < 0.5 and dtype == "int8":
        zeros[1] = 0
    return [*values, bias], {"input_offset": -int(zeros[0]), "filter_offset": -int(zeros[1])}


def compare(make: Any, given: list[np.ndarray], shape: tuple[int, ...], what: object) -> None:
    """Run the call that `make` returns with every instruction set."""

    def run(isa: str) -> np.ndarray:
        output = np.full(shape, 77, given[0].dtype)
        with using(isa):
            call: KernelCall = make()
        call(given, [output])
        return output

    expected = run("scalar")
    for isa in instruction_sets()[1:]:
        np.testing.assert_array_equal(run(isa), expected, err_msg=f"{isa}: {what}")


def test_convolutions_of_drawn_shapes() -> None:
    """Windows of whole rows and of single places, padding of either sign, groups, tails of every kind."""
    rng = np.random.default_rng(0)
    for number in range(150):
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
        given, offsets = operands(
            rng, (2, height, width, depth * groups), (units * groups, *window, depth), units * groups
        )
        dtype = given[0].dtype.name
        store = requant(rng, dtype, units * groups, depth * window[0] * window[1])
        bound = sum_bound(dtype, given[1], given[2], axis=0, **offsets)

        def make(
            dtype: str = dtype,
            shape: ConvShape = shape,
            filter: np.ndarray = given[1],
            groups: int = groups,
            offsets: dict[str, int] = offsets,
            store: dict[str, Any] = store,
            bound: int | None = bound,
        ) -> KernelCall:
            return conv_call(
                dtype,
                shape,
                filter=filter,
                groups=groups,
                requant=Requant(**store),
                sum_bound=bound,
                **offsets,
            )

        compare(make, given, (2, *output, units * groups), (shape, groups, dtype, store["rounding"]))


def test_fully_connected_of_drawn_shapes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        batches, depth = drawn(rng, (1, 1), (2, 60)), drawn(rng, (1, 9), (10, 300))
        units = drawn(rng, (1, 40), (41, 300))
        given, offsets = operands(rng, (batches, depth), (units, depth), units)
        dtype = given[0].dtype.name
        store = requant(rng, dtype, units, depth)
        bound = sum_bound(dtype, given[1], given[2], axis=0, **offsets)

        def make(
            dtype: str = dtype,
            size: tuple[int, int, int] = (batches, depth, units),
            filter: np.ndarray = given[1],
            offsets: dict[str, int] = offsets,
            store: dict[str, Any] = store,
            bound: int | None = bound,
        ) -> KernelCall:
            return fully_connected_call(
                dtype,
                filter=filter,
                batches=size[0],
                depth=size[1],
                units=size[2],
                requant=Requant(**store),
                sum_bound=bound,
                **offsets,
            )

        compare(make, given, (batches, units), (batches, depth, units, dtype, store["rounding"]))
