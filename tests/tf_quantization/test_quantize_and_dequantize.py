"""`quantcore.tf_quantization.quantize_and_dequantize_v2` against TensorFlow and the page."""

from itertools import product

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import OracleRefused, QuantcoreError, QuantizationError
from quantcore.oracle.calls import call_tensorflow
from tests.ops.harness import assert_same_bits, run_page
from tests.tf_quantization.harness import random_range
from tests.tf_quantization.oracle import get_tensorflow

TYPES = [(signed, bits) for signed in (True, False) for bits in (*range(1, 17), 24, 25, 31, 32, 53, 54, 61)]
ROUND_MODES = ("HALF_TO_EVEN", "HALF_UP")
FUNCTION = "quantization.quantize_and_dequantize_v2"


def data(rng, shape, low, high, signed, bits, dtype):
    """Ties and their neighbours by the step of either side, the ends, and arbitrary bits without NaN."""
    width = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    most = 2 ** (bits - signed)
    ties = rng.integers(-min(most, 2**40) - 2, min(most, 2**40) + 3, shape) + 0.5
    with np.errstate(all="ignore"):
        by_step = [(ties * width / max(steps, 1)).astype(dtype) for steps in (most, most - 1)]
        neighbours = np.nextafter(
            by_step[0], np.where(rng.random(shape) < 0.5, -np.inf, np.inf).astype(dtype)
        )
        word = np.uint32 if dtype == "float32" else np.uint64
        arbitrary = rng.integers(0, 2 ** (8 * word().nbytes), shape, dtype=word).view(dtype)
    ends = np.broadcast_to(width.astype(dtype), shape)
    spread = (rng.standard_normal(shape) * width).astype(dtype)
    x = np.choose(rng.integers(0, 6, shape), [*by_step, neighbours, arbitrary, ends, spread])
    return np.where(np.isnan(x), x.dtype.type(0), x)


def within(x, low, high):
    """`x` near a range, of which it has the ends: as data that has this range."""
    x = np.clip(x, low * 1.25, high * 1.25).astype(x.dtype)
    return np.where(x == 0, np.abs(x), x)  # the sign of zeros may depend on their places


def cases(rng, shapes, dtypes=("float32", "float64"), given=(True, False), axes=(None,)):
    for dtype, (signed, bits), axis, range_given, mode, narrow in product(
        dtypes, TYPES, axes, given, ROUND_MODES, (False, True)
    ):
        shape = shapes[int(rng.integers(len(shapes)))]
        low, high = random_range(rng, None if axis is None else shape[axis])
        low, high = low.astype(dtype), high.astype(dtype)
        along = low.shape and [-1 if d == axis else 1 for d in range(len(shape))]
        ends = low.reshape(along), high.reshape(along)
        x = data(rng, shape, *ends, signed, bits, dtype)
        words = {"signed_input": signed, "num_bits": bits, "round_mode": mode, "narrow_range": narrow}
        where = {"input_min": low, "input_max": high, "range_given": range_given, "axis": axis}
        own = within(x, np.minimum(ends[0], 0), np.maximum(ends[1], 1e-3))
        yield {"input": x if range_given else own, **words, **where}


