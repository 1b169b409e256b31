"""Activations on floats, and operators of two inputs without scales: versions have the definition's bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall
from quantcore.kernels.activation import (
    HARD_SWISH_FORMS,
    hard_swish_f32_call,
    leaky_relu_f32_call,
    relu_f32_call,
)
from quantcore.kernels.division import div_f32_call
from quantcore.kernels.elementwise import (
    arithmetic_f32_call,
    arithmetic_s32_call,
    arithmetic_s64_call,
    selection_call,
)
from quantcore.kernels.prelu import prelu_f32_call

from tests.kernels.test_elementwise_versions import draw_shapes
from tests.kernels.versions import compare
from tests.ops.harness import random_floats, random_values

Rng = np.random.Generator
LIMITS = ((-np.inf, np.inf), (0.0, 6.0), (-1.0, 1.0), (0.0, np.inf), (1e-40, 1.0))


def floats(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Return floats of which products, sums and quotients are often subnormal."""
    tiny = rng.uniform(-4, 4, shape).astype(np.float32) * rng.choice(
        np.array([1e-38, 1e-19, 1e-44, 1], np.float32), shape
    )
    return np.where(rng.random(shape) < 0.5, tiny, random_floats(rng, shape, special=True))


def drawn(rng: Rng, make: Callable[..., KernelCall], dtype: str, what: str) -> None:
    shape1, shape2 = draw_shapes(rng, 400)
    shapes = {"shape1": shape1, "shape2": shape2}
    if rng.random() < 0.5:
        shapes = {"shape1": shape2, "shape2": shape1}
    draw = floats if dtype == "float32" else partial(random_values, dtype=dtype)
    inputs: list[np.ndarray | None] = [draw(rng, shape) for shape in shapes.values()]
    output = np.empty(np.broadcast_shapes(shape1, shape2), dtype)
    compare(partial(make, **shapes), inputs, output, f"{what} {shapes}")


def test_arithmetic() -> None:
    rng = np.random.default_rng(0)
    for number in range(150):
        low, high = LIMITS[number % len(LIMITS)]
        limits = {"activation_min": low, "activation_max": high}
        op = ("add", "sub", "mul", "squared_difference")[number % 4]
        drawn(rng, partial(arithmetic_f32_call, op, **limits), "float32", op)
        drawn(rng, partial(div_f32_call, **limits), "float32", "div")
        op = ("add", "sub", "mul", "squared_difference", "div")[number % 5]
        drawn(rng, partial(arithmetic_f32_call, op, flushed=True, **limits), "float32", f"flushed {op}")
        if op in ("add", "sub", "mul"):
            drawn(
                rng,
                partial(arithmetic_s32_call, op, activation_min=-(2**31), activation_max=2**30),
                "int32",
                op,
            )
            drawn(
                rng,
                partial(arithmetic_s64_call, op, activation_min=-(2**63), activation_max=2**62),
                "int64",
                op,
            )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32"])
def test_selection(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for op in ("maximum", "minimum"):
        for _ in range(25):
            drawn(rng, partial(selection_call, op, dtype), dtype, op)


def prelu(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> KernelCall:
    return prelu_f32_call(shape=shape1, alpha_shape=shape2)


def test_prelu() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        inner = int(rng.integers(1, 90))
        shape = (3, 2, inner)
        alpha = ((inner,), (1, 1, inner), (1, 1, 1), shape)[rng.integers(4)]
        inputs: list[np.ndarray | None] = [floats(rng, shape), floats(rng, alpha)]
        compare(partial(prelu, shape, alpha), inputs, np.empty(shape, np.float32), f"{shape} {alpha}")


def test_activations() -> None:
    rng = np.random.default_rng(3)
    for count in (0, 1, 3, 4, 7, 8, 9, 31, 1003):
        x = floats(rng, (count,))
        for low, high in LIMITS:
            call = partial(relu_f32_call, count=count, activation_min=low, activation_max=high)
            compare(call, [x], np.empty_like(x), f"relu {low} {high}")
        for keeps in (False, True):
            leaky = partial(leaky_relu_f32_call, count=count, alpha=0.3, keeps_zeros=keeps)
            compare(leaky, [x], np.empty_like(x), f"leaky_relu {keeps}")
        for form in HARD_SWISH_FORMS:
            hard_swish = partial(hard_swish_f32_call, count=count, form=form)
            compare(hard_swish, [x], np.empty_like(x), f"hard_swish {form}")
