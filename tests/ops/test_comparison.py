"""Comparisons: all pairs of 8-bit values for many scales; logical operators; refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.numerics import PROFILES
from tests.ops.harness import (
    TFLITE,
    assert_same_bits,
    check,
    check_samples,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

NUMPY = {
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
}
# scales and zero points; where multiples of 2**-9 occur, half of the products are ties
PAIRS = [
    ((0.05, 0.05), (0, 0)),
    ((0.5, 0.25), (-128, 127)),
    ((1 / 512, 1 / 512), (3, -5)),
    ((3 / 512, 1 / 1024), (0, 7)),
    ((0.001, 0.0012), (-128, -128)),
    ((1e-7, 0.9999999), (0, 0)),
]


def model(
    op: str,
    dtype: str,
    shapes: Any = ((8,), (8,)),
    scales: tuple[float, float] | None = None,
    zero_points: tuple[int, int] = (0, 0),
    version: int = 2,
) -> Model:
    inputs = [
        tensor(shape, dtype, None if scales is None else scales[k], zero_points[k])
        for k, shape in enumerate(shapes)
    ]
    return op_model(op, inputs, [tensor((), "bool")], version=version)


def all_pairs(dtype: str) -> list[np.ndarray]:
    values = np.arange(256, dtype=np.uint8).astype(dtype)
    return [np.repeat(values, 256), np.tile(values, 256)]


@pytest.mark.parametrize("op", NUMPY)
@pytest.mark.parametrize("profile", PROFILES)
def test_all_pairs(profile: str, op: str) -> None:
    for scales, zero_points in PAIRS:
        for dtype in ("int8",) if profile == "tflm" else ("int8", "uint8"):
            shift = 0 if dtype == "int8" else 128
            zeros = (zero_points[0] + shift, zero_points[1] + shift)
            (y,) = check(
                model(op, dtype, ((65536,), (65536,)), scales, zeros), all_pairs(dtype), numerics=profile
            )
            assert y.any() or op != "EQUAL" or zero_points != (0, 0)


def test_close_values_compare_as_equal() -> None:
    (y,) = check(
        model("EQUAL", "int8", scales=(1 / 512, 1 / 512)),
        [np.arange(8, dtype=np.int8), np.arange(1, 9, dtype=np.int8)],
    )
    assert y.tolist() == [False, True, False, True, False, True, False, True]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_stored_values(dtype: str, profile: str) -> None:
    rng = np.random.default_rng(1)
    for op, function in NUMPY.items():
        a, b = (random_values(rng, (60,), dtype) for _ in range(2))
        b[::3] = a[::3]
        if dtype == "float32":
            a[:6] = [np.nan, 1, np.nan, np.inf, -0.0, -np.inf]
            b[:6] = [np.nan, np.nan, 1, np.inf, 0.0, np.inf]
        (y,) = check(model(op, dtype, ((60,), (60,))), [a, b], numerics=profile)
        assert_same_bits(y, function(a, b))


@pytest.mark.parametrize("shapes", [((2, 3, 4), (4,)), ((1,), (3, 5)), ((2, 1, 3, 1), (4, 1, 5)), ((), (3,))])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_broadcasting(dtype: str, shapes: Any) -> None:
    rng = np.random.default_rng(2)
    scales = (0.05, 0.07) if dtype == "int8" else None
    for op in ("LESS", "NOT_EQUAL"):
        samples = [[random_values(rng, shape, dtype) for shape in shapes] for _ in range(2)]
        for profile in PROFILES:
            check_samples(model(op, dtype, shapes, scales, (3, -4)), samples, numerics=profile)


def test_booleans_and_int16() -> None:
    rng = np.random.default_rng(3)
    for op in ("EQUAL", "NOT_EQUAL"):
        booleans = [random_values(rng, (8,), "bool") for _ in range(2)]
        for profile in PROFILES:
            check(model(op, "bool"), booleans, numerics=profile)
        a, b = (random_values(rng, (500,), "int16") for _ in range(2))
        b[::2] = a[::2]
        for profile in TFLITE:
            for scales in ((0.01, 0.01), (1 / 512, 3e-5)):
                check(model(op, "int16", ((500,), (500,)), scales, version=4), [a, b], numerics=profile)
            if op == "EQUAL":
                check(model(op, "int16", ((500,), (500,)), version=4), [a, b], numerics=profile)


def test_logical_operators() -> None:
    values = [np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)]
    shape = ((4,), (4,))
    for profile in PROFILES:
        (y,) = check(model("LOGICAL_AND", "bool", shape, version=1), values, numerics=profile)
        assert y.tolist() == [False, False, False, True]
        (y,) = check(model("LOGICAL_OR", "bool", shape, version=1), values, numerics=profile)
        assert y.tolist() == [False, True, True, True]
        inverted = op_model("LOGICAL_NOT", [tensor((4,), "bool")], [tensor((), "bool")])
        (y,) = check(inverted, values[:1], numerics=profile)
        assert y.tolist() == [True, True, False, False]
    wide = model("LOGICAL_OR", "bool", ((2, 1, 4), (3, 1)), version=1)
    check(wide, [random_values(np.random.default_rng(4), shape, "bool") for shape in ((2, 1, 4), (3, 1))])


def test_the_page_computes_what_the_kernel_computes() -> None:
    compare = run_page("comparison")["compare"]
    a, b = all_pairs("int8")
    for scales, zero_points in PAIRS:
        for op, function in NUMPY.items():
            built = model(op, "int8", ((65536,), (65536,)), scales, zero_points)
            assert_same_bits(run_ours(built, [a, b])[0], compare(function, a, b, scales, zero_points))


# Refusals -------------------------------------------------------------------------------------------


def refused(built: Model, reason: str, numerics: str = "reference") -> None:
    tensors = [built.subgraphs[0].tensors[t] for t in built.subgraphs[0].inputs]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(built, [np.zeros(t.shape, t.dtype) for t in tensors], numerics)


def test_refusals() -> None:
    zeros = [np.zeros(8, bool)] * 2
    refused(model("LESS", "bool"), "bool")
    assert refusal(model("LESS", "bool"), zeros)
    refused(model("LESS", "int8", scales=(1.0, 0.5)), "scale 1.0")
    refused(model("LESS", "int8", scales=(1.5, 0.5)), "scale 1.5")
    refused(model("LESS", "int8"), "without a scale")
    refused(model("EQUAL", "uint8", scales=(0.1, 0.1)), "uint8", "tflm")
    refused(model("EQUAL", "int16", scales=(0.1, 0.1)), "int16", "tflm")
    refused(model("NOT_EQUAL", "int16"), "writes no output")
    refused(model("LESS", "int16", scales=(0.1, 0.1)), "int16")
    refused(model("LESS", "float32", ((2,), (3,))), "broadcast")
    refused(model("LESS", "float32", ((1, 1, 1, 1, 2), (1,))), "5 dimensions")
    refused(model("LOGICAL_AND", "int32", version=1), "bool")
    mixed = op_model(
        "LESS", [tensor((2,), "int32"), tensor((2,), "float32")], [tensor((), "bool")], version=2
    )
    refused(mixed, "differ")
    written = op_model("LESS", [tensor((2,), "int32")] * 2, [tensor((2,), "int32")], version=2)
    refused(written, "int32")
