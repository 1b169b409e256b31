"""Entropy: the page's formula, and near the best of all candidates."""

import numpy as np
import pytest

from quantcore.calibration import Entropy
from quantcore.calibration.entropy import divergence, sums
from tests.calibration.distributions import candidates, distributions
from tests.calibration.test_trackers import seen
from tests.ops.harness import run_page

PAGE = run_page("../quantization/calibration")


@pytest.mark.parametrize(
    "name", ["normal", "relu", "heavy tails", "negative", "far from 0", "few values", "one value"]
)
def test_the_divergence_is_that_of_the_page(name):
    x = distributions()[name]
    tracker = seen(Entropy(), [x])
    counts, zero = sums(tracker._distributions()[0])
    whole = PAGE["histogram"](x)[1]
    whole = np.delete(whole, whole.size // 2)
    below, above = zero, counts.size - zero
    np.testing.assert_array_equal(counts, whole[whole.size // 2 - below : whole.size // 2 + above])
    rng = np.random.default_rng(2)
    i, j = rng.integers(0, below + 1, 40), rng.integers(0, above + 1, 40)
    i[0], j[0] = below, above
    found = divergence(counts, zero, 256, i, j)
    enough = i + j >= 256
    assert np.isinf(found[~enough]).all()
    expected = [
        PAGE["divergence"](counts, zero - a, zero + b) for a, b in zip(i[enough], j[enough], strict=True)
    ]
    np.testing.assert_allclose(found[enough], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", distributions())
def test_near_the_best_of_all_candidates(name):
    x = distributions()[name]
    tracker = seen(Entropy(), [x])
    low, high = tracker.range()
    assert x.min() <= low <= high <= x.max()
    if name == "zeros":
        return
    counts, zero = sums(tracker._distributions()[0])
    below, above, width = zero, counts.size - zero, PAGE["histogram"](x)[0]
    i = below if low == x.min() else round(-low / width)
    j = above if high == x.max() else round(high / width)
    chosen, full = divergence(counts, zero, 256, np.array([i, below]), np.array([j, above]))
    assert chosen <= full
    assert chosen <= divergence(counts, zero, 256, *candidates(below, above)).min() * 1.01 + 1e-12


def test_zeros_do_not_count_and_tails_are_clipped():
    x = distributions(50_000)["heavy tails"]
    low, high = seen(Entropy(), [x]).range()
    assert seen(Entropy(), [x, np.zeros(10**6)]).range() == (low, high)
    assert x.min() < low < -1
    assert 1 < high < x.max()
