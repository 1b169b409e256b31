"""LEAKY_RELU: every 8-bit input for many scales and slopes of both signs; int16; floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    covers,
    every_byte,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

ALPHAS = (0.0, 0.01, 0.2, 0.25, 0.5, 1.0, 1.7, -0.3, -1.0, 1e-20)
# (input scale, zero point, output scale, zero point) relative to int8
SCALES = [
    (0.1, 0, 0.1, 0),
    (0.5, -7, 1.0, 5),
    (1.0, 5, 0.25, 3),
    (0.05, 127, 0.047, -128),
    (100.0, 0, 1e-5, 0),
]


def leaky_relu(scales: tuple[Any, ...], count: int, dtype: str, alpha: float) -> Model:
    si, zi, so, zo = scales
    shift = 128 if dtype == "uint8" else 0
    return op_model(
        "LEAKY_RELU",
        [tensor((count,), dtype, si, zi + shift)],
        [tensor((), dtype, so, zo + shift)],
        {"alpha": alpha},
        version=2,
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_input(dtype: str, profile: str) -> None:
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(61)
    for alpha in ALPHAS:
        for scales in SCALES:
            check(leaky_relu(scales, 256, dtype, alpha), [every_byte(dtype)], numerics=profile)
    for _ in range(30):
        si, so = np.exp(rng.uniform(-7, 2, 2))
        scales = (si, rng.integers(-128, 128), so, rng.integers(-128, 128))
        check(leaky_relu(scales, 256, dtype, float(rng.normal())), [every_byte(dtype)], numerics=profile)


def test_the_ratios_that_xnnpack_takes() -> None:
    """Both multipliers within [2**-8, 2**7]; beyond, the optimized kernel computes."""
    edges = [np.nextafter(np.float32(v), np.float32(w)) for v in (2.0**-8, 2.0**7) for w in (0, v, 1e9)]
    for ratio in (*edges, 1.0):
        for alpha in (1.0, -1.0, 0.5, -(2.0**-8), 2.0**7):
            for dtype in ("int8", "uint8"):
                model = leaky_relu((float(ratio), 1, 1.0, 2), 256, dtype, alpha)
                check(model, [every_byte(dtype)], numerics="xnnpack")


def test_every_int16_input() -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    for si, so, alpha in ((0.001, 0.001, 0.1), (0.5, 1.0, -0.3), (0.0003, 0.00041, 0.25), (1.0, 0.25, 2.0)):
        for profile in PROFILES:
            check(leaky_relu((si, 0, so, 0), 65536, "int16", alpha), [x], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(leaky_relu((0.1, 0, 0.06, 0), 256, "int8", 0.9), [every_byte("int8")])
    covers(y)


def test_float() -> None:
    x = random_values(np.random.default_rng(62), (1003,), "float32", special=True)
    x[:2] = 0.0, -0.0
    for alpha in (*ALPHAS, float("nan")):
        for profile in PROFILES:
            if profile == "xnnpack":  # which takes subnormal numbers for zero
                x = np.where(np.abs(x) < 1e-30, np.copysign(np.float32(0), x), x)
            check(leaky_relu((None, 0, None, 0), 1003, "float32", alpha), [x], numerics=profile)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_page_computes_what_the_kernel_computes(alpha: float) -> None:
    formula = run_page("leaky_relu")["leaky_relu"]
    for scales in SCALES:
        for profile in PROFILES:
            (y,) = check(leaky_relu(scales, 256, "int8", alpha), [every_byte("int8")], numerics=profile)
            ours = formula(every_byte("int8"), *scales, alpha, profile)
            assert_same_bits(ours, y, f"page leaky_relu, {scales} {alpha} {profile}")


@pytest.mark.parametrize(
    ("scales", "alpha", "reason"),
    [
        ((0.1, 0, 0.1, 0), float("nan"), "multiplier"),
        ((0.1, 0, 0.1, 0), 1e30, "2\\*\\*31"),
        ((0.0, 0, 0.1, 0), 0.1, "positive"),
        ((0.1, 300, 0.1, 0), 0.1, "zero point"),
    ],
)
def test_refused(scales: tuple[Any, ...], alpha: float, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(leaky_relu(scales, 4, "int8", alpha), [np.zeros(4, np.int8)])
