"""`quantcore.tf_quantization.quantize` against TensorFlow and the page."""

from itertools import product

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError, QuantizationError
from tests.ops.harness import assert_same_bits, covers, run_page
from tests.tf_quantization.harness import (
    STORAGE,
    around_ties,
    compare,
    random_range,
)

MODES = [
    ("MIN_COMBINED", "HALF_AWAY_FROM_ZERO"),
    ("MIN_FIRST", "HALF_AWAY_FROM_ZERO"),
    ("SCALED", "HALF_AWAY_FROM_ZERO"),
    ("SCALED", "HALF_TO_EVEN"),
]
STEPS = {"qint8": 255, "quint8": 255, "qint16": 65535, "quint16": 65535, "qint32": 2**32 - 1}
X = np.array([-3.0, 0.1, 2.5, 7.0], np.float32)
BASE = {"input": X, "min_range": np.float32(-2), "max_range": np.float32(6), "T": "qint8"}


def step_of(T, low, high):
    return np.maximum(np.maximum(-low, high) - np.minimum(low, 0), 1e-3).astype(np.float64) / STEPS[T]


def cases(rng, T, shapes, ensured=(0.01,), axes=(None,)):
    for (mode, round_mode), narrow, minimum, axis, shape in product(
        MODES, (False, True), ensured, axes, shapes
    ):
        low, high = random_range(rng, None if axis is None else shape[axis])
        along = low.shape and [-1 if d == axis else 1 for d in range(len(shape))]
        step, first = step_of(T, low, high).reshape(along), np.minimum(low, 0).reshape(along)
        x = around_ties(rng, shape, step, first)
        options = {"narrow_range": narrow, "axis": axis, "ensure_minimum_range": minimum}
        words = {"T": T, "mode": mode, "round_mode": round_mode}
        yield {"input": x, "min_range": low, "max_range": high, **words, **options}


@pytest.mark.oracle
@pytest.mark.parametrize("T", STORAGE)
def test_every_mode(T):
    """Sizes around the blocks of vector code, ranges of all kinds; what one refuses the other refuses too."""
    rng = np.random.default_rng(0)
    shapes = [(n,) for n in (0, 1, 7, 8, 9, 31, 33, 70_001)] + [(), (2, 1, 3, 1, 5), (1, 2, 1, 2, 1, 2)]
    found = compare("quantize", [*cases(rng, T, shapes), *cases(rng, T, [(40, 5)], (0.01, 0.0, 1.0, -0.5))])
    covers(
        np.concatenate([output.ravel() for output, _, _ in found]), high=2147483520 if T == "qint32" else None
    )


@pytest.mark.oracle
@pytest.mark.parametrize("T", STORAGE)
def test_ranges_along_an_axis(T):
    rng = np.random.default_rng(1)
    found = compare("quantize", cases(rng, T, [(5, 1, 9), (2, 4, 33)], (0.01, 0.0), (0, 1, 2)))
    assert any(low.ndim for _, low, _ in found)


@pytest.mark.oracle
@pytest.mark.parametrize("T", STORAGE)
def test_every_half(T):
    """All float16 numbers, and the middles between them as float32."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = np.sort(halves[~np.isnan(halves)])
    middles = (halves[1:-2] + halves[2:-1]) / 2
    x = np.concatenate([halves, middles])
    ranges = [(np.float32(low), np.float32(high)) for low, high in ((-1, 1), (-63.7, 11.2), (0, 255))]
    compare(
        "quantize",
        [
            {"input": x, "min_range": low, "max_range": high, "T": T, "mode": mode, "round_mode": round_mode}
            for (mode, round_mode), (low, high) in product(MODES, ranges)
        ],
    )


@pytest.mark.oracle
def test_small_ranges():
    """Numbers that are subnormal, which TensorFlow takes for zero, and ranges as narrow as float32 allows."""
    rng = np.random.default_rng(2)
    calls = []
    for T, (mode, round_mode), wider in product(STORAGE, MODES, (0, 1, 5, 20)):
        power = wider + int(np.log2(STEPS[T])) - 126
        low, high = np.float32(-1.3 * 2.0**power), np.float32(0.9 * 2.0**power)
        x = around_ties(rng, (700,), 2.0 ** (power - 8))
        x[:300] = rng.integers(0, 2**24, 300, dtype=np.uint32).view(np.float32) * rng.choice([-1, 1], 300)
        calls.append({"input": x, "min_range": low, "max_range": high, "T": T, "mode": mode,
                      "round_mode": round_mode, "ensure_minimum_range": 0.0})  # fmt: skip
    compare("quantize", calls)


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("T", STORAGE)
def test_the_page(T, onednn):
    page = run_page("tf_quantize")
    rng = np.random.default_rng(4)
    for case in cases(rng, T, [(3, 600)], (0.01, 0.5)):
        case.pop("axis")
        if onednn and (T, case["round_mode"], case["narrow_range"]) == ("qint32", "HALF_TO_EVEN", False):
            continue
        ours = qc.tf_quantization.quantize(**case, onednn=onednn)
        arguments = {"x": case.pop("input"), "low": case.pop("min_range"), "high": case.pop("max_range"),
                     "ensured": case.pop("ensure_minimum_range"), **case}  # fmt: skip
        for mine, expected in zip(ours, page["quantize"](**arguments, onednn=onednn), strict=True):
            assert_same_bits(mine, np.asarray(expected), str(case))
    for (x, low, high, T, mode), expected in page["EXAMPLES"]:
        assert qc.tf_quantization.quantize(x, low, high, T, mode).output.tolist() == expected


def test_zero_is_no_number_of_a_range_in_min_combined():
    q, low, high = qc.tf_quantization.quantize([0.0], -1.0, 1.0, "quint8")
    back = qc.tf_quantization.dequantize(q, low, high)
    assert q.tolist() == [128]
    assert back[0] == pytest.approx(1 / 255, rel=1e-4)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.1, 1.0), (-0.31, 2.7), (0.0, 6.0), (-3.5, 0.25), (-100.0, 3.0), (-0.017, 0.011)]
)
def test_where_the_modes_are_affine(low, high):
    """MIN_FIRST has the converter's zero point; SCALED with narrow_range is its symmetric quantization."""
    rng = np.random.default_rng(5)
    x = rng.uniform(low * 1.1, high * 1.1, 4000).astype(np.float32)
    p = qc.choose_qparams(low, high, "int8")
    q, *ends = qc.tf_quantization.quantize(x, low, high, "qint8", "MIN_FIRST", ensure_minimum_range=0)
    near_ties = np.abs(np.abs(x / p.scale % 1) - 0.5) < 1e-3
    assert_same_bits(q[~near_ties], qc.quantize(x, p)[~near_ties])
    back, affine = qc.tf_quantization.dequantize(q, *ends, "MIN_FIRST"), qc.dequantize(q, p)
    np.testing.assert_allclose(back, affine, rtol=1e-5, atol=float(p.scale) * 1e-4)
    symmetric = qc.choose_qparams(low, high, "int8", symmetric=True, narrow_range=True)
    q, *ends = qc.tf_quantization.quantize(
        x, low, high, "qint8", "SCALED", narrow_range=True, ensure_minimum_range=0
    )
    near_ties = np.abs(np.abs(x / symmetric.scale % 1) - 0.5) < 1e-3
    assert_same_bits(q[~near_ties], qc.quantize(x, symmetric)[~near_ties])
    assert_same_bits(
        qc.tf_quantization.dequantize(q, *ends, "SCALED", narrow_range=True, onednn=False),
        qc.dequantize(q, symmetric),
    )


