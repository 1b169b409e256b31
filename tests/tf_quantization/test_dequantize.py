"""`quantcore.tf_quantization.dequantize` against TensorFlow and the page."""

from itertools import product

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError, QuantizationError
from tests.ops.harness import assert_same_bits, random_values, run_page
from tests.tf_quantization.harness import STORAGE, compare, random_range

MODES = ("MIN_COMBINED", "MIN_FIRST", "SCALED")


def every_value(rng, T):
    """All numbers of a type; of qint32 some, with the first and the last."""
    bounds = np.iinfo(STORAGE[T])
    if T == "qint32":
        return random_values(rng, (70_000,), "int32")
    return np.arange(bounds.min, bounds.max + 1).astype(STORAGE[T])


def cases(rng, T, q, axes=(None,), repeat=1):
    for mode, narrow, dtype, axis, _ in product(
        MODES, (False, True), ("float32", "bfloat16"), axes, range(repeat)
    ):
        low, high = random_range(rng, None if axis is None else q.shape[axis])
        yield {"input": (q, T), "min_range": low, "max_range": high, "mode": mode, "narrow_range": narrow,
               "dtype": dtype, "axis": axis}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("T", STORAGE)
def test_every_value(T):
    """In each mode, for several ranges; bfloat16 where TensorFlow has it."""
    rng = np.random.default_rng(0)
    found = compare("dequantize", cases(rng, T, every_value(rng, T), repeat=4))
    assert len(found) >= 5 * 4


@pytest.mark.oracle
@pytest.mark.parametrize("T", STORAGE)
def test_ranges_along_an_axis(T):
    rng = np.random.default_rng(1)
    calls = []
    for shape in ((5, 1, 9), (2, 4, 33)):
        calls += cases(rng, T, random_values(rng, shape, STORAGE[T]), axes=(0, 1, 2))
    compare("dequantize", calls)


@pytest.mark.oracle
def test_shapes_and_small_ranges():
    """Scales and results that are subnormal are zeros."""
    rng = np.random.default_rng(2)
    calls = []
    for T, mode, power in product(STORAGE, MODES, (-100, -117, -120, -126, -130)):
        low, high = np.float32(-1.3 * 2.0**power), np.float32(0.9 * 2.0**power)
        q = random_values(rng, (65,), STORAGE[T])
        if mode != "MIN_FIRST" or (
            power > -110 and T != "qint32"
        ):  # elsewhere the scale is 0, and min / 0 is formed
            calls.append({"input": (q, T), "min_range": low, "max_range": high, "mode": mode})
    for T, mode, shape in product(STORAGE, MODES, ((), (1, 2, 1, 2, 1, 2), (1, 1, 2, 1, 3))):
        q = random_values(rng, shape, STORAGE[T])
        calls.append({"input": (q, T), "min_range": np.float32(-1), "max_range": np.float32(3), "mode": mode})
    for T, mode in product(STORAGE, MODES):  # zeros of both signs
        q = random_values(rng, (9,), STORAGE[T])
        calls.append({"input": (q, T), "min_range": np.float32(0), "max_range": np.float32(0), "mode": mode})
    compare("dequantize", calls)


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("T", STORAGE)
def test_the_page(T, onednn):
    page = run_page("tf_quantize")["dequantize"]
    rng = np.random.default_rng(4)
    for mode, narrow in product(MODES, (False, True)):
        if onednn and (T, mode) == ("qint32", "SCALED"):
            continue
        for _ in range(3):
            q, (low, high) = every_value(rng, T), random_range(rng)
            ours = qc.tf_quantization.dequantize(q, low, high, mode, narrow_range=narrow, onednn=onednn)
            assert_same_bits(ours, page(q, low, high, mode, narrow, onednn), f"{mode} {narrow}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": np.zeros(3)}, "the dtype of input is dtype.'float64'.; expected one of qint8"),
        ({"mode": "SCALE"}, "mode is 'SCALE'; expected one of MIN_COMBINED"),
        ({"dtype": "float16"}, "dtype is 'float16'; expected one of float32, bfloat16"),
        ({"dtype": "bfloat16", "mode": "MIN_FIRST"}, "bfloat16 needs the mode MIN_COMBINED"),
        ({"min_range": 7.0}, "min_range is 7.0 and max_range 6.0"),
        ({"max_range": np.nan}, "max_range is nan"),
        ({"axis": 2}, "axis is 2"),
        (
            {"axis": 0, "mode": "MIN_FIRST", "min_range": [0, 0, 0], "max_range": [1, 1, 1]},
            "MIN_FIRST has no axis",
        ),
        ({"min_range": [1, 2]}, "min_range has 2 numbers"),
        ({"input": np.zeros(2, np.int32), "mode": "SCALED"}, "oneDNN does not dequantize qint32"),
        ({"input": np.int8(3), "mode": "SCALED"}, "oneDNN does not dequantize 0 dimensions"),
        ({"min_range": -3e38, "max_range": 3e38}, "too narrow or too wide"),
    ],
)
def test_errors(change, message):
    base = {"input": np.zeros(3, np.int8), "min_range": -2.0, "max_range": 6.0}
    with pytest.raises((QuantizationError, KernelError), match=message):
        qc.tf_quantization.dequantize(**{**base, **change})


def test_dtypes_of_the_result():
    q = np.arange(-128, 128).astype(np.int8)
    expected = qc.tf_quantization.dequantize(q, -2.0, 6.0)
    for dtype in (np.float32, np.dtype("float32"), type("DType", (), {"name": "float32"})()):
        assert_same_bits(qc.tf_quantization.dequantize(q, -2.0, 6.0, dtype=dtype), expected)
