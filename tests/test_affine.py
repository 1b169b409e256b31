"""QuantParams, choose_qparams, quantize, dequantize, requantize: formulas, layouts, extremes, every ISA."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quantcore as qc
from quantcore.errors import QuantizationError
from quantcore.qparams import DTYPES
from tests.layouts import layouts
from tests.ops.harness import instruction_sets, using

STORAGE = {"int4": "int8", **{d: d for d in DTYPES if d != "int4"}}
SIZES = (0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 511, 512, 513)  # around every vector width and tail


@pytest.fixture(params=[isa for isa in ("scalar", "avx2", "avx512") if isa in instruction_sets()])
def isa(request):
    """Run a test with the kernels of each instruction set that the machine has."""
    with using(request.param):
        yield request.param


# The rules in NumPy, from their description --------------------------------------------------------


def round_half_away(v):
    return np.copysign(np.floor(np.abs(v) + 0.5), v)


def to_int32(v):
    """Rounded floats to int32 as x86 converts them: what does not fit is -2**31."""
    fits = (v >= -(2.0**31)) & (v < 2.0**31)
    return np.where(fits, v, -(2.0**31)).astype(np.int64)


def expected_quantize(x, scale, zero_point, qmin, qmax):
    with np.errstate(all="ignore"):
        v = (x / scale).astype(np.float64)  # a float32 quotient, then exact
        q = to_int32(round_half_away(v)) + zero_point
    q = (q + 2**31) % 2**32 - 2**31
    return np.clip(q, qmin, qmax)


def expected_dequantize(q, scale, zero_point):
    return (np.float64(scale) * (q.astype(np.int64) - zero_point)).astype(np.float32)


def expected_requantize(q, p, p2):
    m, s = qc.quantize_multiplier(np.float64(p.scale) / np.float64(p2.scale))
    x = (q.astype(object) - p.zero_point + 2**31) % 2**32 - 2**31
    x = (x * 2 ** max(s, 0) + 2**31) % 2**32 - 2**31
    x = (x * m + 2**30) // 2**31
    n = max(-s, 0)
    half = 2 ** (n - 1) if n else 0
    x = np.array([(abs(v) + half) // 2**n * (1 if v >= 0 else -1) for v in x.ravel()], object).reshape(
        q.shape
    )
    y = (x + p2.zero_point + 2**31) % 2**32 - 2**31
    return np.clip(y.astype(np.int64), p2.qmin, p2.qmax)


def floats(rng, size, scale):
    """Ties, their neighbours, values over the whole range, and every special value."""
    ties = ((rng.integers(-300, 300, size) + 0.5) * np.float64(scale)).astype(np.float32)
    near = np.nextafter(ties, rng.choice([-np.inf, np.inf], size).astype(np.float32))
    spread = (rng.standard_normal(size) * np.exp(rng.uniform(-30, 30, size)) * scale).astype(np.float32)
    x = np.choose(rng.integers(0, 3, size), [ties, near, spread])
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -3e38, 3e38], np.float32)
    edges = np.float32(scale) * np.array([2.0**31, -(2.0**31), 2.0**31 - 128, 2.0**30], np.float32)
    x[: special.size] = special[:size]
    x[special.size : special.size + edges.size] = edges[: max(0, size - special.size)]
    return rng.permutation(x)


def random_params(rng, dtype, channels=None, **more):
    low, high = DTYPES[dtype]
    exponent = rng.integers(-10, 5, channels) if rng.random() < 0.5 else rng.uniform(-10, 5, channels)
    scale = (2.0**exponent).astype(np.float32) if channels else np.float32(2.0**exponent)
    zero_point = rng.integers(low + 1, high, channels, endpoint=True)
    return qc.QuantParams(scale, zero_point, dtype, **more)


# Parameters ----------------------------------------------------------------------------------------


def test_params_show_what_they_hold():
    assert repr(qc.QuantParams(0.5, 3)) == "QuantParams(scale=0.5, zero_point=3, dtype='int8')"
    per_channel = qc.QuantParams([0.5, 0.25], 0, "int8", -1, narrow_range=True)
    assert "zero_point=[0, 0]" in repr(per_channel)
    assert "axis=-1, narrow_range=True" in repr(per_channel)
    assert len(repr(qc.QuantParams(np.linspace(1, 2, 1000), 0, axis=0))) < 160


def test_params_are_float32_and_immutable():
    p = qc.QuantParams(0.1, 0)
    assert p.scale == np.float32(0.1)
    assert (p.qmin, p.qmax, p.storage, p.per_channel) == (-128, 127, np.int8, False)
    with pytest.raises(AttributeError):
        p.scale = 2
    with pytest.raises(AttributeError):
        del p.scale
    scales = np.array([1.0, 2.0])
    p = qc.QuantParams(scales, [0, 1], axis=0)
    scales[0] = 9
    assert p.scale.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        p.scale[0] = 9


def test_params_compare_hash_copy_and_pickle():
    variants = [
        qc.QuantParams(0.5, 3),
        qc.QuantParams(0.5, 3, "uint8"),
        qc.QuantParams(0.5, 4),
        qc.QuantParams(0.25, 3),
        qc.QuantParams(0.5, 3, narrow_range=True),
        qc.QuantParams([0.5], 3, axis=0),
        qc.QuantParams([0.5, 0.5], [3, 3], axis=0),
        qc.QuantParams([0.5, 0.5], 3, axis=1),
    ]
    assert len(set(variants)) == len(variants)
    for p in variants:
        for twin in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
            assert twin == p
            assert hash(twin) == hash(p)
    assert qc.QuantParams(0.5, 3) != 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("narrow", [False, True])
def test_zero_points_are_within_the_range_of_the_dtype(dtype, narrow):
    low, high = DTYPES[dtype]
    p = qc.QuantParams(1, low + narrow, dtype, narrow_range=narrow)
    assert (p.qmin, p.qmax) == (low + narrow, high)
    qc.QuantParams(1, high, dtype, narrow_range=narrow)
    for bad in (low + narrow - 1, high + 1):
        with pytest.raises(QuantizationError, match="zero_point is in"):
            qc.QuantParams(1, bad, dtype, narrow_range=narrow)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-60, 1e60, "a", None, [[1.0]], []])
def test_unusable_scales_are_refused(scale):
    with pytest.raises(QuantizationError, match="scale"):
        qc.QuantParams(scale, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0, np.nan], 0, "int8", 0), "scale of channel 1 is nan"),
        (([1.0, 2.0], 0), "give axis"),
        ((1.0, 0, "int8", 0), "expected \\(channels,\\)"),
        ((1.0, 0.5), "expected integers"),
        ((1.0, True), "expected integers"),
        (([1.0, 2.0], [0, 0, 0], "int8", 0), "zero_point has shape"),
        ((1.0, 0, "int7"), "expected one of int4, int8"),
    ],
)
def test_what_params_refuse(arguments, words):
    with pytest.raises(QuantizationError, match=words):
        qc.QuantParams(*arguments)


# Choosing parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rmin", "rmax", "scale", "zero_point"),
    [
        (0, 255, 1.0, -128),
        (-0.5, 254.5, 1.0, -128),  # -127.5 rounds away from zero
        (-127.5, 127.5, 1.0, -1),  # -0.5 rounds away from zero
        (0.5, 3, 0.0117647061124444, -128),  # widened to hold 0
        (-3, -0.5, 0.0117647061124444, 127),
        (0, 0, 7.84313680668447e-09, 0),
        (0, 1e-6, 1.1764706542294334e-08, -43),
        (-1.2999999523162842, 2.7, 0.01568627543747425, -45),
        (-1e-3, 1e30, 3.9215688253537837e27, -128),
    ],
)
def test_asymmetric_parameters_that_the_converter_wrote(rmin, rmax, scale, zero_point):
    """Expected values: TensorFlow 2.21's converter, full integer quantization, a tensor with this range."""
    assert qc.choose_qparams(rmin, rmax) == qc.QuantParams(scale, zero_point)
    assert qc.choose_qparams(rmin, rmax, "uint8") == qc.QuantParams(scale, zero_point + 128, "uint8")


