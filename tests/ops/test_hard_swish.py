"""HARD_SWISH: every 8-bit input for many scales, shifts over the whole range; floats."""

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
    check_samples,
    covers,
    every_byte,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

# (input scale, zero point, output scale, zero point) relative to int8
SCALES = [
    (0.05, 0, 0.03, -100),
    (0.0117647, -1, 0.0098, 20),
    (1 / 32, 5, 1 / 64, -7),  # powers of two: ties
    (1.0, 0, 1.0, 0),
    (10.0, -128, 2.0, 127),
    (0.4, 127, 0.0032, 127),  # the output multiplier close to 1: 16-bit sums wrap
    (1e-5, 3, 1e-5, 3),
    (1e-7, 3, 1e-3, 3),  # shifts of more than 16 bits
    (1e6, 3, 1e6, 3),
]


def hard_swish(scales: tuple[Any, ...], count: int, dtype: str) -> Model:
    si, zi, so, zo = scales
    shift = 128 if dtype == "uint8" else 0
    return op_model(
        "HARD_SWISH", [tensor((count,), dtype, si, zi + shift)], [tensor((), dtype, so, zo + shift)]
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_input(dtype: str, profile: str) -> None:
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(71)
    for scales in SCALES:
        check(hard_swish(scales, 256, dtype), [every_byte(dtype)], numerics=profile)
    for _ in range(100 if profile == "reference" else 30):
        si = np.exp(rng.uniform(-18, 17))
        so = si * np.exp(rng.uniform(np.log(1 / 127), 9))
        scales = (si, rng.integers(-128, 128), so, rng.integers(-128, 128))
        check(hard_swish(scales, 256, dtype), [every_byte(dtype)], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(hard_swish((0.0627, 0, 0.03, -116), 256, "int8"), [every_byte("int8")])
    covers(y)


def test_float() -> None:
    x = random_values(np.random.default_rng(72), (20_003,), "float32", special=True)
    x[10_000:] = np.random.default_rng(73).uniform(-4, 4, 10_003)
    x[:6] = 0.0, -0.0, -3.0, 3.0, np.nan, np.inf
    page = run_page("hard_swish")["hard_swish_float"]
    for profile in PROFILES:
        if profile == "xnnpack":  # which takes subnormal numbers for zero
            x = np.where(np.abs(x) < 1e-30, np.copysign(np.float32(0), x), x)
        (y,) = check(hard_swish((None, 0, None, 0), x.size, "float32"), [x], numerics=profile)
        usual = np.abs(x) < 1e30
        with np.errstate(all="ignore"):
            formula = page(x, profile)
        assert_same_bits(formula[usual], y[usual], f"page hard_swish, {profile}")


@pytest.mark.parametrize("profile", PROFILES)
def test_float_tails(profile: str) -> None:
    """The optimized kernel multiplies in another order after its last whole vector of four."""
    rng = np.random.default_rng(74)
    for size in (1, 2, 3, 7, 18):
        samples = [[rng.uniform(-4, 4, size).astype(np.float32)] for _ in range(60)]
        check_samples(hard_swish((None, 0, None, 0), size, "float32"), samples, numerics=profile)


def test_the_page_computes_what_the_kernel_computes() -> None:
    formula = run_page("hard_swish")["hard_swish"]
    for scales in SCALES:
        (y,) = check(hard_swish(scales, 256, "int8"), [every_byte("int8")])
        assert_same_bits(formula(every_byte("int8"), *scales), y, f"page hard_swish, {scales}")


def test_refused() -> None:
    x = [np.zeros(4, np.int8)]
    model = hard_swish((1.0, 0, 1 / 128.5, 0), 4, "int8")
    with pytest.raises(UnsupportedOperatorError, match="less than 128"):
        run_ours(model, x)
    assert "output_multiplier_exponent" in refusal(model, x)
    with pytest.raises(UnsupportedOperatorError, match="positive"):
        run_ours(hard_swish((1.0, 0, 0.0, 0), 4, "int8"), x)
