"""DIV, FLOOR_DIV, FLOOR_MOD: every pair of int8 values, all dtypes, broadcasting, zeros, least integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    op_model,
    random_scale,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

SHAPES = [
    ((7, 5), (7, 5)),
    ((3, 4, 5), (5,)),
    ((2, 1, 5), (4, 1)),
    ((6,), ()),
    ((), (3, 2)),
    ((2, 3, 1, 2), (3, 2, 1)),
]
# (scale, zero point) of inputs and output; TFLite refuses a stored divisor of 0, so its zero point is 0 here
SCALES = [
    ((0.5, 0), (0.25, 0), (0.125, 0)),  # small quotients on exact multiples
    ((0.1, 3), (0.1, 0), (0.1, -7)),
    ((0.1, -128), (0.02, 0), (1.0, -128)),
    ((0.01, 5), (0.1, 0), (10.0, 0)),  # a tiny multiplier: shifts beyond 31
    ((2.0, 0), (0.001, 0), (0.03, 0)),
]


def divide(op: str, dtype: str, shapes: Any, scales: Any = None, activation: str = "NONE") -> Model:
    quantization = [(None, 0)] * 3 if scales is None else scales
    return op_model(
        op,
        [tensor(shape, dtype, *q) for shape, q in zip(shapes, quantization, strict=False)],
        [tensor((), dtype, *quantization[2])],
        {"fused_activation_function": activation} if op == "DIV" else {},
    )


def without_zero(x: np.ndarray, value: int = 1) -> np.ndarray:
    return np.where(x == 0, np.array(value, x.dtype), x)


def pairs(dtype: str = "int8") -> list[np.ndarray]:
    every = np.arange(256, dtype=np.uint8).view(dtype)
    return [every.reshape(256, 1), every[every != 0].reshape(1, 255)]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_pair_of_int8(profile: str) -> None:
    inputs = pairs()
    for scales in SCALES:
        for activation in ("NONE", "RELU6"):
            model = divide("DIV", "int8", [(256, 1), (1, 255)], scales, activation)
            check(model, inputs, numerics=profile)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_quantized_dtypes(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        zeros = [0, 0, 0] if dtype == "int16" else [int(z) for z in rng.integers(0, 256, 3)]
        zeros[1] = 0
        scales = list(zip(random_scale(rng, 1e-3, 1, 3), zeros, strict=True))
        x, d = (random_values(rng, s, dtype) for s in ((64, 64), (64,)))
        model = divide("DIV", dtype, [x.shape, d.shape], scales, ("NONE", "RELU", "RELU_N1_TO_1")[number % 3])
        for profile in TFLITE:
            check(model, [x, without_zero(d)], numerics=profile)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("DIV", "int32"),
        ("DIV", "float32"),
        ("FLOOR_DIV", "int8"),
        ("FLOOR_DIV", "int16"),
        ("FLOOR_DIV", "int32"),
        ("FLOOR_DIV", "float32"),
        ("FLOOR_MOD", "int8"),
        ("FLOOR_MOD", "int16"),
        ("FLOOR_MOD", "int32"),
        ("FLOOR_MOD", "int64"),
        ("FLOOR_MOD", "float32"),
    ],
)
def test_without_scales(op: str, dtype: str) -> None:
    rng, formula = np.random.default_rng(1), run_page(op.lower() if op == "DIV" else "floor_div")[op.lower()]
    for shapes in SHAPES:
        x, d = (random_values(rng, shape, dtype) for shape in shapes)
        d = without_zero(d)
        if dtype != "float32":  # the least integer by -1 ends the oracle's process
            d = np.where(d == -1, np.array(3, dtype), d)
        (y,) = check(divide(op, dtype, shapes), [x, d])
        if not (op == "DIV" and dtype == "int32"):
            assert_same_bits(formula(x, d), y, f"page, {op} {dtype} {shapes}")
        for profile in PROFILES[1:3] if dtype != "float32" else PROFILES[1:2]:
            check(divide(op, dtype, shapes), [x, d], numerics=profile)


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
def test_special_floats_in_every_profile(activation: str) -> None:
    """Infinities, NaN, zeros; subnormal numbers, which XNNPACK takes for zeros; division by zero."""
    rng = np.random.default_rng(4)
    for shapes in (((40, 20), (40, 20)), ((40, 20), (20,)), ((40, 1), (1, 20))):
        x, d = (random_values(rng, shape, "float32", special=True) for shape in shapes)
        x.reshape(-1)[:10], d.reshape(-1)[:10] = rng.uniform(-3e-38, 3e-38, (2, 10))
        for profile in PROFILES:
            check(divide("DIV", "float32", shapes, None, activation), [x, d], numerics=profile)


def test_float_profiles() -> None:
    rng = np.random.default_rng(2)
    x, d = (rng.normal(0, 9, (50, 20)).astype(np.float32) for _ in range(2))
    for op in ("DIV", "FLOOR_DIV", "FLOOR_MOD"):
        for profile in PROFILES:
            check(divide(op, "float32", [x.shape, d.shape]), [x, d], numerics=profile)


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
def test_special_floats_and_activations(activation: str) -> None:
    rng = np.random.default_rng(3)
    x, d = (random_values(rng, (400,), "float32", special=True) for _ in range(2))
    check(divide("DIV", "float32", [x.shape, d.shape], None, activation), [x, d])
    whole = [without_zero(random_values(rng, (400,), "int32", low=-9, high=9)) for _ in range(2)]
    check(divide("DIV", "int32", [(400,), (400,)], None, activation), whole)
    if activation == "NONE":
        check(divide("FLOOR_MOD", "float32", [x.shape, d.shape]), [x, d])
        check(divide("FLOOR_DIV", "float32", [x.shape, d.shape]), [x, without_zero(d)])


@pytest.mark.parametrize("op", ["DIV", "FLOOR_DIV", "FLOOR_MOD"])
def test_division_by_zero_is_an_error(op: str) -> None:
    inputs = [np.array([4, 5], np.int32), np.array([2, 0], np.int32)]
    model = divide(op, "int32", [(2,), (2,)])
    assert refusal(model, inputs)
    with pytest.raises(KernelError, match="out of range"):
        run_ours(model, inputs)
    scales = [(0.1, 0), (0.1, 7), (0.1, 0)]
    with pytest.raises(KernelError, match="out of range"):  # the zero point stands for 0
        run_ours(
            divide("DIV", "int8", [(2,), (2,)], scales), [np.ones(2, np.int8), np.array([1, 7], np.int8)]
        )


def test_the_least_integer_by_minus_one() -> None:
    """TFLite's process ends by SIGFPE; the quotient wraps here, and the remainder is 0."""
    inputs = [np.array([-(2**31), 7], np.int32), np.array([-1, -2], np.int32)]
    assert run_ours(divide("DIV", "int32", [(2,), (2,)]), inputs)[0].tolist() == [-(2**31), -3]
    assert run_ours(divide("FLOOR_MOD", "int32", [(2,), (2,)]), inputs)[0].tolist() == [0, -1]
    check(divide("FLOOR_DIV", "int32", [(2,), (2,)]), inputs)


def test_the_page_computes_what_the_kernel_computes() -> None:
    formula, (x, d) = run_page("div")["div_quantized"], pairs()
    for scales in SCALES:
        (y,) = check(divide("DIV", "int8", [x.shape, d.shape], scales), [x, d])
        parameters = [value for pair in scales for value in pair]
        assert_same_bits(formula(x, d, *parameters), y, f"page div, {scales}")


@pytest.mark.parametrize(
    ("dtype", "shapes", "scales", "reason"),
    [
        ("int64", [(2,), (2,)], None, "int64"),
        ("int8", [(2,), (2,)], None, "without a scale"),
        ("int8", [(2,), (2,)], [(1.0, 0), (1e-20, 0), (1e-20, 0)], "multiplier"),
        ("float32", [(2,), (3,)], None, "broadcast"),
        ("float32", [(2, 1, 1, 1, 1, 1), (2, 2, 2, 2, 2, 2)], None, "the limit is 5"),
    ],
)
def test_refused(dtype: str, shapes: Any, scales: Any, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(divide("DIV", dtype, shapes, scales), [np.ones(s, dtype) for s in shapes])