@pytest.mark.parametrize(
    ("rmin", "rmax", "scale"),
    [
        (0, 6, 0.0001831110566854477),
        (-3, -0.5, 9.155552834272385e-05),
        (-1e-3, 1e30, 3.051851014478795e25),
        (0, 0, 3.587324068671532e-43),
    ],
)
def test_int16_parameters_that_the_converter_wrote(rmin, rmax, scale):
    """Expected values: TensorFlow 2.21's converter, 16-bit activations."""
    assert qc.choose_qparams(rmin, rmax, "int16") == qc.QuantParams(scale, 0, "int16")


def test_narrow_range_and_symmetry():
    p = qc.choose_qparams(0, 254, narrow_range=True)
    assert p == qc.QuantParams(1.0, -127, narrow_range=True)
    assert qc.choose_qparams(-1, 127, symmetric=True) == qc.QuantParams(1.0, 0)
    assert qc.choose_qparams(-127, 1, symmetric=True, narrow_range=True) == qc.QuantParams(
        1, 0, narrow_range=True
    )
    assert qc.choose_qparams(-7, 3, "int4", symmetric=True) == qc.QuantParams(1.0, 0, "int4")
    assert qc.choose_qparams(0, 15, "int4") == qc.QuantParams(1.0, -8, "int4")
    assert qc.choose_qparams(-127, 3, "uint8", symmetric=True) == qc.QuantParams(1.0, 128, "uint8")
    assert qc.choose_qparams(0, 0, symmetric=True).scale == np.float32(5e-7) / np.float32(127)