@pytest.mark.oracle
def test_what_tensorflow_refuses():
    wrong = [
        {"mode": "MIN_LAST"},
        {"round_mode": "HALF_UP"},
        {"round_mode": "HALF_TO_EVEN"},
        {"round_mode": "HALF_TO_EVEN", "mode": "MIN_FIRST"},
        {"T": "float32"},
        {"min_range": np.float32(6.5)},
        {"axis": 1},
        {"axis": 0},
        {"axis": 0, "min_range": np.zeros(4, np.float32)},
        {"axis": 0, "min_range": np.zeros(3, np.float32), "max_range": np.ones(3, np.float32)},
        {
            "axis": 0,
            "min_range": np.zeros(4, np.float32),
            "max_range": np.ones(4, np.float32),
            "mode": "MIN_FIRST",
        },
        {"min_range": np.zeros(4, np.float32), "max_range": np.ones(4, np.float32)},
    ]
    assert not compare("quantize", [{**BASE, **change} for change in wrong])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T": "int4"}, "T is 'int4'; expected one of qint8, quint8"),
        ({"T": None}, "T is None"),
        ({"mode": "min_first"}, "mode is 'min_first'; expected one of MIN_COMBINED"),
        ({"round_mode": "HALF_TO_EVEN"}, "needs the mode SCALED, not MIN_COMBINED"),
        ({"min_range": 7.0}, "min_range is 7.0 and max_range 6.0; expected min_range <= max_range"),
        ({"min_range": np.nan}, "min_range is nan; expected finite"),
        ({"max_range": np.inf}, "max_range is inf; expected finite"),
        ({"ensure_minimum_range": np.nan}, "ensure_minimum_range is nan"),
        ({"axis": 1}, "axis is 1; the array has 1 dim"),
        ({"axis": 0}, r"min_range has shape \(\); expected \(4,\)"),
        ({"min_range": [1, 2]}, "min_range has 2 numbers; expected one"),
        ({"input": ["a"]}, "input is <U1"),
        ({"input": np.array([[0, np.nan]])}, r"input\[0, 1\] is nan"),
        ({"min_range": 0, "max_range": 0, "ensure_minimum_range": 0}, "too narrow or too wide"),
        ({"min_range": -3e38, "max_range": 3e38}, "too narrow or too wide"),
        ({"T": "qint32", "mode": "SCALED", "round_mode": "HALF_TO_EVEN"}, "oneDNN does not quantize qint32"),
    ],
)
def test_errors(change, message):
    with pytest.raises((QuantizationError, KernelError), match=message):
        qc.tf_quantization.quantize(**{**BASE, **change})


def test_arguments_as_tensorflow_takes_them():
    expected = qc.tf_quantization.quantize(X, -2.0, 6.0, "qint8")
    assert expected._fields == ("output", "output_min", "output_max")
    for T in (np.int8, np.dtype("int8"), "int8", type("DType", (), {"name": "qint8"})()):
        assert_same_bits(qc.tf_quantization.quantize(X, -2.0, 6.0, T).output, expected.output)
    assert_same_bits(qc.tf_quantization.quantize(X.tolist(), [-2], [6], "qint8").output, expected.output)
    grid = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    ends = np.zeros(4), np.array([1.0, 9.0, 20.0, 30.0])
    columns = qc.tf_quantization.quantize(grid, *ends, "quint8", axis=2)
    for given in (grid, np.asfortranarray(grid), grid[::1].astype(np.float64)):
        found = qc.tf_quantization.quantize(given, *ends, "quint8", axis=-1)
        assert_same_bits(np.ascontiguousarray(found.output), columns.output)
