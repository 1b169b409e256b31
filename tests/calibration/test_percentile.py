"""Percentile: the page's formula, NumPy's quantiles of the raw data, and symmetry."""

import numpy as np
import pytest

from quantcore.calibration import Percentile
from tests.calibration.distributions import distributions
from tests.calibration.test_trackers import channel_range, seen
from tests.ops.harness import run_page

PAGE = run_page("../quantization/calibration")


@pytest.mark.parametrize("name", distributions())
@pytest.mark.parametrize("percent", [100, 99.99, 99.9, 95, 30])
def test_the_middle_of_the_values(name, percent):
    x = distributions()[name]
    tracker = seen(Percentile(percent), [x])
    low, high = tracker.range()
    width = PAGE["histogram"](x)[0]
    expected = PAGE["percentile"](x, percent)
    tail = (100 - percent) / 200
    inner = np.quantile(x, tail, method="lower"), np.quantile(x, 1 - tail, method="higher")
    outer = np.quantile(x, tail, method="higher"), np.quantile(x, 1 - tail, method="lower")
    np.testing.assert_allclose((low, high), expected, rtol=1e-6, atol=1e-6 * width)
    assert inner[0] - width <= low <= outer[0] + width
    assert outer[1] - width <= high <= inner[1] + width
    assert (x.min(), x.max()) == (low, high) if percent == 100 else x.min() <= low <= high <= x.max()
    mirrored = seen(Percentile(percent), [-x]).range()
    assert mirrored == (-high, -low)
    if low <= 0 <= high:
        assert tracker.clipped(low, high) <= 2 * tail + 1e-5


def test_zeros_are_exact_and_scale_is_free():
    x = distributions()["relu"]
    assert seen(Percentile(99), [x]).range()[0] == 0
    low, high = seen(Percentile(99), [x * np.float32(2.0**-40)]).range()
    assert (low * 2.0**40, high * 2.0**40) == seen(Percentile(99), [x]).range()


def test_all_of_each_channel():
    x = np.random.default_rng(1).standard_normal((500, 3)).astype(np.float32)
    assert np.all(np.equal(seen(Percentile(100, axis=-1), [x]).range(), channel_range(x, 1)))