def test_parameters_per_channel():
    p = qc.choose_qparams([-1, 0, 0], [0, 255, 0], axis=2)
    assert p.zero_point.tolist() == [127, -128, 0]
    for c, (low, high) in enumerate([(-1, 0), (0, 255), (0, 0)]):
        one = qc.choose_qparams(low, high)
        assert (p.scale[c], p.zero_point[c]) == (one.scale, one.zero_point)


@settings(max_examples=300)
@given(
    st.floats(-(2.0**127), 2.0**127, width=32),
    st.floats(-(2.0**127), 2.0**127, width=32),
    st.sampled_from(sorted(DTYPES)),
    st.booleans(),
    st.booleans(),
)
def test_zero_is_always_exactly_representable(a, b, dtype, symmetric, narrow):
    low, high = min(a, b), max(a, b)
    p = qc.choose_qparams(low, high, dtype, symmetric, narrow)
    q = qc.quantize(np.zeros(1), p)
    assert q.tolist() == [p.zero_point]
    assert qc.dequantize(q, p).tolist() == [0.0]


@pytest.mark.parametrize(
    ("rmin", "rmax"),
    [(1, 0), (np.nan, 1), (0, np.nan), (-np.inf, 0), (0, np.inf), (0, 1e39), ([0, 1], [1, 0])],
)
def test_unusable_ranges_are_refused(rmin, rmax):
    with pytest.raises(QuantizationError, match="the range"):
        qc.choose_qparams(rmin, rmax, axis=0 if np.ndim(rmin) else None)


def test_what_choose_qparams_refuses():
    with pytest.raises(QuantizationError, match="expected one of"):
        qc.choose_qparams(0, 1, "float32")
    with pytest.raises(QuantizationError, match="expected equal shapes"):
        qc.choose_qparams([0], 1)
    with pytest.raises(QuantizationError, match="give axis"):
        qc.choose_qparams([0, 0], [1, 1])


# Quantize and dequantize ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_quantize_of_every_size(dtype, size, isa):
    rng = np.random.default_rng(size)
    for _ in range(6):
        p = random_params(rng, dtype, narrow_range=rng.random() < 0.3)
        x = floats(rng, size, p.scale)
        q = qc.quantize(x, p)
        assert q.dtype == STORAGE[dtype]
        np.testing.assert_array_equal(q, expected_quantize(x, p.scale, p.zero_point, p.qmin, p.qmax))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.037, 1 / 3, 0.5, 1e-30, 1e30, 2e-31, 3e37, 1e-40])
