"""MSE: the page's formula, never worse than min/max, and near the best of all candidates."""

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import MSE
from quantcore.calibration.mse import Pieces, mean_squared_error
from tests.calibration.distributions import candidates, distributions
from tests.calibration.test_trackers import seen
from tests.ops.harness import run_page

PAGE = run_page("../quantization/calibration")


def measured(x, low, high, dtype="int8"):
    """The squared error of the raw values."""
    p = qc.choose_qparams(low, high, dtype)
    return float(((qc.dequantize(qc.quantize(x, p), p).astype(np.float64) - x) ** 2).mean())


def costs(tracker, below, above):
    distribution = tracker._distributions()[0]
    pieces = Pieces.of(distribution)
    found = mean_squared_error(distribution, pieces, tracker.dtype, np.array(below), np.array(above))
    return found * distribution.width**2


@pytest.mark.parametrize("name", ["normal", "relu", "heavy tails", "negative", "far from 0", "few values"])
@pytest.mark.parametrize("bins", [64, 4096])
def test_the_error_is_that_of_the_page(name, bins):
    x = distributions()[name]
    tracker = seen(MSE(bins=bins), [x])
    below, above = tracker._distributions()[0].sides
    width = PAGE["histogram"](x, bins)[0]
    for part in (1.0, 0.7, 0.3):
        i, j = int(below * part), int(above * part)
        low, high = max(-i * width, min(x.min(), 0)), min(j * width, max(x.max(), 0))
        p = qc.choose_qparams(low, high)
        expected = PAGE["expected_error"](x, float(p.scale), p.zero_point, bins=bins)
        assert costs(tracker, [i], [j])[0] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("name", distributions())
@pytest.mark.parametrize("dtype", ["int8", "int4", "int16"])
def test_never_worse_than_min_and_max(name, dtype):
    x = distributions()[name]
    tracker = seen(MSE(dtype), [x])
    low, high = tracker.range()
    assert x.min() <= low <= high <= x.max()
    if name == "zeros":
        return
    (below, above), width = tracker._distributions()[0].sides, PAGE["histogram"](x)[0]
    i = below if low == x.min() else round(-low / width)
    j = above if high == x.max() else round(high / width)
    chosen, full = costs(tracker, [i, below], [j, above])
    assert chosen <= full
    if dtype != "int16":  # where the bins are wider than the steps, the raw values differ from their bins
        assert measured(x, low, high, dtype) <= measured(x, x.min(), x.max(), dtype) * 1.02


@pytest.mark.parametrize("name", ["normal", "relu", "heavy tails", "one outlier", "few values"])
def test_near_the_best_of_all_candidates(name):
    x = distributions()[name]
    tracker = seen(MSE(), [x])
    (below, above), width = tracker._distributions()[0].sides, PAGE["histogram"](x)[0]
    low, high = tracker.range()
    i = below if low == x.min() else round(-low / width)
    j = above if high == x.max() else round(high / width)
    assert costs(tracker, [i], [j])[0] <= costs(tracker, *candidates(below, above)).min() * 1.01


def test_an_outlier_costs_resolution_until_it_is_clipped():
    x = distributions(100_000)["normal"]
    x[0] = 20
    low, high = seen(MSE(), [x]).range()
    assert high < 20
    assert measured(x, low, high) < 0.9 * measured(x, x.min(), x.max())
