"""Filters of 4 bits of drawn shapes: the bits of the definition by every instruction set."""

from __future__ import annotations

from functools import partial

import numpy as np
from quantcore.kernels._core import Requant
from quantcore.kernels._fully_connected import fully_connected_call, fully_connected_hybrid_call
from quantcore.kernels.conv import conv_call
from quantcore.kernels.depthwise_conv import depthwise_conv_call

from quantcore.flatbuffer.constants import packed_int4
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.sum_bound import sum_bound
from tests.kernels.drawn_products import drawn, requant
from tests.kernels.test_elementwise_versions import compare
from tests.kernels.test_int16_versions import draw_bias, draw_requant
from tests.kernels.test_recurrent_versions import extreme

Rng = np.random.Generator


def filter_of(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-8, 8, shape).astype(np.int8)


def test_convolutions() -> None:
    """CONV_2D and DEPTHWISE_CONV_2D, the latter also with one input channel; known and unknown sums."""
    rng = np.random.default_rng(0)
    for number in range(80):
        depthwise = number % 2 == 1
        depth, units = drawn(rng, (1, 20)), drawn(rng, (1, 40), (41, 100))
        if depthwise:
            units = depth * drawn(rng, (1, 1), (1, 3))
        window, size = (drawn(rng, (1, 4)), drawn(rng, (1, 4))), (drawn(rng, (1, 9)), drawn(rng, (1, 12)))
        rest = [drawn(rng, (1, 1), (1, 3)) for _ in range(4)] + [drawn(rng, (0, 2)) for _ in "hw"]
        shape = ConvShape(2, *size, depth, *window, drawn(rng, (1, 7)), drawn(rng, (1, 20)), units, *rest)
        w = filter_of(rng, (1, *window, units) if depthwise else (units, *window, depth))
        x = rng.integers(-128, 128, (2, *size, depth)).astype(np.int8)
        bias = rng.integers(-20000, 20000, units).astype(np.int32)
        offsets = {"input_offset": int(rng.integers(-127, 129)), "filter_offset": 0}
        store = requant(rng, "int8", units, depth * window[0] * window[1] // 4 + 1)
        bound = sum_bound("int8", w, bias, axis=3 if depthwise else 0, **offsets) if number % 5 else None
        known = number % 7 != 0
        settings = {**offsets, "requant": Requant(**store), "sum_bound": bound, "four_bits": True}
        make = partial(conv_call, "int8", shape, filter=w if known else None, groups=1, **settings)
        if depthwise:
            constants = (w, bias) if known else None
            make = partial(depthwise_conv_call, "int8", shape, constants=constants, **settings)
        output = np.full(shape.output_shape, 77, np.int8)
        compare(rng, make, [x, packed_int4(w), bias], output, f"{shape} {store['rounding']}")


def test_fully_connected() -> None:
    rng = np.random.default_rng(1)
    for number in range(80):
        dtype = ("int8", "int16", "int16_wide")[number % 3]
        batches, depth, units = drawn(rng, (1, 30)), drawn(rng, (1, 9), (10, 200)), drawn(rng, (1, 90))
        w = filter_of(rng, (units, depth))
        if dtype == "int8":
            x = rng.integers(-128, 128, (batches, depth)).astype(np.int8)
            bias: np.ndarray | None = rng.integers(-20000, 20000, units).astype(np.int32)
            offsets = {
                "input_offset": int(rng.integers(-127, 129)),
                "filter_offset": drawn(rng, (0, 0), (-7, 8)),
            }
            store = Requant(**requant(rng, "int8", units, depth // 4 + 1))
        else:
            x = extreme(rng, (batches, depth), "int16")
            bias = draw_bias(rng, dtype, units)
            offsets = {"input_offset": 0, "filter_offset": 0}
            store = draw_requant(rng, dtype, units)
        bound = sum_bound(dtype, w, bias, axis=0, **offsets)
        size = {"batches": batches, "depth": depth, "units": units, "four_bits": True}
        make = partial(
            fully_connected_call, dtype, filter=w, **size, requant=store, sum_bound=bound, **offsets
        )
        output = np.full((batches, units), 77, x.dtype)
        compare(rng, make, [x, packed_int4(w), bias], output, f"{dtype} {batches} {depth} {units}")


def test_hybrid() -> None:
    rng = np.random.default_rng(2)
    for number in range(30):
        batches, depth, units = drawn(rng, (1, 9)), drawn(rng, (1, 200)), drawn(rng, (1, 90))
        w = filter_of(rng, (units, depth))
        x = rng.normal(0, 1, (batches, depth)).astype(np.float32)
        scales = rng.uniform(0.001, 0.1, units if number % 2 else 1).astype(np.float32)
        size = {"batches": batches, "depth": depth, "units": units, "four_bits": True}
        quantization = {"asymmetric": number % 3 == 0, "sign_overflow": False, "filter_scale": scales}
        limits = {"activation_min": -2.0, "activation_max": 2.0}
        make = partial(fully_connected_hybrid_call, filter=w, **size, **quantization, **limits)
        output = np.full((batches, units), 77, np.float32)
        compare(rng, make, [x, packed_int4(w), None], output, f"{batches} {depth} {units}")
