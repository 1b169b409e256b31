"""Range trackers: NumPy's answer on every layout, NaN, and merge as one pass."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quantcore as qc
from quantcore.calibration import MinMax, MovingAverage
from quantcore.calibration.trackers import BLOCK_ELEMENTS
from quantcore.errors import QuantizationError
from tests.layouts import layouts
from tests.ops.harness import instruction_sets, using

SIZES = (1, 2, 7, 8, 9, 31, 32, 33, 39, 40, 41, 64, 100, 257)


@pytest.fixture(params=[isa for isa in ("scalar", "avx2") if isa in instruction_sets()])
def isa(request):
    """Run a test with the kernels of each instruction set that the machine has."""
    with using(request.param):
        yield request.param


finite = st.floats(-(2.0**100), 2.0**100, width=32)
batches = st.lists(
    hnp.arrays(np.float32, st.integers(1, 40).map(lambda n: (n, 3)), elements=finite), max_size=6
)


def seen(tracker, data):
    for x in data:
        tracker.update(x)
    return tracker


def same_range(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.range(), b.range(), strict=True))


def channel_range(x, axis):
    others = tuple(d for d in range(x.ndim) if d != axis % x.ndim)
    return x.min(others), x.max(others)


@pytest.mark.parametrize("size", SIZES)
def test_every_position_counts(size, isa):
    """The extreme value at each position in turn, so that every vector lane and tail is looked at."""
    for i in range(size):
        x = np.zeros(size, np.float32)
        x[i] = -7.5
        assert seen(MinMax(), [x]).range() == (-7.5, 0.0 if size > 1 else -7.5)
        assert seen(MinMax(), [-x]).range() == (0.0 if size > 1 else 7.5, 7.5)
        x[i] = np.nan
        with pytest.raises(QuantizationError, match=rf"1 of {size} values .* first at \({i},\): nan"):
            MinMax().update(x)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_every_layout(axis, tmp_path, isa):
    x = np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32)
    expected = (float(x.min()), float(x.max())) if axis is None else channel_range(x, axis)
    for name, array in layouts(x, tmp_path).items():
        before = array.tobytes()
        got = seen(MinMax(axis), [array]).range()
        np.testing.assert_array_equal(got[0], expected[0], name)
        np.testing.assert_array_equal(got[1], expected[1], name)
        assert array.tobytes() == before, name


@pytest.mark.parametrize("shape", [(3, 1), (1, 9), (4, 8), (2, 19), (5, 3, 1), (2, 3, 33)])
def test_channels_of_every_size(shape, isa):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for axis in range(len(shape)):
        low, high = seen(MinMax(axis), [x[:1], x[1:]] if axis and shape[0] > 1 else [x]).range()
        expected = channel_range(x, axis)
        np.testing.assert_array_equal(low, expected[0])
        np.testing.assert_array_equal(high, expected[1])
        assert low.dtype == high.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "int64", "bool"])
@pytest.mark.parametrize("axis", [None, 1])
def test_other_dtypes_are_rounded_to_float32(dtype, axis):
    x = (np.random.default_rng(2).standard_normal((7, 5)) * 50).astype(dtype)
    got = seen(MinMax(axis), [x]).range()
    assert np.all(np.equal(got, seen(MinMax(axis), [x.astype(np.float32)]).range()))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_large_arrays_in_pieces(axis, isa):
    x = np.random.default_rng(3).standard_normal((3, BLOCK_ELEMENTS + 5))  # float64: copied in pieces
    x[1, -1], x[2, BLOCK_ELEMENTS // 2] = 99, -99
    got = seen(MinMax(axis), [x]).range()
    expected = seen(MinMax(axis), [x.astype(np.float32)]).range()
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_scalars_lists_and_empty_batches():
    tracker = MinMax()
    tracker.update(np.zeros((0, 3)))
    assert repr(tracker) == "<MinMax axis=None: no data>"
    with pytest.raises(QuantizationError, match="seen no data"):
        tracker.range()
    tracker.update(2.5)
    tracker.update([[1, 3], [-4, 0]])
    assert tracker.range() == (-4.0, 3.0)
    assert repr(tracker) == "<MinMax axis=None: [-4.0, 3.0]>"


def test_negative_zero_is_zero(isa):
    for x in ([-0.0] * 40, [0.0, -0.0] * 20):
        assert [str(v) for v in seen(MinMax(), [np.array(x, np.float32)]).range()] == ["0.0", "0.0"]


def test_not_finite_values_are_counted_and_leave_the_tracker_alone(isa):
    for axis in (None, 1):
        tracker = seen(MinMax(axis), [np.ones((2, 3))])
        bad = np.zeros((4, 3), np.float32)
        bad[2, 1], bad[3, 0], bad[3, 2] = np.inf, np.nan, -np.inf
        with pytest.raises(QuantizationError, match=r"3 of 12 values .* first at \(2, 1\): inf"):
            tracker.update(bad)
        assert np.all(np.equal(tracker.range(), 1))
    with pytest.raises(QuantizationError, match="NaN or infinite"):
        MinMax().update(np.array([1e300]))  # infinite as float32


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: MinMax().update(["a"]), "expected real"),
        (lambda: MinMax(2).update(np.zeros((2, 2))), "axis is 2"),
        (lambda: seen(MinMax(1), [np.zeros((1, 3)), np.zeros((1, 4))]), "3 channels, the new data 4"),
        (lambda: MinMax().merge(MinMax(0)), "cannot merge"),
        (lambda: MinMax().merge(MovingAverage()), "cannot merge"),
        (lambda: MovingAverage(0.9).merge(MovingAverage(0.8)), "momentum"),
        (lambda: MovingAverage(1.0), "momentum is 1.0"),
        (lambda: MovingAverage(-0.1), "momentum is -0.1"),
        (lambda: seen(MovingAverage(axis=0), [np.ones(2), np.ones(3)]), "2 channels, the new data 3"),
    ],
)
def test_what_is_refused(action, words):
    with pytest.raises(QuantizationError, match=words):
        action()


@settings(max_examples=100)
@given(batches, batches, st.sampled_from([None, 0, 1, -1]))
def test_merging_min_max_equals_one_pass(first, second, axis):
    if axis == 0:  # batches differ in their first dimension
        first, second = [x.T for x in first], [x.T for x in second]
    merged = seen(MinMax(axis), first)
    merged.merge(seen(MinMax(axis), second))
    if not first + second:
        return
    assert same_range(merged, seen(MinMax(axis), first + second))
    assert same_range(pickle.loads(pickle.dumps(merged)), merged)


@settings(max_examples=100)
@given(batches, batches, batches, st.sampled_from([0.0, 0.5, 0.9, 0.999]), st.sampled_from([None, 1]))
def test_merging_moving_averages_equals_one_pass(first, second, third, momentum, axis):
    whole = seen(MovingAverage(momentum, axis), first + second + third)
    parts = [seen(MovingAverage(momentum, axis), data) for data in (first, second, third)]
    parts[1].merge(parts[2])
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    if not first + second + third:
        return
    for a, b in zip(parts[0].range(), whole.range(), strict=True):
        scale = max(float(np.abs(x).max()) for x in first + second + third)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12 * scale)  # float64 sums in another order


def test_moving_average_is_its_recursion():
    data = [np.array([1.0, 5.0]), np.array([-3.0, 2.0]), np.array([0.0, 8.0])]
    low, high = 1.0, 5.0
    for x in data[1:]:
        low, high = 0.75 * low + 0.25 * x.min(), 0.75 * high + 0.25 * x.max()
    assert seen(MovingAverage(0.75), data).range() == (low, high)


def test_moving_average_skips_empty_batches():
    tracker = seen(MovingAverage(0.5), [np.zeros(0), np.array([4.0]), np.zeros(0)])
    assert tracker.range() == (4.0, 4.0)
    assert repr(tracker) == "<MovingAverage momentum=0.5 axis=None: [4.0, 4.0]>"


def test_ranges_give_parameters():
    x = np.random.default_rng(4).standard_normal((10, 4)).astype(np.float32)
    low, high = seen(MinMax(axis=1), [x]).range()
    p = qc.choose_qparams(low, high, axis=1)
    q = qc.quantize(x, p)
    assert (q.min(0) <= -127).all()
    assert (q.max(0) >= 126).all()
