"""GATHER_ND against TFLite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    assert_same_bits,
    check,
    const,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)


def gather_nd(shape: tuple[int, ...], indices: Any, dtype: str = "int8") -> Model:
    return op_model("GATHER_ND", [tensor(shape, dtype), indices], [tensor((), dtype)], version=3)


def draw_indices(
    rng: np.random.Generator, shape: tuple[int, ...], depth: int, count: tuple[int, ...]
) -> np.ndarray:
    columns = [rng.integers(0, shape[d], count) for d in range(depth)]
    return np.stack(columns, -1) if columns else np.zeros((*count, 0), np.int64)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"])
@pytest.mark.parametrize("index_dtype", ["int16", "int32", "int64"])
def test_every_dtype_and_depth(dtype: str, index_dtype: str) -> None:
    rng, page = np.random.default_rng(0), run_page("gather_nd")["gather_nd"]
    x = random_values(rng, (4, 5, 3, 2), dtype)
    for depth in range(5):
        indices = draw_indices(rng, x.shape, depth, (3, 2)).astype(index_dtype)
        (y,) = check(gather_nd(x.shape, tensor(indices.shape, index_dtype), dtype), [x, indices])
        assert_same_bits(page(x, indices), y, f"page gather_nd, {dtype} depth {depth}")


@pytest.mark.parametrize("count", [(), (1,), (7,), (2, 3, 4), (0,)])
def test_constant_indices(count: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x = random_values(rng, (3, 4, 5), "int16")
    indices = draw_indices(rng, x.shape, 2, count).astype(np.int32)
    check(gather_nd(x.shape, const(indices), "int16"), [x])


@pytest.mark.parametrize("profile", ["optimized", "xnnpack", "tflm"])
def test_profiles(profile: str) -> None:
    rng = np.random.default_rng(2)
    for dtype in ("int8", "float32"):
        x = random_values(rng, (6, 5, 4), dtype)
        indices = draw_indices(rng, x.shape, 2, (9,)).astype(np.int32)
        check(gather_nd(x.shape, tensor(indices.shape, "int32"), dtype), [x, indices], numerics=profile)


@pytest.mark.parametrize("index", [[0, 4], [3, 0], [-1, 0], [0, 2**31 - 1]])
def test_an_index_out_of_range_is_an_error(index: list[int]) -> None:
    indices = np.array([[0, 0], index], np.int32)
    with pytest.raises(UnsupportedOperatorError, match="outside"):
        Interpreter(gather_nd((3, 4), const(indices))).allocate_tensors()
    model = gather_nd((3, 4), tensor((2, 2), "int32"))
    if index != [0, 4]:  # which TFLite takes for [1, 0]
        assert refusal(model, [np.zeros((3, 4), np.int8), indices])
    with pytest.raises(KernelError, match="out of range"):
        run_ours(model, [np.zeros((3, 4), np.int8), indices])


@pytest.mark.parametrize(
    ("shape", "indices", "reason"),
    [((3, 4), (2, 3), "at most 2"), ((3, 4), (), "one dimension"), ((), (2, 1), "one dimension")],
)
def test_what_both_refuse(shape: tuple[int, ...], indices: tuple[int, ...], reason: str) -> None:
    model = gather_nd(shape, const(np.zeros(indices, np.int32)))
    assert refusal(model, [np.zeros(shape, np.int8)])
    with pytest.raises(UnsupportedOperatorError, match=reason):
        Interpreter(model).allocate_tensors()


def test_refused_index_dtype() -> None:
    with pytest.raises(UnsupportedOperatorError, match="int8"):
        Interpreter(gather_nd((3, 4), const(np.zeros((2, 1), np.int8)))).allocate_tensors()
