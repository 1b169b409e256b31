"""MUL on quantized types: every pair of inputs for many scales. Broadcasting and plain types: test_add.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.numerics import get_profile
from quantcore.ops.mul import mul_multipliers
from quantcore.ops.registry import build_node
from tests.ops.harness import PROFILES, assert_same_bits, check, covers, random_values, run_ours, run_page
from tests.ops.test_add import ACTIVATIONS, BYTES, all_pairs, binary

# (scale 1, zero point 1, scale 2, zero point 2, output scale, output zero point) relative to int8
SCALES = [
    (0.125, 0, 0.5, 0, 0.25, 0),  # multiplier 1/4: one product in four is a tie
    (2.0**-5, 127, 2.0**-3, -128, 2.0**-2, 17),  # 2^-6 and the largest differences
    (0.0123, -17, 0.0456, 101, 0.031, -60),
    (0.7, 3, 0.9, -4, 0.05, 0),  # multiplier above 1
    (1e4, 3, 1e4, -4, 1.0, 0),  # shifts the product out of 32 bits
    (1e-6, 3, 1e-6, -4, 1.0, 5),  # multiplier too small for a shift of 31: 0
    (1 / 3, 1, 1 / 7, 2, 1 / 11, 3),
]


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
def test_every_pair(profile: str, dtype: str) -> None:
    for scales in SCALES:
        check(binary("MUL", scales, (65536,), (65536,), dtype), all_pairs(dtype), numerics=profile)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
def test_every_pair_for_random_scales(profile: str, dtype: str) -> None:
    rng = np.random.default_rng(12)
    for number in range(8):
        s1, s2, so = np.exp(rng.uniform(-7, 2, 3)).astype(np.float32)
        scales = (s1, rng.integers(-128, 128), s2, rng.integers(-128, 128), so, rng.integers(-128, 128))
        options = {"fused_activation_function": ACTIVATIONS[number % 4]}
        check(binary("MUL", scales, (65536,), (65536,), dtype, **options), all_pairs(dtype), numerics=profile)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
def test_every_pair_in_rows(profile: str, dtype: str) -> None:
    """Rows in which one input is a single element; 249 columns leave a tail of any block."""
    every = all_pairs(dtype)[1][:256]
    for scales in (*SCALES[:4], (7.3, 3, 90.0, -4, 1.0, 5), (90.0, 3, 90.0, -4, 1.0, 5)):
        for shapes in (((256, 1), (1, 249)), ((1, 249), (256, 1))):
            data = [every[: max(shape)].reshape(shape) for shape in shapes]
            check(binary("MUL", scales, *shapes, dtype), data, numerics=profile)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
def test_shifts_beyond_31(profile: str, dtype: str) -> None:
    """Scalar code shifts by e mod 32, vector code shifts everything out."""
    every = all_pairs(dtype)[1][:256]
    for scales in (
        (1e10, 3, 1e5, -4, 1e-3, 5),
        (1.0, 3, 2.0**32, -4, 1.0, 5),
        (1e15, -128, 1e15, 7, 1.5e-7, -128),
    ):
        assert mul_shift(scales) > 31
        for shapes in (((249,), (249,)), ((256, 1), (1, 41)), ((1, 41), (256, 1))):
            data = [every[: max(shape)].reshape(shape) for shape in shapes]
            check(binary("MUL", scales, *shapes, dtype), data, numerics=profile)


def mul_shift(scales: tuple[Any, ...]) -> int:
    """Return the left shift of the multiplier that scales give."""
    return int(np.frexp(float(scales[0]) * float(scales[2]) / float(scales[4]))[1])


@pytest.mark.parametrize("multiplier", [2.0**-16, 2.0**8])
def test_the_limits_of_delegation(multiplier: float) -> None:
    """On both sides of each limit; zero points make products that tell the rules apart there."""
    for k in (np.float32(multiplier), np.nextafter(np.float32(multiplier), np.float32(0))):
        scales = (k, -128, 1.0, -128, 1.0, 5)
        check(binary("MUL", scales, (65536,), (65536,)), all_pairs("int8"), numerics="xnnpack")


@pytest.mark.parametrize("profile", PROFILES)
def test_int16(profile: str) -> None:
    rng = np.random.default_rng(13)
    triples = [
        (1e-4, 3e-5, 1.2e-4),
        (2.0**-15, 2.0**-15, 2.0**-15),
        (2.0**-9, 2.0**-6, 2.0**-5),
        (0.1, 0.3, 2e-4),
    ]
    for number, (s1, s2, so) in enumerate(triples):
        for shapes in (((20_005,), (20_005,)), ((57, 37), (37,)), ((57, 37), (57, 1))):
            options = {"fused_activation_function": ACTIVATIONS[number % 4]}
            model = binary("MUL", (s1, 0, s2, 0, so, 0), *shapes, "int16", **options)
            check(model, [random_values(rng, shape, "int16") for shape in shapes], numerics=profile)


def test_int16_is_symmetric() -> None:
    with pytest.raises(UnsupportedOperatorError, match="zero points"):
        run_ours(binary("MUL", (0.1, 1, 0.1, 0, 0.1, 0), (4,), (4,), "int16"), [np.zeros(4, np.int16)] * 2)


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(binary("MUL", SCALES[0], (65536,), (65536,)), all_pairs("int8"))
    covers(y)


def test_the_multiplier_is_a_float32_quotient() -> None:
    """These scales tell float32 from float64 arithmetic."""
    scales = (0.1, 0, 0.3, 0, 0.7, 0)
    model = binary("MUL", scales, (4,), (4,))
    node = build_node(model.subgraphs[0], 0, get_profile("reference"), {}, {})
    (real,) = mul_multipliers(node)["output"]
    s1, s2, s = (np.float32(v) for v in (0.1, 0.3, 0.7))
    assert real == np.float64((s1 * s2) / s)
    assert real != np.float64(s1) * np.float64(s2) / np.float64(s)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
def test_the_page_computes_what_the_kernel_computes(profile: str, dtype: str) -> None:
    formula, shift = run_page("mul")["mul"], 128 if dtype == "uint8" else 0
    for scales in SCALES[:4]:
        (y,) = check(binary("MUL", scales, (65536,), (65536,), dtype), all_pairs(dtype), numerics=profile)
        s1, z1, s2, z2, s, z = scales
        given = (s1, z1 + shift, s2, z2 + shift, s, z + shift)
        assert_same_bits(formula(*all_pairs(dtype), *given, profile), y, f"page mul, {profile} {scales}")


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ((1e20, 0, 1e20, 0, 1.0, 0), "multiplier"),  # overflows float32
        ((1.0, 0, 1.0, 0, 0.0, 0), "positive"),
    ],
)
def test_refused_scales(scales: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(binary("MUL", scales, (4,), (4,)), [np.zeros(4, np.int8)] * 2)
