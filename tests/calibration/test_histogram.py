"""Histograms: the page's NumPy on every layout and instruction set; states that forget order and splits."""

import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.calibration import MSE, Entropy, MinMax, Percentile
from quantcore.calibration.histogram import coarsened
from quantcore.errors import KernelError, QuantizationError
from tests.calibration.test_trackers import channel_range, isa, seen
from tests.layouts import layouts
from tests.ops.harness import run_page

__all__ = ["isa"]

PAGE = run_page("../quantization/calibration")
FLT_MAX = float(np.finfo(np.float32).max)
TINY = 2.0**-149
LONG = 1 << 14  # runs of this length are counted in four tables


def counts_of(x, bins=4096):
    return PAGE["histogram"](np.asarray(x, np.float32).ravel(), bins)[1]


def check_state(tracker, x, axis=None):
    """The ends and counts of a tracker are those of the values `x`."""
    rows = [x] if axis is None else np.moveaxis(x, axis, 0)
    np.testing.assert_array_equal(tracker._counts, [counts_of(row, tracker.bins) for row in rows])
    low, high = (x.min(), x.max()) if axis is None else channel_range(x, axis)
    np.testing.assert_array_equal(tracker.seen_min, low)
    np.testing.assert_array_equal(tracker.seen_max, high)
    assert tracker.count == x.size


@pytest.mark.parametrize("size", [1, 7, 8, 9, 255, 256, 257, 2047, 2049, LONG - 1, LONG, LONG + 3, 3 * LONG])
def test_counts_are_those_of_the_page(size, isa):
    rng = np.random.default_rng(size)
    for x in (
        rng.standard_normal(size),
        np.maximum(rng.standard_normal(size), 0),
        np.exp(rng.uniform(-90, 80, size)) * rng.choice([-1, 1], size),
        rng.integers(-4, 5, size) * 0.25,  # on the edges of bins
    ):
        x = x.astype(np.float32)
        for ordered in (x, np.sort(np.abs(x)), -np.sort(np.abs(x))):  # a width that grows along the way
            check_state(seen(Percentile(), [ordered]), ordered)
        check_state(seen(Percentile(bins=8), [x]), x)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_every_layout(axis, tmp_path, isa):
    x = np.random.default_rng(0).standard_normal((5, 6, 19)).astype(np.float32)
    for name, array in layouts(x, tmp_path).items():
        before = array.tobytes()
        tracker = seen(Percentile(axis=axis, bins=64), [array])
        check_state(tracker, x, axis)
        assert array.tobytes() == before, name


@pytest.mark.parametrize("shape", [(2100, 1), (1, 9), (300, 8), (70, 70), (2, 2100), (3, 2, LONG + 5)])
def test_channels_of_every_size(shape, isa):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape) * np.exp(rng.uniform(-9, 9, shape[1:]))
    x = x.astype(np.float32)
    for axis in range(len(shape)):
        batches = [x[:1], x[1:]] if axis and len(x) > 1 else [x]
        check_state(seen(Percentile(axis=axis, bins=32), batches), x, axis)


@pytest.mark.parametrize(
    "values",
    [
        [0.0], [-0.0, 0.0], [TINY], [-TINY, TINY], [1.0], [-1.0], [FLT_MAX, -FLT_MAX],
        [FLT_MAX, -TINY, TINY, 0.0], [2.0**-126, -(2.0**-127)], [2.0**-116, 2.0**-115, -(2.0**-127)],
        [1.0, 2.0, 4.0], [2 - 2.0**-23, 2.0],
    ],
)  # fmt: skip
def test_values_at_the_limits(values, isa):
    x = np.array(values * 5, np.float32)
    for data in ([x], list(x), list(x[::-1])):
        tracker = seen(Percentile(100), data)
        check_state(tracker, x)
        assert [str(v) for v in tracker.range()] == [str(float(v + 0.0)) for v in (x.min(), x.max())]
        for other in (MSE(), Entropy()):
            low, high = seen(other, data).range()
            assert x.min() <= low <= high <= x.max()


wide = st.floats(width=32, allow_nan=False, allow_infinity=False)
wide |= st.sampled_from([0.0, -0.0, 1.0, -2.0, TINY])
batches = st.lists(st.lists(wide, min_size=1, max_size=30), max_size=6)


@settings(max_examples=200)
@given(batches, st.randoms(use_true_random=False), st.sampled_from([8, 4096]))
def test_order_and_split_leave_no_trace(data, random, bins):
    data = [np.array(x, np.float32) for x in data]
    whole = seen(Percentile(bins=bins), data)
    values = [v for x in data for v in x]
    random.shuffle(values)
    parts = [Percentile(bins=bins) for _ in range(3)]
    for value in values:
        random.choice(parts).update(value)
    random.shuffle(parts)
    parts[1].merge(parts[2])
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0] == whole
    if values:
        check_state(whole, np.array(values, np.float32))
        assert parts[0].range() == whole.range()


@settings(max_examples=50)
@given(
    st.lists(st.lists(wide, min_size=3, max_size=3), min_size=2, max_size=8),
    st.integers(1, 7),
    st.sampled_from([0, 1]),
)
def test_merging_channels_equals_one_pass(rows, cut, axis):
    x = np.array(rows, np.float32)
    first, second = (part.T if axis == 0 else part for part in (x[:cut], x[cut:]))
    merged = seen(Entropy("int4", axis=axis, bins=64), [first])
    merged.merge(seen(Entropy("int4", axis=axis, bins=64), [second]))
    assert merged == seen(Entropy("int4", axis=axis, bins=64), [x.T if axis == 0 else x])


