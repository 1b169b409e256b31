"""L2_NORMALIZATION: rows of many lengths and sizes, zeros, floats."""

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
    refusal,
    run_ours,
    run_page,
    tensor,
)

SHAPES = [(3, 5), (2, 3, 4, 7), (1, 1), (300, 3), (2, 1001), (7,), (40, 16)]
OUTPUT = {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "float32": (None, 0)}


def normalize(shape: Any, dtype: str, zero_point: int = 0, output: Any = None) -> Model:
    x = tensor(shape, dtype, None if dtype == "float32" else 0.037, zero_point)
    return op_model("L2_NORMALIZATION", [x], [tensor((), dtype, *(output or OUTPUT[dtype]))], {}, version=2)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantized(dtype: str, profile: str) -> None:
    """Whole range, values around the zero point, and rows of zeros, for zero points at both ends."""
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(0)
    page = run_page("l2_normalization")["l2_normalization"]
    info = np.iinfo(dtype)
    seen = []
    for shape in SHAPES:
        for zero_point in (info.min, info.max, int(rng.integers(info.min, info.max))):
            near = np.clip(zero_point + rng.integers(-2, 3, shape), info.min, info.max).astype(dtype)
            for x in (random_values(rng, shape, dtype), near, np.full(shape, zero_point, dtype)):
                (y,) = check(normalize(shape, dtype, zero_point), [x], numerics=profile)
                assert_same_bits(page(x, zero_point), y, f"page l2_normalization, {shape} {zero_point}")
                seen.append(y.reshape(-1))
    assert (np.concatenate(seen) == info.max).any()


@pytest.mark.parametrize("profile", PROFILES)
def test_float(profile: str) -> None:
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        for size in (2.0, 1e-7, 0.0):
            x = rng.normal(0, 1, shape).astype(np.float32) * np.float32(size)
            check(normalize(shape, "float32"), [x], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    x = np.zeros((256, 2), np.int8)
    x[:, 0] = np.arange(-128, 128)
    x[:, 1] = np.arange(256) % 5 * 9
    (y,) = check(normalize(x.shape, "int8"), [x])
    covers(y, low=-128, high=127)


def test_the_example_of_the_page() -> None:
    (y,) = check(normalize((2,), "int8"), [np.array([3, 4], np.int8)])
    assert y.tolist() == [77, 102]


def test_refused() -> None:
    x = [np.ones((1, 4), np.int8)]
    model = normalize((1, 4), "int8", output=(1 / 127, 0))
    assert refusal(model, x)
    with pytest.raises(UnsupportedOperatorError, match="1/128"):
        run_ours(model, x)
    with pytest.raises(UnsupportedOperatorError, match="33025"):
        run_ours(normalize((1, 33026), "int8"), [np.ones((1, 33026), np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="dimensions"):
        run_ours(normalize((1, 1, 1, 1, 4), "int8"), [np.ones((1, 1, 1, 1, 4), np.int8)])
