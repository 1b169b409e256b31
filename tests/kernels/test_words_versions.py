"""Operators on int16, PRELU, SELECT, comparisons, TRANSPOSE: versions have the definition's bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels.activation import leaky_relu_call, relu_call
from quantcore.kernels.affine import requantize_call
from quantcore.kernels.comparison import compare_call, compare_scaled_call
from quantcore.kernels.elementwise import add_call
from quantcore.kernels.logistic import sigmoid_fixed_call, sigmoid_s16_call
from quantcore.kernels.movement import strided_copy_call
from quantcore.kernels.prelu import prelu_call
from quantcore.kernels.select import select_call

from tests.kernels.test_elementwise_versions import bounds, compare, draw_shapes, factor, scaled
from tests.ops.harness import random_values

Rng = np.random.Generator
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


def flat(rng: Rng, make: Callable[[int], KernelCall], dtype: str, output: str, what: str) -> None:
    """Compare a kernel on `count` elements, for counts with tails of every kind."""
    for count in (0, 1, 15, 16, 17, 100, 1000):
        x = random_values(rng, (count,), dtype)
        compare(rng, lambda count=count: make(count), [x], np.empty(count, output), f"{what}, {count}")


@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_functions(function: str) -> None:
    rng = np.random.default_rng(0)
    for multiplier, shift in ((1, 0), (3, 0), (12345, 9), (32767, 20), (16384, 14)):

        def make(count: int, multiplier: int = multiplier, shift: int = shift) -> KernelCall:
            return sigmoid_s16_call(function, count=count, multiplier=multiplier, right_shift=shift)

        flat(rng, make, "int16", "int16", f"{function} {multiplier} {shift}")
    every = np.arange(-32768, 32768).astype(np.int16)
    for left in (0, 1):
        make_fixed = partial(sigmoid_fixed_call, function, count=every.size, left_shift=left)
        compare(rng, make_fixed, [every], np.empty_like(every), f"{function} shifted by {left}")


def test_requantization() -> None:
    """RELU and QUANTIZE from int16, also by rules and bodies that vectors do not have."""
    rng = np.random.default_rng(1)
    for number in range(60):
        target = ("int8", "uint8", "int16", "relu")[number % 4]
        multiplier, shift = factor(rng, -12, 3) if number % 5 else factor(rng, -31, 31)
        requant = Requant(
            ("double_rounding", "ruy", "double_rounding")[number % 3],
            multiplier,
            shift,
            output_offset=int(rng.integers(-300, 300)),
            body=int(rng.integers(0, 50)) if number % 7 == 0 else None,
            **bounds(rng, "int16" if target == "relu" else target),
        )
        zero = int(rng.choice([0, -32768, 32767, 5]))

        def make(
            count: int, target: str = target, requant: Requant = requant, zero: int = zero
        ) -> KernelCall:
            if target == "relu":
                return relu_call("int16", count=count, input_offset=zero, requant=requant)
            return requantize_call("int16", target, count=count, input_zero_point=zero, requant=requant)

        flat(
            rng,
            make,
            "int16",
            "int16" if target == "relu" else target,
            f"{target} {multiplier} {shift} {zero}",
        )


def test_leaky_relu() -> None:
    rng = np.random.default_rng(2)
    for number in range(40):
        (m1, s1), (m2, s2) = factor(rng, -12, 3), factor(rng, -12, 3)
        parameters = {
            "input_offset": int(rng.integers(-300, 300)),
            "output_offset": int(rng.integers(-300, 300)),
            "identity_multiplier": m1,
            "identity_shift": s1,
            "alpha_multiplier": -m2 if number % 6 == 0 else m2,
            "alpha_shift": s2,
            "rounding": "single_rounding" if number % 5 == 0 else "double_rounding",
            "negates_alpha": number % 4 == 0,
        }

        def make(count: int, parameters: Any = parameters) -> KernelCall:
            return leaky_relu_call("int16", count=count, **parameters)

        flat(rng, make, "int16", "int16", str(parameters))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_prelu_and_squared_difference(dtype: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        identity, alpha, last = factor(rng, -12, 3), factor(rng, -12, 3), factor(rng, -20, 0)
        shape1, shape2 = draw_shapes(rng, int(rng.choice([1, 300, 3000])))
        x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        shape = np.broadcast_shapes(shape1, shape2)
        offsets = [int(v) for v in rng.integers(-255, 256, 3)]
        names = ("input_offset", "alpha_offset", "output_offset")
        parameters = dict(zip(names, offsets, strict=True))
        parameters |= {"identity_multiplier": identity[0], "identity_shift": identity[1]}
        parameters |= {"alpha_multiplier": alpha[0], "alpha_shift": alpha[1]}
        prelu = partial(prelu_call, dtype, shape=shape1, alpha_shape=shape2, **parameters)
        compare(rng, prelu, [x, y], np.empty(shape, dtype), f"prelu {shape1} {shape2} {parameters}")
        if dtype == "uint8":
            continue
        factors = [(identity[0], min(identity[1], 0)), (alpha[0], min(alpha[1], 0)), last]
        parameters = {"left_shift": 7, **scaled(offsets, *factors), **bounds(rng, dtype)}
        shapes = {"shape1": shape1, "shape2": shape2}
        difference = partial(add_call, "squared_difference", dtype, **shapes, **parameters)
        compare(rng, difference, [x, y], np.empty(shape, dtype), f"difference {shape1} {shape2} {parameters}")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32"])
def test_comparisons(dtype: str) -> None:
    rng = np.random.default_rng(4)
    for number in range(36):
        op = COMPARISONS[number % 6]
        shape1, shape2 = draw_shapes(rng, int(rng.choice([1, 300, 3000])))
        if dtype == "float32":
            x, y = (rng.choice([0.0, -0.0, 1.5, np.nan, np.inf], s).astype("f") for s in (shape1, shape2))
        else:
            x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        if number % 2 and x.shape == y.shape:
            y = np.where(rng.random(y.shape) < 0.5, x, y)
        factors = factor(rng, -12, 3), factor(rng, -12, 3)
        fields = scaled([int(v) for v in rng.integers(-255, 256, 2)], *factors)
        make = partial(compare_call, op, dtype, shape1=shape1, shape2=shape2)
        if dtype in ("int8", "uint8") or (dtype == "int16" and number % 3 == 0):
            make = partial(compare_scaled_call, *make.args, **make.keywords, left_shift=8, **fields)
        output = np.empty(np.broadcast_shapes(shape1, shape2), np.uint8)
        compare(rng, make, [x, y], output, f"{op} {shape1} {shape2}")


def test_select() -> None:
    """Each operand broadcasts in its own way."""
    rng = np.random.default_rng(5)
    for number in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 40, int(rng.integers(1, 4))))
        size = (1, 2, 4, 8, 3)[number % 5]
        operands, strides = [], []
        for item in (1, size, size):
            own = tuple(1 if rng.random() < 0.3 else n for n in shape)
            steps = np.cumprod((1, *own[::-1]))[-2::-1]
            strides.append([0 if o == 1 else int(step) for o, step in zip(own, steps, strict=True)])
            values = (
                rng.integers(0, 2, own) if item == 1 and not operands else rng.integers(0, 256, (*own, item))
            )
            operands.append(values.astype(np.uint8))
        make = partial(select_call, size, shape, *strides)
        compare(rng, make, operands, np.empty((*shape, size), np.uint8), f"{size} {shape} {strides}")


def test_transposed_copies() -> None:
    """All orders of dimensions, steps over the input, and sizes beside whole tiles."""
    rng = np.random.default_rng(6)
    for number in range(80):
        rank = int(rng.integers(2, 5))
        shape = tuple(int(n) for n in rng.integers(1, 40 if rank < 4 else 18, rank))
        order = rng.permutation(rank)
        steps = np.cumprod((1, *shape[::-1]))[-2::-1]
        size = (1, 2, 4, 8, 1)[number % 5]
        x = rng.integers(0, 256, (*shape, size)).astype(np.uint8)
        first, output_shape, strides = 0, [], []
        for d in order:
            stride = int(rng.choice([1, 1, 1, 2, -1]))
            count = -(-shape[d] // abs(stride))
            first += (shape[d] - 1) * int(steps[d]) if stride < 0 else 0
            output_shape.append(count)
            strides.append(int(steps[d]) * stride)
        make = partial(
            strided_copy_call, element_bytes=size, shape=output_shape, strides=strides, first=first
        )
        compare(rng, make, [x], np.empty((*output_shape, size), np.uint8), f"{shape} {order} {strides}")