@pytest.mark.parametrize("kind", [partial(Percentile, 99), MSE, Entropy])
def test_channels_have_the_ranges_that_each_has_alone(kind):
    x = np.random.default_rng(1).standard_normal((500, 3)).astype(np.float32) * np.float32([1, 100, 0])
    low, high = seen(kind(axis=1), [x]).range()
    assert low.dtype == high.dtype == np.float32
    for c in range(3):
        assert (low[c], high[c]) == seen(kind(), [x[:, c]]).range()


def test_coarsening_is_that_of_the_kernel():
    counts = np.arange(1, 2 * 18, 2).reshape(2, 9)
    np.testing.assert_array_equal(
        coarsened(counts, np.array([1, 40])), [[0, 0, 1 + 3, 5 + 7, 9, 11 + 13, 15 + 17, 0, 0],
                                               [0, 0, 0, 19 + 21 + 23 + 25, 27, 29 + 31 + 33 + 35, 0, 0, 0]]
    )  # fmt: skip


@pytest.mark.parametrize("size", [40, LONG + 100])
def test_not_finite_values_leave_the_tracker_alone(size, isa):
    tracker = seen(Percentile(), [np.array([1.0, -2.0])])
    before = pickle.dumps(tracker)
    for bad in (np.nan, np.inf, -np.inf):
        x = np.full(size, 1000, np.float32)  # which also widens the bins
        x[-1] = bad
        with pytest.raises(QuantizationError, match=rf"1 of {size} values .* first at \({size - 1},\)"):
            tracker.update(x)
        assert pickle.dumps(tracker) == before
    fresh = Percentile(axis=1)
    with pytest.raises(QuantizationError, match="NaN or infinite"):
        fresh.update(np.full((2, 3), np.nan))
    assert seen(fresh, [np.ones((2, 4))]).count == 8


def test_state_in_place_as_in_a_plan(isa):
    x = np.random.default_rng(2).standard_normal((4, 6, 5)).astype(np.float32)
    for axis, shape in ((None, (1, 1, 120)), (1, (4, 6, 5)), (2, (24, 5, 1))):
        tracker = MSE(axis=axis)
        state = tracker.new_state(shape[1])
        call = tracker.call(shape)
        for batch in (x, 100 * x):
            call([batch], list(state))
        tracker.take(*state)
        assert tracker == seen(MSE(axis=axis), [x, 100 * x])
        assert call.isa == isa
    with pytest.raises(KernelError):
        call([np.full_like(x, np.nan)], list(state))


def test_share_outside_a_range():
    x = np.random.default_rng(3).standard_normal(20_000).astype(np.float32)
    tracker = seen(Percentile(), [x])
    assert tracker.clipped(tracker.seen_min, tracker.seen_max) == 0
    assert tracker.clipped(-np.inf, np.inf) == 0
    width, counts = PAGE["histogram"](x)
    for low, high in ((-1, 1), (0.5, 0.7), (-3, -2), (-0.3333, 0)):
        expected = ((x < min(low, 0)) | (x > max(high, 0))).mean()
        assert abs(tracker.clipped(low, high) - expected) <= 2 * counts.max() / x.size
        exact = ((x < min(low // width * width, 0)) | (x >= max(high // width * width, 0))).mean()
        on_edges = tracker.clipped(low // width * width, high // width * width)
        assert on_edges == pytest.approx(exact, abs=1e-12)
    channels = seen(Percentile(axis=1), [x.reshape(-1, 2)])
    np.testing.assert_array_equal(channels.clipped([-9, 0], [9, 0]), [0, 1])


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: Percentile(bins=1000), "bins is 1000; expected a power of two"),
        (lambda: Percentile(bins=4), "bins is 4"),
        (lambda: Percentile(bins=2**22), "bins is 4194304"),
        (lambda: Percentile(bins=64.0), "bins is 64.0"),
        (lambda: Percentile(0), "percentile is 0"),
        (lambda: Percentile(100.5), "percentile is 100.5"),
        (lambda: Percentile(float("nan")), "percentile is nan"),
        (lambda: MSE("int32"), "dtype is 'int32'; expected one of"),
        (lambda: Entropy("int16"), "dtype is 'int16'; expected one of"),
        (lambda: Entropy(bins=512), "bins is 512; expected at least 4 for each of the 256 levels"),
        (lambda: Percentile().range(), "seen no data"),
        (lambda: Percentile().seen_min, "seen no data"),
        (lambda: Percentile().clipped(0, 1), "seen no data"),
        (lambda: Percentile().update("a"), "expected real"),
        (lambda: seen(Percentile(axis=1), [np.ones((1, 3)), np.ones((1, 4))]), "3 channels, the new data 4"),
        (lambda: Percentile().merge(MSE()), "cannot merge"),
        (lambda: Percentile().merge(MinMax()), "cannot merge"),
        (lambda: Percentile(99).merge(Percentile(98)), "same options"),
        (lambda: Percentile(bins=64).merge(Percentile()), "same options"),
        (lambda: Percentile().merge(Percentile(axis=0)), "cannot merge"),
    ],
)
def test_what_is_refused(action, words):
    with pytest.raises(QuantizationError, match=words):
        action()


def test_words_and_equality():
    tracker = Percentile(99.5)
    tracker.update(np.zeros((0, 3)))
    assert repr(tracker) == "<Percentile axis=None bins=4096 percentile=99.5: no data>"
    assert tracker == Percentile(99.5) != Percentile(99)
    assert tracker != MSE()
    tracker.update(3)
    assert repr(tracker) == "<Percentile axis=None bins=4096 percentile=99.5: [3.0, 3.0]>"
    assert tracker != Percentile(99.5)
    assert repr(seen(MSE(axis=0), [np.ones(3)])) == "<MSE axis=0 bins=4096 dtype=int8: 3 channels>"
