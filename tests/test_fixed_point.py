"""The fixed-point primitives against the same formulas in Python's unbounded integers."""

import re
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore import fixed_point as fixed
from quantcore.errors import QuantizationError
from tests.ops.harness import REPOSITORY, run_page

INT32 = (-(2**31), 2**31 - 1)
POWERS = [sign * 2**k + d for k in range(32) for d in (-1, 0, 1) for sign in (-1, 1)]
EDGES = sorted({v for v in POWERS if INT32[0] <= v <= INT32[1]})


def wrap32(x):
    return (x + 2**31) % 2**32 - 2**31


def saturate32(x):
    return min(max(x, INT32[0]), INT32[1])


def high_mul(a, b):
    return saturate32((a * b + 2**30) >> 31)


def half_up(x, n):
    """x / 2**n to nearest, ties up."""
    return floor(Fraction(x, 2**n) + Fraction(1, 2))


def half_away(x, n):
    """x / 2**n to nearest, ties away from zero."""
    magnitude = floor(Fraction(abs(x), 2**n) + Fraction(1, 2))
    return -magnitude if x < 0 else magnitude


def double_rounding(x, m, s):
    return half_away(high_mul(wrap32(x << max(s, 0)), m), max(-s, 0))


def ruy(x, m, s):
    return half_up(high_mul(wrap32(x << max(s, 0)), m), max(-s, 0))


def single_rounding(x, m, s):
    return saturate32(half_up(x * m, 31 - s))


def int16_multiplier(x, m, s):
    reduced = (m + 2**15) >> 16 if m < 0x7FFF0000 else 0x7FFF
    return wrap32(half_up(x * reduced, 15 - s))


RULES = {"double_rounding": double_rounding, "ruy": ruy, "single_rounding": single_rounding}


def integers(rng, size, bits=32):
    """Integers of every magnitude, both signs."""
    magnitude = rng.integers(0, 2 ** rng.integers(1, bits, size), dtype=np.int64)
    return np.where(rng.random(size) < 0.5, -magnitude, magnitude)


