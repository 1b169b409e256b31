"""Calibration methods by name, and what a name may be followed by."""

import re

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import MSE, Entropy, MinMax, MovingAverage, Percentile
from quantcore.calibration.methods import METHODS, make_tracker, method_text, narrow
from quantcore.errors import QuantizationError
from tests.ops.harness import REPOSITORY


@pytest.mark.parametrize(
    ("method", "expected", "text"),
    [
        ("min_max", MinMax(), "min_max"),
        ("moving_average:0.9", MovingAverage(0.9), "moving_average:momentum=0.9"),
        ("percentile", Percentile(99.99), "percentile"),
        ("percentile:99.9", Percentile(99.9), "percentile:percentile=99.9"),
        ("percentile:99,bins=64", Percentile(99, bins=64), "percentile:percentile=99,bins=64"),
        ("mse", MSE(), "mse"),
        ("mse:int16", MSE("int16"), "mse:dtype=int16"),
        ("entropy:int4", Entropy("int4"), "entropy:dtype=int4"),
        ("entropy:bins=2048,dtype=int4", Entropy("int4", bins=2048), "entropy:bins=2048,dtype=int4"),
        ({"method": "mse", "bins": 64}, MSE(bins=64), "mse:bins=64"),
    ],
)
def test_a_name_is_a_tracker(method, expected, text):
    assert repr(make_tracker(method)) == repr(expected)
    assert method_text(method) == text
    assert repr(make_tracker(text)) == repr(expected)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("max", "'max' is unknown; known: min_max, moving_average, percentile, mse, entropy"),
        (":99", "'' is unknown"),
        ({}, "None is unknown"),
        ({"method": ["mse"]}, "is unknown"),
        ("percentile:", "percentile is '', which is no number; expected such as 'percentile:99.99' or "),
        ("percentile:abc", "percentile is 'abc', which is no number; expected such as 'percentile:99.99'"),
        ("percentile:99,64", "'64' has no name; expected such as .* 'percentile:percentile=99.99,bins=4096'"),
        ("percentile:nan", "percentile is nan"),
        ("percentile:101", "percentile is 101"),
        ("percentile:99,bins=1000", "bins is 1000; expected a power of two"),
        ("percentile:99,bins=64.5", "bins is 64.5"),
        ("mse:float", "dtype is 'float'"),
        ("mse:", "dtype is ''"),
        ("mse:8", "dtype is 8, which is no name; expected such as 'mse:int8'"),
        ({"method": "mse", "speed": 1}, "mse does not take speed; expected such as 'mse:int8'"),
        ("entropy:foo=1", "entropy does not take foo; expected such as 'entropy:int8'"),
        ({"method": "percentile", "percentile": "x"}, "percentile is 'x', which is no number"),
        ({"method": "percentile", "percentile": None}, "percentile is None, which is no number"),
        ({"method": "mse", "axis": 1}, "mse does not take axis"),
        ("min_max:1", "'min_max:1': nothing follows min_max; expected 'min_max'$"),
    ],
)
def test_what_is_refused(method, words):
    with pytest.raises(QuantizationError, match=words):
        make_tracker(method)


@pytest.mark.parametrize("method", METHODS)
def test_range_and_share_outside(method):
    tracker = make_tracker(method)
    x = np.random.default_rng(0).standard_normal(1000)
    tracker.update(x)
    low, high, share = narrow(tracker)
    assert -4 < low < high < 4
    if share is not None:
        assert abs(share - ((x < low) | (x > high)).mean()) < 0.002


def signal_to_noise(x, method, dtype):
    """Return the ratio in dB when `x` is quantized to the range that a method chooses."""
    tracker = make_tracker(method)
    tracker.update(x)
    p = qc.choose_qparams(*tracker.range(), dtype)
    noise = qc.dequantize(qc.quantize(x, p), p).astype(np.float64) - x
    return 10 * np.log10(np.square(x, dtype=np.float64).mean() / np.square(noise).mean())


def test_the_comparison_of_the_page():
    rng, n = np.random.default_rng(0), 100_000
    normal = rng.standard_normal(n)
    values = [
        normal, np.maximum(normal, 0), rng.laplace(size=n), rng.standard_t(3, size=n),
        np.append(normal, 30), rng.random(n),
    ]  # fmt: skip
    columns = [
        (m, "int8") for m in ("min_max", "percentile:99.99", "percentile:99.9", "mse:int8", "entropy:int8")
    ]
    columns += [(m, "int4") for m in ("min_max", "percentile:99.9", "mse:int4", "entropy:int4")]
    page = (REPOSITORY / "docs/quantization/calibration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|`]+ \|((?: -?[0-9.]+ \|)+)$", page, re.MULTILINE)
    assert len(rows) == len(values)
    for row, x in zip(rows, values, strict=True):
        stated = [float(cell) for cell in row.split("|") if cell.strip()]
        measured = [signal_to_noise(x.astype(np.float32), method, dtype) for method, dtype in columns]
        np.testing.assert_allclose(stated, measured, rtol=0, atol=0.06)
        assert stated[3] == max(stated[:5])
        assert stated[7] == max(stated[5:])
