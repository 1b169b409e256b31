"""PRELU: every pair of 8-bit values, slopes of many shapes, floats."""

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
    const,
    covers,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

SHAPES: list[tuple[Any, Any]] = [
    ((2, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (1, 1, 5)),
    ((2, 3, 4, 5), (3, 4, 5)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((3, 7), (3, 7)),
    ((1, 4, 4, 3), (1,)),
    ((6,), (6,)),
]
# scales of input, alpha and output; zero points relative to int8
SETS = [
    ((0.25, 1.0, 1.0), (0, 0, 0)),  # ties
    ((0.5, 0.25, 1.0), (-7, 3, 5)),
    ((0.05, 0.013, 0.047), (127, -128, -128)),
    ((0.02, 0.3, 0.011), (-3, 100, 20)),
    ((0.7, 0.002, 0.9), (5, -20, 0)),
    ((1.0, 0.5, 0.25), (20, 127, 127)),
]


def prelu(shape: Any, alpha: Any, dtype: str, parameters: Any, *, constant: bool = True) -> Model:
    """`alpha`: the slopes."""
    scales, zeros = parameters
    shift = 128 if dtype == "uint8" else 0
    x, a, y = ((s, z + shift) for s, z in zip(scales, zeros, strict=True))
    if dtype == "float32":
        x = a = y = (None, 0)
    slopes = const(alpha, *a) if constant else tensor(alpha.shape, dtype, *a)
    return op_model("PRELU", [tensor(shape, dtype, *x), slopes], [tensor((), dtype, *y)])


def skip_unless_known(dtype: str, profile: str) -> None:
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_pair(dtype: str, profile: str) -> None:
    skip_unless_known(dtype, profile)
    page = run_page("prelu")["prelu"]
    every = np.arange(256, dtype=np.uint8).view(dtype)
    x = np.repeat(every, 256).reshape(256, 256)
    shift = 128 if dtype == "uint8" else 0
    seen = []
    for scales, zeros in SETS:
        (y,) = check(prelu(x.shape, every, dtype, (scales, zeros)), [x], numerics=profile)
        ours = page(x, every, scales, [z + shift for z in zeros], profile)
        assert_same_bits(ours, y, f"page prelu, {scales} {profile}")
        seen.append(y)
    covers(np.concatenate(seen))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_shapes(dtype: str, profile: str) -> None:
    skip_unless_known(dtype, profile)
    rng = np.random.default_rng(1)
    for number, (shape, alpha_shape) in enumerate(SHAPES):
        x, alpha = random_values(rng, shape, dtype), random_values(rng, alpha_shape, dtype)
        if dtype == "float32":
            x.reshape(-1)[:3] = 0.0, -0.0, np.nan
            if profile == "xnnpack":  # which takes subnormal numbers for zero
                x = np.where(np.abs(x) < 1e-30, np.copysign(np.float32(0), x), x)
                alpha = np.where(np.abs(alpha) < 1e-30, np.float32(0.1), alpha)
        for constant in (True, False):
            model = prelu(shape, alpha, dtype, SETS[number % len(SETS)], constant=constant)
            check(model, [x] if constant else [x, alpha], numerics=profile)


def test_the_tie_of_the_page() -> None:
    x, one = np.array([-2, 2], np.int8), np.array([1, 1], np.int8)
    (y,) = check(prelu((2,), one, "int8", SETS[0]), [x])
    assert y.tolist() == [-1, 1]


def test_refused() -> None:
    x = np.zeros((2, 3), np.int8)
    with pytest.raises(UnsupportedOperatorError, match="do not broadcast"):
        run_ours(prelu((2, 3), np.ones((4, 2, 3), np.int8), "int8", SETS[0]), [x])
    with pytest.raises(UnsupportedOperatorError, match="do not broadcast"):
        run_ours(prelu((2, 3), np.ones(2, np.int8), "int8", SETS[0]), [x])
    with pytest.raises(UnsupportedOperatorError, match="positive"):
        run_ours(prelu((2, 3), np.ones(3, np.int8), "int8", ((0.1, 0.0, 0.1), (0, 0, 0))), [x])
    with pytest.raises(UnsupportedOperatorError, match="limit is 4"):
        run_ours(
            prelu((1, 1, 1, 2, 3), np.ones(3, np.int8), "int8", SETS[0]), [np.zeros((1, 1, 1, 2, 3), np.int8)]
        )
