"""MAXIMUM and MINIMUM: all dtypes, broadcasting, NaN, zeros of both signs."""

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
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)
from tests.ops.test_add import SHAPES, all_pairs

OPS = ("MAXIMUM", "MINIMUM")
DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32")


def selection(op: str, shape1: Any, shape2: Any, dtype: str) -> Model:
    return op_model(op, [tensor(shape1, dtype), tensor(shape2, dtype)], [tensor((), dtype)], version=4)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", OPS)
def test_broadcasting(op: str, profile: str) -> None:
    rng = np.random.default_rng(81)
    for dtype in DTYPES:
        if (dtype, profile) == ("uint8", "tflm"):
            continue
        for shape1, shape2 in SHAPES:
            rank = max(len(shape1), len(shape2))
            if profile != "reference" and (0 in shape1 or (profile == "tflm" and rank > 4)):
                continue
            if shape1 == shape2 or rank <= 5:
                data = [random_values(rng, shape, dtype) for shape in (shape1, shape2)]
                check(selection(op, shape1, shape2, dtype), data, numerics=profile)


@pytest.mark.parametrize("op", OPS)
def test_every_pair_whatever_the_scales(op: str) -> None:
    """Stored values are compared; scales that differ are not looked at."""
    inputs = [tensor((65536,), "int8", 0.1, 3), tensor((65536,), "int8", 0.7, -5)]
    (y,) = check(op_model(op, inputs, [tensor((), "int8", 0.2, 9)], version=2), all_pairs("int8"))
    covers(y)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", OPS)
def test_which_input_wins(op: str, profile: str) -> None:
    """Zeros of both signs, NaN and subnormal numbers, in rows of every kind."""
    rng = np.random.default_rng(84)
    values = np.array([0.0, -0.0, np.nan, 1e-40, -1e-40, 1.0, -np.inf], np.float32)
    for shapes in (
        ((300,), (300,)),
        ((29, 57), (57,)),
        ((29, 1), (29, 57)),
        ((29, 57), (29, 1)),
        ((), (64,)),
    ):
        data = [rng.choice(values, shape) for shape in shapes]
        check(selection(op, *shapes, "float32"), [np.asarray(x, np.float32) for x in data], numerics=profile)


@pytest.mark.parametrize("op", OPS)
def test_special_floats(op: str) -> None:
    rng = np.random.default_rng(82)
    a, b = (random_values(rng, (1000,), "float32", special=True) for _ in range(2))
    a[:5] = np.nan, 1, np.nan, 0.0, -0.0
    b[:5] = 1, np.nan, np.nan, -0.0, 0.0
    check(selection(op, (1000,), (1000,), "float32"), [a, b])


@pytest.mark.parametrize("op", OPS)
def test_the_page_computes_what_the_kernel_computes(op: str) -> None:
    formula = run_page("maximum")[op.lower()]
    rng = np.random.default_rng(83)
    a, b = (random_values(rng, (1000,), "float32", special=True) for _ in range(2))
    (y,) = check(selection(op, (1000,), (1000,), "float32"), [a, b])
    assert_same_bits(formula(a, b), y, f"page maximum, {op}")


def test_refused() -> None:
    shape1, shape2 = (2,) * 6, (1, 2) * 3
    model = selection("MAXIMUM", shape1, shape2, "int8")
    with pytest.raises(UnsupportedOperatorError, match="limit is 5"):
        run_ours(model, [np.zeros(shape1, np.int8), np.zeros(shape2, np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(selection("MINIMUM", (2,), (2,), "bool"), [np.zeros(2, bool)] * 2)
