"""SQUARED_DIFFERENCE: every pair of int8 values for many scales, floats, integers, broadcasting."""

from __future__ import annotations

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    covers,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)
from tests.ops.test_add import all_pairs, binary

OP = "SQUARED_DIFFERENCE"
SCALES = [
    (0.5, 0, 0.5, 0, 0.5, 0),  # ties
    (6 / 64, 0, 11 / 64, 1, 6 / 64, 0),
    (0.0123, -17, 0.0456, 101, 0.031, -60),
    (1e-4, 0, 0.1, 12, 0.5, -3),  # the first input nearly vanishes
    (0.02, -128, 0.02, 127, 0.1, -128),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_pair(profile: str) -> None:
    formula, rng = run_page("squared_difference")["squared_difference"], np.random.default_rng(0)
    random = []
    for _ in range(8):
        s1, s2 = np.exp(rng.uniform(-5, 0, 2))
        z1, z2, z = (int(v) for v in rng.integers(-128, 128, 3))
        random.append((s1, z1, s2, z2, max(s1, s2) ** 2 * np.exp(rng.uniform(0, 6)), z))
    for scales in SCALES + random:
        (y,) = check(binary(OP, scales, (65536,), (65536,)), all_pairs("int8"), numerics=profile)
        assert_same_bits(formula(*all_pairs("int8"), *scales), y, f"page squared_difference, {scales}")


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(binary(OP, SCALES[4], (65536,), (65536,)), all_pairs("int8"))
    covers(y)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "float32", "int32"])
def test_broadcasting(dtype: str, profile: str) -> None:
    rng = np.random.default_rng(1)
    for shapes in (
        ((9, 57), (9, 57)),
        ((9, 57), (57,)),
        ((9, 1), (57,)),
        ((), (3, 2)),
        ((2, 1, 3, 1), (4, 1, 5)),
    ):
        data = [
            random_values(rng, s, dtype, **({"special": True} if dtype == "float32" else {})) for s in shapes
        ]
        if dtype == "float32" and shapes[0] == (9, 57):
            data[0][:3], data[1][..., :20] = rng.uniform(-3e-19, 3e-19, (3, 57)), 0
            data[0][3, :20] = rng.uniform(-3e-38, 3e-38, 20)
        scales = SCALES[2] if dtype == "int8" else (None, 0) * 3
        check(binary(OP, scales, *shapes, dtype), data, numerics=profile)


def test_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="too small"):
        run_ours(binary(OP, (1.0, 0, 1.0, 0, 1e-4, 0), (4,), (4,)), [np.zeros(4, np.int8)] * 2)
    model = op_model(OP, [tensor((2,), "uint8", 0.1), tensor((2,), "uint8", 0.1)], [tensor((), "uint8", 0.1)])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model, [np.zeros(2, np.uint8)] * 2)