def test_high_mul_on_all_pairs_of_edges():
    a, b = (v.reshape(-1) for v in np.meshgrid(EDGES, EDGES))
    got = fixed.saturating_rounding_doubling_high_mul(a, b)
    assert got.tolist() == [high_mul(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert got.dtype == np.int32


def test_high_mul_saturates_its_one_overflow():
    assert fixed.saturating_rounding_doubling_high_mul(-(2**31), -(2**31)) == 2**31 - 1


@pytest.mark.parametrize(
    ("name", "rule"), [("rounding_divide_by_pot", half_away), ("rounding_right_shift", half_up)]
)
def test_shifts_on_edges_ties_and_every_exponent(name, rule):
    function = getattr(fixed, name)
    for n in range(32):
        ties = [(2 * k + 1) * 2**n // 2 for k in range(-20, 20)]
        x = np.array(EDGES + [t for t in ties if INT32[0] <= t <= INT32[1]])
        assert function(x, n).tolist() == [saturate32(rule(int(v), n)) for v in x], n


def test_the_two_shifts_differ_on_negative_ties_only():
    x = np.arange(-64, 65)
    differ = fixed.rounding_divide_by_pot(x, 3) != fixed.rounding_right_shift(x, 3)
    assert x[differ].tolist() == [v for v in range(-64, 0) if v % 8 == 4]


@pytest.mark.parametrize("rounding", sorted(RULES))
def test_multiplication_on_random_values_and_every_shift(rounding):
    rng = np.random.default_rng(0)
    low, high = fixed.multiply_by_quantized_multiplier.__globals__["SHIFT_RANGE"][rounding]
    size = 20_000
    x = integers(rng, size)
    m = np.where(rng.random(size) < 0.02, 0, rng.integers(2**30, 2**31, size))
    m = np.where(rng.random(size) < 0.2, 2**30, m)  # powers of two make ties
    s = rng.integers(low, high + 1, size)
    got = fixed.multiply_by_quantized_multiplier(x, m, s, rounding)
    rule = RULES[rounding]
    expected = [rule(int(a), int(b), int(c)) for a, b, c in zip(x, m, s, strict=True)]
    assert got.tolist() == expected


@pytest.mark.parametrize("rounding", sorted(RULES))
def test_multiplication_on_edges(rounding):
    rule = RULES[rounding]
    for m in (0, 2**30, 2**30 + 1, 3 * 2**29, 2**31 - 1):
        for s in (-31, -30, -8, -1, 0, 1, 7, 30):
            got = fixed.multiply_by_quantized_multiplier(EDGES, m, s, rounding)
            assert got.tolist() == [rule(x, m, s) for x in EDGES], (m, s)


def test_int16_multiplier_takes_64_bit_accumulators():
    rng = np.random.default_rng(1)
    size = 20_000
    x = integers(rng, size, 47)
    m = np.where(
        rng.random(size) < 0.1, rng.integers(0x7FFE0000, 2**31, size), rng.integers(2**30, 2**31, size)
    )
    s = rng.integers(-31, 8, size)
    got = fixed.multiply_by_quantized_multiplier(x, m, s, "int16_multiplier")
    expected = [int16_multiplier(int(a), int(b), int(c)) for a, b, c in zip(x, m, s, strict=True)]
    assert got.tolist() == expected


def to_int32_like_x86(v):
    return int(v) if -(2**31) <= v < 2**31 else -(2**31)


def test_float64_products_round_half_away_from_zero():
    rng = np.random.default_rng(2)
    x = integers(rng, 20_000)
    real = np.where(rng.random(x.size) < 0.5, 2.0 ** rng.integers(-20, 3, x.size), rng.uniform(0, 2, x.size))
    got = fixed.multiply_by_real_multiplier(x, real)
    product = x.astype(np.float64) * real
    expected = [to_int32_like_x86(half_away(Fraction(p), 0)) for p in product.tolist()]
    assert got.tolist() == expected


def test_float32_products_round_half_to_even():
    rng = np.random.default_rng(3)
    x = integers(rng, 20_000, 30)
    real = np.where(rng.random(x.size) < 0.5, 2.0 ** rng.integers(-20, 1, x.size), rng.uniform(0, 1, x.size))
    got = fixed.multiply_by_real_multiplier(x, real, "float32")
    product = x.astype(np.float32) * real.astype(np.float32)
    assert got.tolist() == [round(Fraction(float(p))) for p in product]


def exact_multiplier(real):
    """quantize_multiplier in exact arithmetic."""
    if real == 0:
        return 0, 0
    value, shift = Fraction(real), 0
    while abs(value) >= 1:
        value, shift = value / 2, shift + 1
    while abs(value) < Fraction(1, 2):
        value, shift = value * 2, shift - 1
    multiplier = half_away(value * 2**31, 0)
    if abs(multiplier) == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


@settings(max_examples=400)
@given(
    st.floats(-(2.0**60), 2.0**60, allow_nan=False)
    | st.floats(0, 1e-6)
    | st.integers(-40, 40).map(lambda e: 2.0**e)
)
def test_quantize_multiplier_is_exact(real):
    got = fixed.quantize_multiplier(real)
    assert got == exact_multiplier(real)
    assert [type(v) for v in got] == [int, int]


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (-0.75, (-3 * 2**29, 0)),
        (np.nextafter(1.0, 0), (2**30, 1)),  # rounds up to 2**31, which is carried
        (2.0**-32, (2**30, -31)),
        (2.0**-33, (0, 0)),
        (0.0, (0, 0)),
    ],
)
def test_quantize_multiplier_at_its_limits(real, expected):
    assert fixed.quantize_multiplier(real) == expected


def test_quantize_multiplier_of_arrays():
    multiplier, shift = fixed.quantize_multiplier([[0.5, 3.0], [0.0, 1e-20]])
    assert multiplier.dtype == shift.dtype == np.int32
    assert multiplier.tolist() == [[2**30, 3 * 2**29], [0, 0]]
    assert shift.tolist() == [[0, 2], [0, 0]]
    assert fixed.quantize_multiplier(np.zeros(0))[0].shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, [1.0, np.nan]])