def test_quantize_of_ordinary_data(dtype, scale, isa):
    """Few ties: vector versions multiply by the reciprocal here, and divide only around the ties."""
    rng = np.random.default_rng(1)
    p = qc.QuantParams(scale, 1, dtype)
    steps = rng.standard_normal(20_000) * 40
    lone = rng.choice(steps.size, 30, replace=False)  # ties and special values in otherwise plain blocks
    steps[lone] = rng.choice([np.nan, np.inf, -np.inf, 2.0**31, 0.5, -1.5, 62.5, -63.5], lone.size)
    with np.errstate(over="ignore"):
        x = (steps * np.float64(p.scale)).astype(np.float32)
    np.testing.assert_array_equal(qc.quantize(x, p), expected_quantize(x, p.scale, 1, p.qmin, p.qmax))


@pytest.mark.parametrize("channels", [1, 2, 3, 12, 31, 32, 33, 64, 65, 100])
@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
def test_channels_in_the_last_dimension(channels, rows, isa):
    rng = np.random.default_rng(channels)
    for dtype in ("int8", "uint8", "int16"):
        p = random_params(rng, dtype, channels=channels, axis=1)
        x = floats(rng, rows * channels, 0.1).reshape(rows, channels)
        q = qc.quantize(x, p)
        np.testing.assert_array_equal(q, expected_quantize(x, p.scale, p.zero_point, p.qmin, p.qmax))
        np.testing.assert_array_equal(qc.dequantize(q, p), expected_dequantize(q, p.scale, p.zero_point))


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantize_reaches_ties_saturation_and_both_signs(dtype):
    rng = np.random.default_rng(0)
    p = qc.QuantParams(0.25, 0, dtype) if dtype != "uint8" else qc.QuantParams(0.25, 128, dtype)
    x = floats(rng, 4000, p.scale)
    q = qc.quantize(x, p)
    assert (q == p.qmin).any()
    assert (q == p.qmax).any() or dtype == "int32"  # no float32 quotient rounds to 2**31 - 1
    with np.errstate(all="ignore"):
        ties = np.abs(x / p.scale % 1) == 0.5
    assert ties.sum() > 500
    assert (q[ties] != np.clip(np.round(x[ties] / p.scale) + p.zero_point, p.qmin, p.qmax)).any()


@pytest.mark.parametrize(("zero_point", "expected"), [(0, -128), (5, -128), (-5, 127)])
def test_nan_and_overflow_go_where_the_zero_point_sends_them(zero_point, expected, isa):
    """As TFLite's compiled kernels: -2**31 plus a negative zero point wraps to the top."""
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9], np.float32)
    assert qc.quantize(x, qc.QuantParams(1.0, zero_point)).tolist() == [expected] * 5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_dequantize_of_every_size(dtype, size, isa):
    rng = np.random.default_rng(size)
    low, high = DTYPES[dtype]
    for _ in range(6):
        p = random_params(rng, dtype)
        q = rng.integers(low, high, size, STORAGE[dtype], endpoint=True)
        x = qc.dequantize(q, p)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(
            x.view(np.uint32), expected_dequantize(q, p.scale, p.zero_point).view(np.uint32)
        )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 33), (1, 8, 1, 17), (19,), (4, 0, 3)])
def test_per_channel_along_every_axis(dtype, shape, isa):
    rng = np.random.default_rng(3)
    for axis in range(-len(shape), len(shape)):
        p = random_params(rng, dtype, channels=max(shape[axis], 1), axis=axis)
        if shape[axis] == 0:
            continue
        column = [1] * len(shape)
        column[axis] = shape[axis]
        scale, zero_point = p.scale.reshape(column), p.zero_point.reshape(column)
        x = floats(rng, int(np.prod(shape)), 1.0).reshape(shape)
        q = qc.quantize(x, p)
        np.testing.assert_array_equal(q, expected_quantize(x, scale, zero_point, p.qmin, p.qmax))
        np.testing.assert_array_equal(qc.dequantize(q, p), expected_dequantize(q, scale, zero_point))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_every_layout_gives_the_same_and_is_left_alone(axis, tmp_path, isa):
    rng = np.random.default_rng(4)
    shape = (5, 6, 7)
    p = random_params(
        rng, "int8", None if axis is None else shape[axis], **({} if axis is None else {"axis": axis})
    )
    x = floats(rng, 210, 1.0).reshape(shape)
    q = qc.quantize(x, p)
    d = qc.dequantize(q, p)
    for name, array in layouts(x, tmp_path).items():
        before = array.tobytes()
        np.testing.assert_array_equal(qc.quantize(array, p), q, name)
        assert array.tobytes() == before, name
    for name, array in layouts(q, tmp_path).items():
        before = array.tobytes()
        np.testing.assert_array_equal(qc.dequantize(array, p), d, name)
        assert array.tobytes() == before, name


