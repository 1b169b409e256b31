"""The public functions pad and transpose."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError
from tests.ops.harness import assert_same_bits, random_values


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_pad(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 6)))
        paddings = np.where(rng.random((len(shape), 2)) < 0.4, 0, rng.integers(0, 4, (len(shape), 2)))
        x, value = random_values(rng, shape, dtype), int(random_values(rng, (), dtype))
        y = qc.kernels.pad(x, paddings, pad_value=value)
        assert_same_bits(y, np.pad(x, paddings, constant_values=value))
    assert qc.kernels.pad(np.array([3], dtype), [(1, 1)]).tolist() == [0, 3, 0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_transpose(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for rank in range(1, 6):
        x = random_values(rng, tuple(rng.integers(1, 6, rank)), dtype)
        for perm in itertools.permutations(range(rank)):
            y = qc.kernels.transpose(x, perm)
            assert y.flags.c_contiguous
            assert_same_bits(y, np.ascontiguousarray(np.transpose(x, perm)))
        assert_same_bits(qc.kernels.transpose(np.asfortranarray(x), range(rank)), x)


@pytest.mark.parametrize(
    ("call", "arguments", "reason"),
    [
        ("pad", (np.zeros(3, np.float32), [(0, 0)]), "dtype float32"),
        ("pad", (np.zeros(3, np.int8), [(0, -1)]), "a padding is -1"),
        ("pad", (np.zeros(3, np.int8), [(0, 1), (0, 1)]), "paddings"),
        ("pad", (np.zeros((3, 3), np.int8), [(0, 2**30), (0, 2**30)]), "more than"),
        ("pad", (np.zeros((), np.int8), np.zeros((0, 2), int)), "rank 1"),
        ("transpose", (np.zeros((2, 3), np.int8), (0, 0)), "each dimension once"),
        ("transpose", (np.zeros((2, 3), np.int8), (0, 2)), "each dimension once"),
        ("transpose", (np.zeros((2, 3), np.int32), (0, 1)), "dtype int32"),
    ],
)
def test_what_is_refused(call: str, arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(KernelError, match=reason):
        getattr(qc.kernels, call)(*arguments)


def test_a_pad_value_out_of_range_is_refused() -> None:
    for value in (-129, 128):
        with pytest.raises(KernelError, match="pad_value"):
            qc.kernels.pad(np.zeros(3, np.int8), [(1, 1)], pad_value=value)
