"""Comparing arrays: the judge must itself be right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantcore.differences import difference, differing, ulp_distance

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_differ_by_bits_but_nan_equals_nan(dtype: str) -> None:
    a = np.array([0.0, NAN, NAN, INF, 1.0, -0.0], dtype)
    b = np.array([-0.0, -NAN, 1.0, INF, 1.0, -0.0], dtype)
    assert differing(a, b).tolist() == [True, False, True, False, False, False]


def test_complex_parts_are_compared_separately() -> None:
    a = np.array([complex(1, 0.0), complex(NAN, 1), complex(1, 2)], np.complex64)
    b = np.array([complex(1, -0.0), complex(NAN, 1), complex(2, 2)], np.complex64)
    assert differing(a, b).tolist() == [True, False, True]
    assert difference(a, b).max_abs_diff == 1.0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_largest_integer_difference_is_exact(dtype: str) -> None:
    info = np.iinfo(dtype)
    a = np.array([info.min, 0, info.max], dtype)
    b = np.array([info.max, 0, info.min], dtype)
    found = difference(a, b)
    assert (found.elements, found.mismatches) == (3, 2)
    assert found.max_abs_diff == int(info.max) - int(info.min)
    assert found.max_ulp is None
    assert found.first_index == (0,)
    assert found.first_values == (info.min, info.max)


def test_the_first_mismatch_in_c_order() -> None:
    a, b = np.zeros((2, 3, 4), np.int8), np.zeros((2, 3, 4), np.int8)
    b[1, 0, 2], b[0, 2, 1] = 5, -7
    found = difference(a, b.copy(order="F"))
    assert (found.first_index, found.first_values, found.max_abs_diff) == ((0, 2, 1), (0, -7), 7)


def test_nothing_differs() -> None:
    for x in (np.zeros((0, 3), np.float32), np.array(2.5), np.array([True]), np.arange(5, dtype=np.uint8)):
        found = difference(x, x.copy())
        assert (found.elements, found.mismatches, found.max_abs_diff) == (x.size, 0, 0)
        assert found.first_index is None


def test_a_nan_against_a_number_has_no_finite_difference() -> None:
    found = difference(np.array([NAN, 1.0]), np.array([3.0, 1.5]))
    assert (found.mismatches, found.max_abs_diff, found.max_ulp) == (2, INF, None)
    assert difference(np.array([True, False]), np.array([False, False])).max_abs_diff == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ulps_of_known_pairs(dtype: str) -> None:
    kind = np.dtype(dtype).type
    tiny, one = np.finfo(dtype).smallest_subnormal, kind(1)
    a = np.array([0.0, tiny, one, one], dtype)
    b = np.array([-0.0, -tiny, np.nextafter(one, kind(2)), np.nextafter(one, kind(0))], dtype)
    assert ulp_distance(a, b).tolist() == [1, 3, 1, 1]
    huge = np.finfo(dtype).max
    assert ulp_distance(np.array([huge]), np.array([kind(INF)])).tolist() == [1]


@given(st.floats(0, 2.0**120, width=32), st.integers(0, 40))
def test_ulps_count_steps(start: float, steps: int) -> None:
    x = y = np.float32(start)
    for _ in range(steps):
        y = np.nextafter(y, np.float32(INF))
    for sign in (np.float32(1), np.float32(-1)):
        assert ulp_distance(np.array([x * sign]), np.array([y * sign])).tolist() == [steps]
