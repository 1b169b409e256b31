"""TRANSPOSE_CONV of drawn shapes: the bits of the definition by every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._transpose_conv import transpose_conv_call, transpose_conv_f32_call

from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.sum_bound import sum_bound
from tests.kernels.drawn_products import drawn, operands, requant
from tests.kernels.test_int16_versions import draw_bias, draw_requant
from tests.kernels.test_recurrent_versions import extreme
from tests.kernels.versions import compare

Rng = np.random.Generator


def draw_shape(rng: Rng) -> ConvShape:
    """Return a geometry, also with strides beyond the filter, padding beyond the input, and more outputs."""
    axes = []
    for _ in range(2):
        size, window, stride = drawn(rng, (1, 6)), drawn(rng, (1, 5)), drawn(rng, (1, 2), (1, 4), (1, 9))
        pad = drawn(rng, (0, 0), (0, 2), (0, 12))
        filled = (size - 1) * stride + window - pad
        axes.append((size, window, max(1, filled + drawn(rng, (0, 0), (-3, 8))), stride, pad))
    (height, rows, out_height, down, top), (width, columns, out_width, right, left) = axes
    depth, units = drawn(rng, (1, 9), (10, 70)), drawn(rng, (1, 20), (1, 100))
    return ConvShape(
        drawn(rng, (0, 2)),
        height,
        width,
        depth,
        rows,
        columns,
        out_height,
        out_width,
        units,
        down,
        right,
        1,
        1,
        top,
        left,
    )


def run(make: Any, given: list[Any], shape: ConvShape, what: object) -> None:
    """Compare with a bias or, where it is None, without one."""
    tensors = [None, given[1], given[0], given[2]]
    compare(make, tensors, np.full(shape.output_shape, 77, given[0].dtype), f"{what} {shape}")


def window_of(s: ConvShape) -> tuple[int, ...]:
    return s.output_channels, s.filter_height, s.filter_width, s.input_channels


def image_of(s: ConvShape) -> tuple[int, ...]:
    return s.batches, s.input_height, s.input_width, s.input_channels


def test_bytes() -> None:
    """With prepared and other requantizations, and uint8's, which count the elements of the whole output."""
    rng = np.random.default_rng(0)
    for number in range(200):
        shape = draw_shape(rng)
        given, offsets = operands(rng, image_of(shape), window_of(shape), shape.output_channels)
        dtype = given[0].dtype.name
        flat = dtype == "uint8"
        reach = shape.input_channels * shape.filter_height * shape.filter_width
        store = requant(rng, dtype, 1 if flat else shape.output_channels, reach)
        if number % 6 == 0:
            store |= {"body": drawn(rng, (0, 30)), "tail": "ruy"}
        bound = sum_bound(dtype, given[1], given[2], axis=0, **offsets) if number % 5 else None
        has_bias = number % 7 != 0
        tensors = [*given[:2], given[2] if has_bias else None]

        def make(
            dtype: str = dtype,
            shape: ConvShape = shape,
            has_bias: bool = has_bias,
            filter: np.ndarray | None = given[1] if number % 9 else None,
            flat: bool = flat,
            offsets: dict[str, int] = offsets,
            store: dict[str, Any] = store,
            bound: int | None = bound,
        ) -> KernelCall:
            return transpose_conv_call(
                dtype,
                shape,
                inputs=4,
                has_bias=has_bias,
                flat=flat,
                filter=filter,
                sum_bound=bound,
                requant=Requant(**store),
                **offsets,
            )

        run(make, tensors, shape, (dtype, store["rounding"]))


@pytest.mark.parametrize("dtype", ["int16", "int16_wide"])
def test_int16(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        shape = draw_shape(rng)
        x, w = extreme(rng, image_of(shape), "int16"), extreme(rng, window_of(shape), "int8")
        bias = draw_bias(rng, dtype, shape.output_channels)
        store = draw_requant(rng, dtype, shape.output_channels)

        def make(
            shape: ConvShape = shape,
            w: np.ndarray = w,
            has_bias: bool = bias is not None,
            store: Requant = store,
        ) -> KernelCall:
            return transpose_conv_call(
                dtype,
                shape,
                inputs=4,
                has_bias=has_bias,
                input_offset=0,
                filter_offset=0,
                flat=False,
                filter=w,
                requant=store,
            )

        run(make, [x, w, bias], shape, dtype)


def test_float() -> None:
    """Infinities meet no filter that is not there; sums of zeros keep their sign."""
    rng = np.random.default_rng(2)
    for number in range(80):
        shape = draw_shape(rng)
        x = rng.normal(0, 1, image_of(shape)).astype(np.float32)
        w = rng.normal(0, 1, window_of(shape)).astype(np.float32)
        bias = rng.normal(0, 1, shape.output_channels).astype(np.float32) if number % 3 else None
        if number % 4 == 0:
            w[rng.random(w.shape) < 0.5] = -0.0
            x[rng.random(x.shape) < 0.1] = np.inf
        low, high = (-np.inf, np.inf) if number % 2 else (-1.0, 0.75)

        def make(
            shape: ConvShape = shape,
            w: np.ndarray = w,
            has_bias: bool = bias is not None,
            low: float = low,
            high: float = high,
        ) -> KernelCall:
            return transpose_conv_f32_call(
                shape, inputs=4, has_bias=has_bias, activation_min=low, activation_max=high, filter=w
            )

        run(make, [x, w, bias], shape, "float32")
