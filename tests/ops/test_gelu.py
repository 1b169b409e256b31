"""ELU and GELU: every 8-bit and int16 input for many scales, ties, floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.differences import ulp_distance
from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    assert_same_bits,
    check,
    covers,
    every_byte,
    get_oracle,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

ELU_PROFILES = ("optimized", "xnnpack", "tflm")
GELU_PROFILES = ("reference", "optimized", "xnnpack")
# (scale, zero point) of input and output, for int8
SCALES = [
    (0.5, 0, 1.0, -20),  # ties
    (0.5, -100, 1.0, 3),
    (0.05, 3, 0.03, -100),
    (0.02, -128, 0.02, -128),
    (1e-6, 0, 1e-6, 5),
    (0.3, 127, 0.001, 40),
]


def model_of(op: str, scales: Any, dtype: str, count: int, **options: Any) -> Model:
    si, zi, so, zo = scales
    shift = 128 if dtype == "uint8" else 0
    x = tensor((count,), dtype, si, zi + shift)
    return op_model(op, [x], [tensor((), dtype, so, zo + shift)], options or None, version=1 + (op == "GELU"))


def drawn(rng: np.random.Generator, number: int) -> list[tuple[float, int, float, int]]:
    size = np.exp(rng.uniform(-7, 0.5, (number, 2)))
    zero = rng.integers(-128, 128, (number, 2))
    return [(float(a), int(za), float(b), int(zb)) for (a, b), (za, zb) in zip(size, zero, strict=True)]


@pytest.mark.parametrize("profile", ELU_PROFILES)
def test_every_input_of_elu(profile: str) -> None:
    page = run_page("elu")["elu"]
    x = every_byte("int8")
    for scales in SCALES + drawn(np.random.default_rng(0), 25):
        (y,) = check(model_of("ELU", scales, "int8", 256), [x], numerics=profile)
        assert_same_bits(page(x, *scales, profile), y, f"page elu, {scales} {profile}")


@pytest.mark.parametrize("profile", GELU_PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("approximate", [False, True])
def test_every_input_of_gelu(dtype: str, profile: str, approximate: bool) -> None:
    page = run_page("gelu")["gelu"]
    x, shift = every_byte(dtype), 128 if dtype == "uint8" else 0
    for scales in SCALES + drawn(np.random.default_rng(1), 12):
        model = model_of("GELU", scales, dtype, 256, approximate=approximate)
        (y,) = check(model, [x], numerics=profile)
        si, zi, so, zo = scales
        ours = page(x, si, zi + shift, so, zo + shift, approximate)
        assert_same_bits(ours, y, f"page gelu, {scales} {profile}")


@pytest.mark.parametrize("profile", GELU_PROFILES)
def test_every_int16_input_of_gelu(profile: str) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    for approximate in (False, True):
        for si, so in ((0.001, 0.001), (2.0**-12, 2.0**-12), (0.0003, 0.0002)):
            model = model_of("GELU", (si, 0, so, 0), "int16", x.size, approximate=approximate)
            check(model, [x], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    for op, profile in (("ELU", "optimized"), ("GELU", "reference")):
        scales = (0.03, 0, 0.012, -57) if op == "ELU" else (0.03, 0, 0.012, -116)
        (y,) = check(model_of(op, scales, "int8", 256), [every_byte("int8")], numerics=profile)
        covers(y, low=int(y.min()), high=127)


def test_the_ties_of_the_pages() -> None:
    five = np.array([5], np.int8)
    for profile, expected in zip(ELU_PROFILES, (-17, -18, -17), strict=True):
        (y,) = check(model_of("ELU", (0.5, 0, 1.0, -20), "int8", 1), [five], numerics=profile)
        assert y.tolist() == [expected]
    (y,) = check(model_of("GELU", (0.5, 0, 1.0, 0), "int8", 2), [np.array([41, 43], np.int8)])
    assert y.tolist() == [21, 22]


def test_float() -> None:
    """Where the bits are defined, with NaN and infinities; elsewhere usual numbers in ULPs of the largest."""
    rng = np.random.default_rng(2)
    special = random_values(rng, (1003,), "float32", special=True)
    x = np.concatenate([special, rng.normal(0, 3, 4000).astype(np.float32)])
    usual = rng.normal(0, 3, 4000).astype(np.float32)
    for op, profile, options, exact in (
        ("ELU", "optimized", {}, True),
        ("ELU", "tflm", {}, True),
        ("ELU", "xnnpack", {}, False),
        ("GELU", "reference", {"approximate": True}, True),
        ("GELU", "optimized", {"approximate": True}, True),
        ("GELU", "xnnpack", {"approximate": True}, False),
        ("GELU", "reference", {"approximate": False}, False),
        ("GELU", "optimized", {"approximate": False}, False),
        ("GELU", "xnnpack", {"approximate": False}, False),
    ):
        values = x if exact else usual
        model = op_model(op, [tensor(values.shape, "float32")], [tensor((), "float32")], options or None)
        if exact:
            check(model, [values], numerics=profile)
            continue
        (theirs,) = get_oracle(profile).run(with_shapes(model, [values]), [values])
        (ours,) = run_ours(model, [values], profile)
        assert np.abs(ours - theirs).max() <= 16 * np.spacing(np.float32(8.0)), f"{op} {profile} {options}"
        above = values > 0.1
        assert ulp_distance(ours[above], theirs[above]).max() <= 32


def test_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="expected 0"):
        run_ours(model_of("GELU", (0.1, 1, 0.1, 0), "int16", 4), [np.zeros(4, np.int16)])
    with pytest.raises(UnsupportedOperatorError, match="no confirmed rule"):
        run_ours(model_of("GELU", (0.1, 1, 0.1, 0), "int8", 4), [np.zeros(4, np.int8)], "tflm")
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model_of("ELU", (0.1, 1, 0.1, 0), "uint8", 4), [np.zeros(4, np.uint8)])
