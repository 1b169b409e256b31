"""The expected rates of mismatches against simulation, with the rules written down once more."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from quantcore.numerics import Rule
from quantcore.verification.rates import Store, expected_mismatches

COUNT = 400_000


def high_multiply(x: np.ndarray, m: np.ndarray) -> np.ndarray:
    return (x * m + 2**30) >> 31


def requantize(rounding: str, x: np.ndarray, multiplier: np.ndarray, r: int) -> np.ndarray:
    """int64 accumulators below 2**31 by each rule; multipliers in [2**-(r + 1), 2**-r)."""
    m = np.rint(multiplier * 2.0 ** (31 + r)).astype(np.int64)
    if rounding == "float32":
        return np.rint(x.astype(np.float32) * multiplier.astype(np.float32)).astype(np.int64)
    if rounding == "float64":
        v = x * multiplier
        return (np.sign(v) * np.floor(np.abs(v) + 0.5)).astype(np.int64)
    if rounding == "single_rounding":
        return (x * m + 2 ** (30 + r)) >> (31 + r)
    if rounding == "int16_multiplier":
        return (x * ((m + 2**15) >> 16) + 2 ** (14 + r)) >> (15 + r)
    h = high_multiply(x, m)
    if r == 0:
        return h
    if rounding == "ruy":
        return (h + 2 ** (r - 1)) >> r
    assert rounding == "double_rounding"
    return np.sign(h) * ((np.abs(h) + 2 ** (r - 1)) >> r)


ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64", "int16_multiplier")


def simulate(a: str, b: str, shift: int) -> tuple[int, float]:
    """Return (mismatches, expected) of outputs that fill int8 and saturate, each with its own multiplier.

    With one multiplier for all, a small shift leaves too few distinct accumulators for a statistic.
    """
    rng = np.random.default_rng([ROUNDINGS.index(a), ROUNDINGS.index(b), shift])
    multiplier = rng.uniform(0.5, 1, COUNT) * 2.0**-shift
    x = np.rint(rng.normal(-10, 60, COUNT) / multiplier).astype(np.int64)
    results = [np.clip(requantize(rule, x, multiplier, shift) + 3, -128, 127) for rule in (a, b)]
    stores = [Store(Rule(rule), multiplier) for rule in (a, b)]
    expected = expected_mismatches(*stores, results[0], zero_point=3, low=-128, high=127)
    return int((results[0] != results[1]).sum()), expected


@pytest.mark.parametrize("shift", [0, 1, 3, 6, 9, 14])
@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(ROUNDINGS, 2)))
def test_rates_agree_with_simulation(a: str, b: str, shift: int) -> None:
    """Within five standard deviations, and 3 % for what the formulas neglect."""
    measured, expected = simulate(a, b, shift)
    assert abs(measured - expected) <= 5 * math.sqrt(expected + 1) + 0.03 * expected, (measured, expected)


@pytest.mark.parametrize("shift", [2, 5, 8])
def test_two_roundings_against_one(shift: int) -> None:
    """The rule of thumb itself: one output in 2**(r + 1) that is not saturated, for either sign."""
    for a, b in itertools.product(("double_rounding", "ruy"), ("single_rounding", "float32", "float64")):
        found, expected = simulate(a, b, shift)
        assert expected / COUNT == pytest.approx(2.0 ** -(shift + 1), rel=0.06)  # 5 % are saturated
        assert found / COUNT == pytest.approx(2.0 ** -(shift + 1), rel=0.15)


def test_half_up_differs_from_half_away_on_negative_ties_only() -> None:
    store = [Store(Rule(name), np.array([0.75 / 16])) for name in ("double_rounding", "ruy")]
    y = np.array([-128, -60, -1, 0, 1, 60, 127], np.int8)
    assert expected_mismatches(*store, y, zero_point=0, low=-128, high=127) == 2 / 16
    assert expected_mismatches(*store, y, zero_point=-128, low=-128, high=127) == 0
    assert expected_mismatches(*store, y, zero_point=-1, low=-100, high=50) == 1 / 16


def test_body_and_tail() -> None:
    reference = Store(Rule("double_rounding"), np.array([0.75 / 16]))
    y = np.full((2, 10), -5, np.int8)
    for by_channel, tail in ((True, 2 * 2), (False, 4)):
        vector = Store(Rule("ruy", block=8), np.array([0.75 / 16]), by_channel)
        expected = expected_mismatches(reference, vector, y, zero_point=0, low=-128, high=127)
        assert expected == (20 - tail) / 16


def test_each_channel_has_its_own_shift() -> None:
    stores = [Store(Rule(name), np.array([0.75, 0.75 / 4, 0.75 / 64])) for name in ("ruy", "float64")]
    y = np.zeros((5, 3), np.int8)
    expected = expected_mismatches(*stores, y, zero_point=0, low=-128, high=127)
    assert expected == pytest.approx(5 * (0 + 1 / 8 + 1 / 128), rel=1e-6)


def test_another_product_moves_large_outputs() -> None:
    a, b = (Store(Rule("float64"), np.array([m])) for m in (0.5, 0.5 * (1 + 1e-4)))
    y = np.array([0, 50, -100], np.int8)
    expected = expected_mismatches(a, b, y, zero_point=0, low=-128, high=127)
    assert expected == pytest.approx(150e-4, rel=1e-3)


def test_the_same_rule_never_differs() -> None:
    store = Store(Rule("ruy", block=8), np.array([0.3]))
    assert expected_mismatches(store, store, np.zeros((1, 9), np.int8), zero_point=0, low=-128, high=127) == 0
