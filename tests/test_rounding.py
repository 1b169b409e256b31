"""Rounding half away from zero, beside its definition in a wider type."""

from __future__ import annotations

import numpy as np

from quantcore.rounding import round_half_away


def test_round_half_away() -> None:
    halves = np.arange(-300, 301, dtype=np.float32) / 2
    large = np.float32(2) ** np.arange(20, 26, dtype=np.float32)
    near = [np.nextafter(x, np.float32(to)) for x in (halves, large) for to in (-np.inf, np.inf)]
    x = np.concatenate([halves, large, -large, *near])
    wide = x.astype(np.float64)
    expected = (np.sign(wide) * np.floor(np.abs(wide) + 0.5)).astype(np.float32)
    np.testing.assert_array_equal(round_half_away(x), expected)
    np.testing.assert_array_equal(round_half_away(wide), expected)


def test_round_half_away_keeps_what_is_no_number() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0, -0.25], np.float32)
    found = round_half_away(x)
    np.testing.assert_array_equal(found, np.array([np.nan, np.inf, -np.inf, 0, 0], np.float32))
    np.testing.assert_array_equal(np.signbit(found[1:]), [False, True, True, True])