def test_dense_results_keep_the_memory_order_of_the_input():
    p = qc.QuantParams(0.5, 0)
    x = np.asfortranarray(np.ones((3, 4), np.float32))
    assert qc.quantize(x, p).flags.f_contiguous
    assert qc.quantize(x.T, p).flags.c_contiguous


def test_other_dtypes_are_rounded_to_float32_first():
    p = qc.QuantParams(0.1, 3)
    x = np.array([0.05, 0.15, -0.25, 1.05])
    np.testing.assert_array_equal(qc.quantize(x, p), qc.quantize(x.astype(np.float32), p))
    assert x[0] != np.float32(x[0])
    assert qc.quantize(1e300, p) == qc.quantize(np.inf, p)
    halves = np.array([0.5, -1.5, 65504], np.float16)
    np.testing.assert_array_equal(qc.quantize(halves, p), qc.quantize(halves.astype(np.float32), p))
    assert qc.quantize([1, 2], p).tolist() == [13, 23]
    assert qc.quantize(True, p).tolist() == 13


def test_zero_dimensional_and_empty_arrays():
    p = qc.QuantParams(0.5, 0)
    assert qc.quantize(1.5, p).shape == ()
    assert qc.quantize(1.5, p).dtype == np.int8
    assert qc.dequantize(np.int8(3), p).tolist() == 1.5
    assert qc.dequantize(3, p).tolist() == 1.5
    assert qc.quantize(np.zeros((0, 3)), p).shape == (0, 3)
    assert qc.dequantize(np.zeros((2, 0), np.int8), p).shape == (2, 0)
    assert qc.quantize([], p).shape == (0,)


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_receives_the_result(order):
    p = qc.QuantParams(0.5, 0)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    out = np.zeros((3, 4), np.int8, order=order)
    assert qc.quantize(x, p, out=out) is out
    np.testing.assert_array_equal(out, qc.quantize(x, p))
    strided = np.zeros((3, 8), np.float32)[:, ::2]
    assert qc.dequantize(out, p, out=strided) is strided
    np.testing.assert_array_equal(strided, qc.dequantize(out, p))


def test_out_may_be_memory_of_the_input():
    p = qc.QuantParams(0.5, 0)
    x = np.arange(64, dtype=np.float32)
    expected = qc.quantize(x, p)
    out = x.view(np.int8)[128:192]
    qc.quantize(x, p, out=out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: qc.quantize([1j], p), "expected real"),
        (lambda p: qc.quantize(["a"], p), "expected real"),
        (lambda p: qc.quantize([1.0], p, out=np.zeros(2, np.int8)), "out is int8 of shape"),
        (lambda p: qc.quantize([1.0], p, out=np.zeros(1, np.uint8)), "out is uint8"),
        (lambda p: qc.dequantize(np.zeros(1, np.uint8), p), "q is uint8; expected int8"),
        (lambda p: qc.dequantize([300], p), "does not fit int8"),
        (lambda p: qc.dequantize(np.zeros(1), p), "q is float64"),
        (lambda p: qc.quantize(np.zeros((2, 3)), qc.QuantParams([1.0, 2.0], 0, axis=1)), "has 3 channels"),
        (lambda p: qc.quantize(np.zeros(3), qc.QuantParams([1.0, 2.0], 0, axis=1)), "axis is 1"),
        (lambda p: qc.quantize(1.0, qc.QuantParams([1.0], 0, axis=0)), "axis is 0"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(QuantizationError, match=words):
        call(qc.QuantParams(0.5, 0))


@settings(max_examples=150)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=9), elements=st.floats(-100, 100, width=32)),
    st.sampled_from(sorted(DTYPES)),
)
def test_a_round_trip_is_within_half_a_step(x, dtype):
    p = qc.choose_qparams(-100, 100, dtype)
    back = qc.dequantize(qc.quantize(x, p), p)
    inside = (x >= p.scale * (p.qmin - p.zero_point)) & (x <= p.scale * (p.qmax - p.zero_point))
    # beyond half a step: the float32 roundings of the quotient and of the result
    limit = 0.5 * p.scale + np.spacing(np.float32(100)) * 2
    assert (np.abs(back - x)[inside] <= limit).all()