def compare(calls, name=FUNCTION, changed=dict):
    calls = list(calls)
    answers = call_tensorflow(get_tensorflow(), [(name, changed(call)) for call in calls])
    for call, expected in zip(calls, answers, strict=True):
        what = str({k: v for k, v in call.items() if k != "input"})
        if isinstance(expected, OracleRefused):
            with pytest.raises(QuantcoreError):
                print(what, "is not refused:", qc.tf_quantization.quantize_and_dequantize_v2(**call))
            continue
        assert_same_bits(qc.tf_quantization.quantize_and_dequantize_v2(**call), expected[0], what)
    return sum(
        call["input"].size for call, answer in zip(calls, answers, strict=True) if isinstance(answer, list)
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_type(dtype):
    """All widths to 16 bits, and those at which bounds stop to be floats; sizes around vector blocks."""
    rng = np.random.default_rng(0)
    shapes = [(), (1,), (7,), (2, 4), (9,), (33,), (5, 401), (1, 1, 2, 1, 3, 1, 2)]
    assert compare(cases(rng, shapes, (dtype,))) > 10_000
    assert compare(cases(rng, [(8009,)], (dtype,))) > 1e6


@pytest.mark.oracle
def test_large_arrays():
    """On several blocks of work."""
    rng = np.random.default_rng(1)
    x = data(rng, (300_001,), -3, 5, True, 8, "float32")
    base = {"input": x, "input_min": np.float32(-3), "input_max": np.float32(5)}
    compare(
        {**base, "range_given": given, "round_mode": mode}
        for given, mode in product((True, False), ROUND_MODES)
    )


@pytest.mark.oracle
def test_every_half():
    """All float16 numbers and the middles between them, in 8 bits."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = np.sort(halves[np.isfinite(halves)])
    x = np.concatenate([halves, (halves[:-1] + halves[1:]) / 2])
    calls = []
    for (low, high), signed, mode in product(
        ((-1, 1), (-63.7, 11.2), (-128, 127)), (True, False), ROUND_MODES
    ):
        for given in (True, False):
            calls.append({"input": x, "input_min": np.float32(low), "input_max": np.float32(high),
                          "signed_input": signed, "range_given": given, "round_mode": mode})  # fmt: skip
    compare(calls)


@pytest.mark.oracle
def test_ranges_along_an_axis():
    rng = np.random.default_rng(2)
    compare(cases(rng, [(5, 1, 9), (2, 4, 33)], given=(False,), axes=(0, 1, 2)))


@pytest.mark.oracle
def test_given_ranges_along_an_axis():
    """TensorFlow's V2 and V4 refuse every shape; its V3 computes them."""
    rng = np.random.default_rng(3)
    all_cases = cases(rng, [(5, 1, 9), (2, 4, 33)], given=(True,), axes=(0, 1, 2))
    calls = [case for case in all_cases if case["round_mode"] == "HALF_TO_EVEN"]
    name = "raw_ops.QuantizeAndDequantizeV3"
    assert compare(calls, name, lambda call: {k: v for k, v in call.items() if k != "round_mode"}) > 10_000
    (answer,) = call_tensorflow(get_tensorflow(), [(FUNCTION, calls[0])])
    assert isinstance(answer, OracleRefused), "TensorFlow takes them now: compare all ways to round"


@pytest.mark.oracle
def test_special_numbers():
    """NaN, infinities, zeros of both signs; ranges of zeros; ranges so narrow that numbers are subnormal."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1e-45, -1e-45, 2.5, 1e-38, 3e38], np.float32)
    calls = []
    for signed, mode, narrow in product((True, False), ROUND_MODES, (False, True)):
        options = {"signed_input": signed, "round_mode": mode, "narrow_range": narrow}
        for low, high in (
            (-1, 1),
            (0, 0),
            (0, 2),
            (-2, 0),
            (1, 3),
            (-3, -1),
            (-1e-36, 2e-36),
            (-1e-38, 3e-38),
        ):
            ends = {"input_min": np.float32(low), "input_max": np.float32(high), **options}
            calls.append({"input": x, **ends, "range_given": True})
            calls.append({"input": np.float32([low, high, high]), **ends})
            wide = {"input_min": np.float64(low * 1e-270), "input_max": np.float64(high * 1e-270)}
            calls.append({"input": x.astype(np.float64), **options, **wide, "range_given": True})
        calls.append({"input": x[1:], "input_min": np.float32(0), "input_max": np.float32(0), **options})
        calls.append({"input": x[:0], "input_min": np.float32(0), "input_max": np.float32(0), **options})
    compare(calls)


@pytest.mark.oracle
def test_what_tensorflow_refuses():
    base = {"input": np.ones((2, 2), np.float32), "input_min": np.float32(-1), "input_max": np.float32(1)}
    given = {**base, "range_given": True}
    wrong = [
        {**base, "num_bits": 0},
        {**base, "num_bits": 62},
        {**base, "num_bits": 63, "signed_input": False},
        {**base, "round_mode": "HALF_AWAY_FROM_ZERO"},
        {**base, "axis": 2},
        {**base, "input": np.ones(2, np.float16)},
        {**base, "input": np.ones(2, np.int32)},
        {**given, "input_min": np.float32(1.5)},
        {**given, "input_min": np.float32(np.nan)},
        {**given, "input_min": np.ones(2, np.float32), "input_max": np.ones(2, np.float32)},
        {**given, "axis": 0},
    ]
    assert compare(wrong) == 0


def test_the_page():
    page = run_page("tf_quantize_and_dequantize")
    for case in cases(np.random.default_rng(4), [(30, 7)]):
        ours = qc.tf_quantization.quantize_and_dequantize_v2(**case)
        case.pop("axis")
        x, low, high, signed = (case.pop(k) for k in ("input", "input_min", "input_max", "signed_input"))
        assert_same_bits(ours, page["quantize_and_dequantize"](x, low, high, signed, **case), str(case))
    for arguments, expected in page["EXAMPLES"]:
        found = qc.tf_quantization.quantize_and_dequantize_v2(*arguments, range_given=True)
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_bits": 0}, "num_bits is 0; expected an integer from 1 to 61 with a sign"),
        ({"num_bits": 63, "signed_input": False}, "from 1 to 62 without a sign"),
        ({"num_bits": 7.5}, "num_bits is 7.5"),
        ({"round_mode": "HALF_DOWN"}, "round_mode is 'HALF_DOWN'; expected one of HALF_TO_EVEN, HALF_UP"),
        ({"input": np.ones(2, np.int8)}, "input is int8; expected float32 or float64"),
        ({"input": [np.nan, 1.0]}, "input has a NaN, and range_given is False"),
        ({"axis": 1}, "axis is 1"),
        ({"range_given": True, "input_min": 7}, "input_min is 7.0 and input_max 6.0"),
        ({"range_given": True, "input_max": np.inf}, "input_max is inf"),
        ({"range_given": True, "axis": 0, "input_min": [1, 2], "input_max": [0, 3]}, "min of slice 0 is 1"),
        ({"range_given": True, "axis": 0}, r"input_min has shape \(\); expected \(2,\)"),
        ({"range_given": True, "axis": 0, "input_min": [1, 2], "input_max": [3, 3], "round_mode": "HALF_UP"},
         "TensorFlow has no op for round_mode HALF_UP"),
    ],
)  # fmt: skip
def test_errors(change, message):
    base = {"input": [0.5, 1.0], "input_min": -2.0, "input_max": 6.0}
    with pytest.raises(QuantizationError, match=message):
        qc.tf_quantization.quantize_and_dequantize_v2(**{**base, **change})


def test_layouts():
    grid = np.random.default_rng(5).standard_normal((4, 5, 6))
    expected = qc.tf_quantization.quantize_and_dequantize_v2(grid, 0, 0, num_bits=4, axis=1)
    for given in (np.asfortranarray(grid), np.repeat(grid, 2, 2)[:, :, ::2]):
        found = qc.tf_quantization.quantize_and_dequantize_v2(given, 0, 0, num_bits=4, axis=-2)
        assert_same_bits(np.ascontiguousarray(found), expected)
