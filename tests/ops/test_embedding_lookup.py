"""EMBEDDING_LOOKUP: copies, tables of 8 and 4 bits to float32, indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    const,
    op_model,
    packed,
    random_scale,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

SHAPES: list[tuple[int, ...]] = [(5, 1), (7, 8), (4, 3, 5), (6, 2, 2, 3)]


def lookup(indices: Tensor, table: Tensor, dtype: str) -> Model:
    return op_model("EMBEDDING_LOOKUP", [indices, table], [tensor((), dtype)], version=4)


def random_indices(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.append(rng.permutation(rows), [0, rows - 1]).astype(np.int32)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16", "int32", "int64"])
def test_copies(dtype: str, profile: str) -> None:
    if profile == "tflm" and dtype not in ("float32", "int8"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(0)
    page = run_page("embedding_lookup")
    for shape in SHAPES:
        table, indices = random_values(rng, shape, dtype), random_indices(rng, shape[0])
        (y,) = check(lookup(tensor(indices.shape, "int32"), const(table), dtype), [indices], numerics=profile)
        assert_same_bits(page["embedding_lookup"](indices, table), y)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("per_row", [False, True])
def test_int8_to_float32(per_row: bool, profile: str) -> None:
    if profile == "tflm" and per_row:
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(1)
    page = run_page("embedding_lookup")
    for shape in SHAPES:
        table, indices = random_values(rng, shape, "int8"), random_indices(rng, shape[0])
        scales = random_scale(rng, size=shape[0] if per_row else None)
        model = lookup(tensor(indices.shape, "int32"), const(table, scales), "float32")
        (y,) = check(model, [indices], numerics=profile)
        assert_same_bits(page["embedding_lookup"](indices, table, scales), y)


@pytest.mark.parametrize("profile", TFLITE)
@pytest.mark.parametrize("per_row", [False, True])
def test_int4_to_float32(per_row: bool, profile: str) -> None:
    """With an odd number of columns odd rows start at the byte that they share with the row before."""
    rng = np.random.default_rng(2)
    page = run_page("embedding_lookup")
    for shape in SHAPES:
        data = packed(random_values(rng, shape, "int8", low=-8, high=7))
        indices = random_indices(rng, shape[0])
        scales = random_scale(rng, size=shape[0] if per_row else None)
        table = tensor(shape, "int4", scales, data=data)
        model = lookup(tensor(indices.shape, "int32"), table, "float32")
        (y,) = check(model, [indices], numerics=profile)
        assert_same_bits(page["embedding_lookup"](indices, page["unpacked"](data, shape), scales), y)


def test_indices_out_of_range() -> None:
    table = const(np.ones((3, 2), np.int8), 0.5)
    for index in (-1, 3):
        indices = np.array([0, index], np.int32)
        for dtype in ("int8", "float32"):
            model = lookup(tensor((2,), "int32"), table, dtype)
            assert refusal(model, [indices])
            with pytest.raises(KernelError):
                run_ours(model, [indices])
            with pytest.raises(UnsupportedOperatorError, match="rows of the table"):
                run_ours(lookup(const(indices), table, dtype), [])


ROWS = np.ones((3, 2), np.int8)


@pytest.mark.parametrize(
    ("indices", "table", "dtype", "both"),
    [
        (tensor((2,), "int64"), const(ROWS, 0.5), "float32", True),
        (tensor((2, 1), "int32"), const(ROWS, 0.5), "float32", True),
        (tensor((2,), "int32"), const(ROWS[0], 0.5), "float32", True),
        (tensor((2,), "int32"), const(ROWS, 0.5, 3), "float32", True),
        (tensor((2,), "int32"), const(ROWS, [0.5, 0.25]), "float32", True),
        (tensor((2,), "int32"), const(ROWS, [0.5, 0.25], axis=1), "float32", True),
        (tensor((2,), "int32"), const(ROWS), "float32", False),
        (tensor((2,), "int32"), const(ROWS, 0.5), "int16", False),
        (tensor((2,), "int32"), const(ROWS.astype(np.uint8), 0.5), "float32", False),
        (tensor((2,), "int32"), tensor((3, 2), "int4", 0.5), "float32", False),
    ],
)
def test_refused(indices: Tensor, table: Tensor, dtype: str, both: bool) -> None:
    model = lookup(indices, table, dtype)
    given = [model.subgraphs[0].tensors[t] for t in model.subgraphs[0].inputs]
    inputs: list[Any] = [np.zeros(t.shape, t.dtype.replace("int4", "int8")) for t in given]
    if both:
        assert refusal(model, inputs)
    with pytest.raises(UnsupportedOperatorError):
        run_ours(model, inputs)