# Requantize ----------------------------------------------------------------------------------------

PAIRS = [(a, b) for a in DTYPES for b in DTYPES]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_requantize_between_all_dtypes(a, b, isa):
    rng = np.random.default_rng(5)
    low, high = DTYPES[a]
    for power_of_two in (True, False):
        ratio = 2.0 ** (rng.integers(-6, 4) if power_of_two else rng.uniform(-6, 4))
        p2 = qc.QuantParams(0.01, int(rng.integers(*DTYPES[b])), b)
        p = qc.QuantParams(p2.scale * np.float32(ratio), int(rng.integers(low, high)), a)
        q = rng.integers(low, high, 600, STORAGE[a], endpoint=True)
        got = qc.requantize(q, p, p2)
        assert got.dtype == STORAGE[b]
        np.testing.assert_array_equal(got, expected_requantize(q, p, p2))


def test_requantize_to_the_same_parameters_changes_nothing():
    q = np.arange(-128, 128, dtype=np.int8)
    p = qc.QuantParams(0.3, -7)
    np.testing.assert_array_equal(qc.requantize(q, p, p), q)
    moved = qc.requantize(q, p, qc.QuantParams(0.3, 121, "uint8"))
    np.testing.assert_array_equal(moved, q.view(np.uint8) ^ 0x80)


@pytest.mark.parametrize("which", ["from", "to", "both"])
def test_requantize_per_channel(which):
    rng = np.random.default_rng(6)
    scales = 2.0 ** rng.uniform(-4, 4, 5)
    per_channel = qc.QuantParams(scales, rng.integers(-100, 100, 5), axis=-1)
    single = qc.QuantParams(0.7, 3)
    p = per_channel if which != "to" else single
    p2 = {"from": single, "to": per_channel}.get(which, qc.QuantParams(scales[::-1], 0, axis=1))
    q = rng.integers(-128, 128, (60, 5), np.int8)
    for array in (q, np.asfortranarray(q), q[::-1]):
        got = qc.requantize(array, p, p2)
        for c in range(5):
            one, two = (v if v.axis is None else qc.QuantParams(v.scale[c], v.zero_point[c]) for v in (p, p2))
            np.testing.assert_array_equal(got[:, c], expected_requantize(array[:, c], one, two))


@pytest.mark.parametrize(
    ("p", "p2", "words"),
    [
        (qc.QuantParams(1e30, 0), qc.QuantParams(1e-9, 0), "less than 2\\*\\*31"),
        (qc.QuantParams([1, 2, 3], 0, axis=0), qc.QuantParams([1, 2, 3], 0, axis=1), "expected the same"),
        (qc.QuantParams([1, 2], 0, axis=0), qc.QuantParams(1, 0), "3 channels"),
        (qc.QuantParams(1, 0, "uint8"), qc.QuantParams(1, 0), "expected uint8"),
    ],
)
def test_what_requantize_refuses(p, p2, words):
    with pytest.raises(QuantizationError, match=words):
        qc.requantize(np.zeros((3, 3), np.int8), p, p2)


def test_requantize_names_the_profiles_it_knows():
    with pytest.raises(qc.QuantcoreError, match="reference"):
        qc.requantize(np.zeros(1, np.int8), qc.QuantParams(1, 0), qc.QuantParams(1, 0), numerics="nearest")


def test_a_range_wider_than_float32_is_refused():
    """Both ends are finite, their difference is not."""
    with pytest.raises(QuantizationError, match=r"range is \[.*\], .* wider than the largest float32"):
        qc.choose_qparams(-3e38, 3e38)
    with pytest.raises(QuantizationError, match="of channel 1 is"):
        qc.choose_qparams([0.0, -3e38], [1.0, 3e38], axis=0)
