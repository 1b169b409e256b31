"""MUL on quantized types: every pair of inputs for many scales. Broadcasting and plain types: test_add.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.numerics import get_profile
from quantcore.ops.elementwise import mul_multipliers
from quantcore.runtime.lowering import build_node
from tests.ops.harness import assert_same_bits, check, covers, run_ours, run_page
from tests.ops.test_add import ACTIVATIONS, all_pairs, binary

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


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("scales", SCALES)
def test_every_pair(scales: tuple[Any, ...], dtype: str) -> None:
    check(binary("MUL", scales, (65536,), (65536,), dtype), all_pairs(dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_pair_for_random_scales(dtype: str) -> None:
    rng = np.random.default_rng(12)
    for _ in range(25):
        s1, s2, so = np.exp(rng.uniform(-7, 2, 3)).astype(np.float32)
        scales = (s1, rng.integers(-128, 128), s2, rng.integers(-128, 128), so, rng.integers(-128, 128))
        activation = ACTIVATIONS[rng.integers(4)]
        check(
            binary("MUL", scales, (65536,), (65536,), dtype, fused_activation_function=activation),
            all_pairs(dtype),
        )


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


def test_the_page_computes_what_the_kernel_computes() -> None:
    formula = run_page("mul")["mul"]
    for scales in SCALES:
        (y,) = check(binary("MUL", scales, (65536,), (65536,)), all_pairs("int8"))
        assert_same_bits(formula(*all_pairs("int8"), *scales), y, f"page mul, {scales}")


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ((1e20, 0, 1e20, 0, 1.0, 0), "multiplier"),  # overflows float32
        ((1e10, 0, 1e5, 0, 1e-3, 0), "multiplier"),  # a shift beyond 31, on which backends disagree
        ((1.0, 0, 1.0, 0, 0.0, 0), "positive"),
    ],
)
def test_refused_scales(scales: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(binary("MUL", scales, (4,), (4,)), [np.zeros(4, np.int8)] * 2)
