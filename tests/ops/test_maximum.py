"""MAXIMUM and MINIMUM: all dtypes, broadcasting, NaN, zeros of both signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_broadcasting(op: str, dtype: str) -> None:
    rng = np.random.default_rng(81)
    for shape1, shape2 in SHAPES:
        if shape1 == shape2 or max(len(shape1), len(shape2)) <= 5:
            data = [random_values(rng, shape, dtype) for shape in (shape1, shape2)]
            check(selection(op, shape1, shape2, dtype), data)


@pytest.mark.parametrize("op", OPS)
def test_every_pair_whatever_the_scales(op: str) -> None:
    """Stored values are compared; scales that differ are not looked at."""
    inputs = [tensor((65536,), "int8", 0.1, 3), tensor((65536,), "int8", 0.7, -5)]
    (y,) = check(op_model(op, inputs, [tensor((), "int8", 0.2, 9)], version=2), all_pairs("int8"))
    covers(y)


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
