"""Hybrid products, TFLite's and XNNPACK's: versions have the definition's bits."""

from __future__ import annotations

from functools import partial

import numpy as np
from quantcore.kernels._batch_matmul import batch_matmul_hybrid_call
from quantcore.kernels._fully_connected import fully_connected_hybrid_call
from quantcore.kernels.conv import conv_hybrid_call

from quantcore.kernels.conv_shape import ConvShape
from tests.kernels.drawn_products import drawn
from tests.kernels.test_batch_matmul_versions import draw
from tests.kernels.test_recurrent_versions import extreme
from tests.kernels.versions import compare
from tests.ops.harness import random_floats

Rng = np.random.Generator


def floats(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Return rows of usual and of rare ranges: all zero, denormal, near infinity, infinities and NaN."""
    values = random_floats(rng, shape, special=bool(rng.random() < 0.2))
    scale = rng.choice(np.array([1, 1, 1, 0, 1e-42, 1e-38, 1e36], np.float32), (*shape[:-1], 1))
    with np.errstate(all="ignore"):
        return np.asarray(values * scale, np.float32)


def scales(rng: Rng, channels: int) -> np.ndarray:
    """Return one scale, or one per channel, some of them denormal."""
    count = channels if rng.random() < 0.5 else 1
    return rng.choice(np.array([0.01, 0.3, 1e-40, 1e30], np.float32), count, p=[0.6, 0.3, 0.05, 0.05])


def bounds(rng: Rng) -> dict[str, float]:
    low, high = ((-np.inf, np.inf), (0.0, 6.0), (-1.0, 1.0), (0.0, np.inf))[rng.integers(4)]
    return {"activation_min": low, "activation_max": high}


def test_fully_connected() -> None:
    rng = np.random.default_rng(0)
    for number in range(120):
        batches, depth, units = drawn(rng, (0, 3), (1, 1), (1, 110)), drawn(rng, (1, 70)), drawn(rng, (1, 90))
        filter = extreme(rng, (units, depth), "int8")
        bias = None if number % 3 == 0 else random_floats(rng, (units,))
        make = partial(
            fully_connected_hybrid_call,
            filter=filter if number % 4 else None,
            batches=batches,
            depth=depth,
            units=units,
            asymmetric=bool(number % 2),
            sign_overflow=number % 7 == 0,
            filter_scale=scales(rng, units),
            **bounds(rng),
        )
        x = floats(rng, (batches, depth))
        output = np.empty((batches, units), np.float32)
        for fma in (False, True):
            compare(partial(make, fma=fma), [x, filter, bias], output, f"{make.keywords}, fma {fma}")


def test_batch_matmul() -> None:
    rng = np.random.default_rng(1)
    for number in range(120):
        shape, lhs, rhs, output = draw(rng)
        given: list[np.ndarray | None] = [floats(rng, lhs), extreme(rng, rhs, "int8")]
        make = partial(
            batch_matmul_hybrid_call,
            shape,
            asymmetric=bool(number % 2),
            weight_scale=scales(rng, shape.columns),
        )
        for fma in (False, True):
            what = f"{shape}, {make.keywords}, fma {fma}"
            compare(partial(make, fma=fma), given, np.empty(output, np.float32), what)


def test_conv() -> None:
    """XNNPACK's form; TFLite's is tested with float convolutions."""
    rng = np.random.default_rng(2)
    for number in range(60):
        groups = 1 if number % 4 else drawn(rng, (2, 3))
        channels, units = groups * drawn(rng, (1, 20)), groups * drawn(rng, (1, 40))
        kernel = drawn(rng, (1, 3)), drawn(rng, (1, 4))
        size = drawn(rng, (4, 9)), drawn(rng, (4, 12))
        pad, stride = drawn(rng, (0, 2)), drawn(rng, (1, 2))
        height, width = ((size[k] + pad - kernel[k]) // stride + 1 for k in range(2))
        batches = drawn(rng, (1, 2))
        places = (stride, stride, 1, 1, pad // 2, pad // 2)
        shape = ConvShape(batches, *size, channels, *kernel, height, width, units, *places)
        filter = extreme(rng, (units, *kernel, channels // groups), "int8")
        bias = None if number % 3 == 0 else random_floats(rng, (units,))
        make = partial(
            conv_hybrid_call,
            shape,
            filter=filter if number % 5 else None,
            groups=groups,
            sign_overflow=False,
            filter_scale=scales(rng, units),
            form="fma",
            **bounds(rng),
        )
        x = floats(rng, (batches, *size, channels))
        compare(make, [x, filter, bias], np.empty(shape.output_shape, np.float32), f"{shape} {groups}")