def test_quantize_multiplier_refuses_what_is_not_finite(bad):
    with pytest.raises(QuantizationError, match="finite"):
        fixed.quantize_multiplier(bad)


def test_primitives_broadcast_and_leave_their_arguments_alone():
    x = np.arange(12, dtype=np.int32).reshape(3, 4)
    x.flags.writeable = False
    m, s = fixed.quantize_multiplier([0.5, 1.0, 2.0, 4.0])
    got = fixed.multiply_by_quantized_multiplier(x[::-1], m, s)
    assert got.tolist() == [[4, 9, 20, 44], [2, 5, 12, 28], [0, 1, 4, 12]]
    assert fixed.rounding_right_shift(5, 1).shape == ()
    assert fixed.rounding_divide_by_pot(np.zeros((0, 3), np.int32), 1).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fixed.rounding_right_shift(1, 32), r"exponent is in \[32, 32\]"),
        (lambda: fixed.rounding_divide_by_pot(1, -1), "exponent"),
        (lambda: fixed.rounding_divide_by_pot(2**31, 1), "x is in"),
        (lambda: fixed.rounding_divide_by_pot(1.5, 1), "expected integers"),
        (lambda: fixed.multiply_by_quantized_multiplier(1, 2**30, 32), "shift"),
        (lambda: fixed.multiply_by_quantized_multiplier(1, 2**30, 31, "single_rounding"), "shift"),
        (lambda: fixed.multiply_by_quantized_multiplier(2**47, 2**30, 0, "int16_multiplier"), "x is in"),
        (lambda: fixed.multiply_by_quantized_multiplier(1, 1, 1, "up"), "expected one of double_rounding"),
        (lambda: fixed.multiply_by_real_multiplier(1, 1.0, "ruy"), "expected 'float64'"),
        (lambda: fixed.saturating_rounding_doubling_high_mul([1, 2], [1, 2, 3]), "do not broadcast"),
    ],
)
def test_what_the_primitives_refuse(call, words):
    with pytest.raises(QuantizationError, match=words):
        call()


def test_the_page_describes_the_rules():
    """The NumPy of docs/numerics/requantize.md, written from formulas, gives what the C functions give."""
    page = run_page("requantize")
    rng = np.random.default_rng(4)
    for _ in range(200):
        real = 2.0 ** rng.uniform(-31, 6)
        m, s = page["quantize_multiplier"](real)
        assert (m, s) == fixed.quantize_multiplier(real)
        x = integers(rng, 200, 24)
        for rounding in ("double_rounding", "ruy", "single_rounding", "int16_multiplier"):
            got = fixed.multiply_by_quantized_multiplier(x, m, s, rounding)
            assert got.tolist() == page[rounding](x, m, s).tolist(), rounding
        for rounding in ("float64", "float32"):
            got = fixed.multiply_by_real_multiplier(x, real, rounding)
            assert got.tolist() == page[rounding](x, real).tolist(), rounding


def test_the_table_of_the_page():
    page = run_page("requantize")
    text = (REPOSITORY / "docs/numerics/requantize.md").read_text()
    rows = re.findall(r"^\| (-?\d+) \| -?[\d.]+ \|(.*)\|$", text, re.MULTILINE)
    assert len(rows) == 6
    for acc, cells in rows:
        expected = [int(cell.strip(" *")) for cell in cells.split("|")]
        fixed = [
            int(page[rule](int(acc), 2**30, -2)) for rule in ("double_rounding", "ruy", "single_rounding")
        ]
        assert fixed + [int(page[rule](int(acc), 0.125)) for rule in ("float64", "float32")] == expected
