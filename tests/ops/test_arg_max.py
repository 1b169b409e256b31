"""ARG_MAX and ARG_MIN: every axis, dtype and index width; ties; NaN where TFLite defines it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    assert_same_bits,
    check,
    const,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

OPS = ("ARG_MAX", "ARG_MIN")
DTYPES = ("int8", "uint8", "int32", "float32", "bool")


def arg_extreme(op: str, shape: tuple[int, ...], dtype: str, axis: Any, output: str = "int32") -> Model:
    given = axis if axis is None or hasattr(axis, "dtype") else const(np.array(axis, np.int32))
    return op_model(op, [tensor(shape, dtype), given], [tensor((), output)], {"output_type": output.upper()})


def with_ties(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return rng.integers(0, 2 if dtype == "bool" else 6, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_axes(op: str, dtype: str) -> None:
    rng, page = np.random.default_rng(0), run_page("arg_max")[op.lower()]
    for shape in ((37,), (3, 41), (2, 5, 3), (2, 1, 4, 3), (2, 9, 19)):
        for axis in range(-len(shape), len(shape)):
            for x in (random_values(rng, shape, dtype), with_ties(rng, shape, dtype)):
                output = "int64" if axis < 0 else "int32"
                (y,) = check(arg_extreme(op, shape, dtype, axis, output), [x])
                assert_same_bits(page(x, axis, output), y, f"page arg_max, {op} {dtype} {shape} axis {axis}")


@pytest.mark.parametrize("profile", ["optimized", "xnnpack", "tflm"])
@pytest.mark.parametrize("op", OPS)
def test_profiles(op: str, profile: str) -> None:
    rng = np.random.default_rng(1)
    for dtype in ("int8", "float32"):
        for axis in (0, 1, 2):
            x = with_ties(rng, (3, 67, 5), dtype)
            check(arg_extreme(op, x.shape, dtype, axis), [x], numerics=profile)
    # The optimized kernels compare rows by vectors of 4 floats or 16 bytes.
    for dtype in ("int8", "float32") if profile == "tflm" else ("int8", "uint8", "int32", "float32"):
        for width in (1, 3, 4, 5, 15, 16, 17, 33, 1001):
            for x in (random_values(rng, (9, width), dtype), with_ties(rng, (9, width), dtype)):
                check(arg_extreme(op, x.shape, dtype, 1), [x], numerics=profile)


@pytest.mark.parametrize("op", OPS)
def test_the_first_of_equals(op: str) -> None:
    """Vectorised searches of the oracle too, and zeros of both signs are equal."""
    for dtype in ("int8", "uint8", "float32"):
        for count in (1, 15, 16, 17, 64, 100):
            (y,) = check(arg_extreme(op, (2, count), dtype, 1), [np.full((2, count), 7, dtype)])
            assert not y.any()
    zeros = np.array([[0.0, -0.0, 0.0], [-0.0, 0.0, -0.0]], np.float32)
    check(arg_extreme(op, zeros.shape, "float32", 1), [zeros])


def test_a_known_axis_computed_from_shapes() -> None:
    model = arg_extreme("ARG_MAX", (2, 3), "int8", const(np.array([1], np.int64)))
    check(model, [np.array([[1, 2, 0], [5, 4, 4]], np.int8)])


@pytest.mark.parametrize(
    ("shape", "dtype", "axis", "output", "reason"),
    [
        ((2, 3), "int8", 2, "int32", "axis is 2"),
        ((2, 3), "int8", -3, "int32", "axis is -3"),
        ((2, 3), "int16", 0, "int32", "int16"),
        ((2, 3), "int8", 0, "int8", "int32, int64"),
        ((2, 0), "int8", 1, "int32", "empty"),
        ((), "int8", 0, "int32", "axis"),
    ],
)
def test_refused(shape: tuple[int, ...], dtype: str, axis: int, output: str, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(arg_extreme("ARG_MAX", shape, dtype, axis, output), [np.zeros(shape, dtype)])
