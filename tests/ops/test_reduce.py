"""SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ANY, REDUCE_ALL: axes, ties, extremes, floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.ops.registry import load_operators
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    const,
    covers,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

PLAIN = ("int8", "uint8", "int16", "int32", "int64", "float32")
QUANTIZED = ("int8", "uint8", "int16")
SHAPES_AND_AXES: list[tuple[tuple[int, ...], Any]] = [
    ((2, 5, 7, 3), [1, 2]),
    ((2, 5, 7, 19), [-3, -2]),
    ((2, 5, 7, 3), [3]),
    ((2, 5, 7, 3), [0, 2]),
    ((2, 5, 7, 3), [3, 1]),
    ((2, 5, 7, 3), [0, 1, 2, 3]),
    ((4, 1, 6), [0, 1]),
    ((6, 65), 1),
    ((33,), [0]),
    ((2, 3, 2, 3, 2, 3), [0, 2, 4]),
]
NOTHING_REDUCED: list[tuple[tuple[int, ...], Any]] = [((2, 5, 3), []), ((4, 1, 6), [1]), ((1, 1), [0, 1])]
# What TFLite Micro has: operator and dtype
MICRO = {
    *((op, dtype) for op in ("REDUCE_MAX", "REDUCE_MIN") for dtype in ("int8", "float32")),
    *(("SUM", dtype) for dtype in ("int8", "int16", "float32")),
    ("REDUCE_ALL", "bool"),
}


def reduction(
    op: str, shape: Any, axis: Any, dtype: str, scales: Any = None, keep_dims: bool = False
) -> Model:
    si, zi, so, zo = scales or (None, 0, None, 0)
    return op_model(
        op,
        [tensor(shape, dtype, si, zi), const(np.array(axis, np.int32))],
        [tensor((), dtype, so, zo)],
        {"keep_dims": keep_dims},
        version=load_operators()[op].max_version,
    )


def random_scales(rng: np.random.Generator, dtype: str) -> tuple[float, int, float, int]:
    info = np.iinfo(dtype)
    zeros = (0, 0) if dtype == "int16" else tuple(int(z) for z in rng.integers(info.min, info.max + 1, 2))
    return float(np.exp(rng.uniform(-4, 0))), zeros[0], float(np.exp(rng.uniform(-3, 2))), zeros[1]


def cases(numerics: str) -> list[tuple[tuple[int, ...], Any]]:
    return SHAPES_AND_AXES if numerics == "xnnpack" else SHAPES_AND_AXES + NOTHING_REDUCED


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("dtype", PLAIN)
@pytest.mark.parametrize("op", ["SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"])
def test_without_scales(op: str, dtype: str, numerics: str) -> None:
    if numerics == "tflm" and (op, dtype) not in MICRO:
        pytest.skip("TFLite Micro does not have it")
    if op == "SUM" and dtype in QUANTIZED:
        pytest.skip("a sum of 8 or 16 bits has scales")
    if dtype == "float32" and numerics == "xnnpack" and op != "REDUCE_PROD":
        pytest.skip("see test_floats_of_xnnpack")
    rng = np.random.default_rng(71)
    for shape, axis in cases(numerics):
        for keep_dims in (False, True):
            x = random_values(rng, shape, dtype, **({"special": True} if dtype == "float32" else {}))
            x.reshape(-1)[::5] = -0.0 if dtype == "float32" else 1
            check(reduction(op, shape, axis, dtype, keep_dims=keep_dims), [x], numerics=numerics)


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("dtype", QUANTIZED)
def test_sum(dtype: str, numerics: str) -> None:
    if (dtype, numerics) in (("uint8", "tflm"), ("int16", "reference")):
        pytest.skip("the profile does not have it")
    rng, formula = np.random.default_rng(72), run_page("sum")["quantized_sum"]
    for shape, axis in cases(numerics) * 3:
        scales = random_scales(rng, dtype)
        x = random_values(rng, shape, dtype)
        (y,) = check(reduction("SUM", shape, axis, dtype, scales), [x], numerics=numerics)
        profile = "optimized" if numerics == "xnnpack" and dtype == "int16" else numerics
        assert_same_bits(formula(x, axis, *scales, profile), y, f"page sum, {numerics} {shape} {axis}")


@pytest.mark.parametrize("numerics", PROFILES)
def test_ties_of_sums(numerics: str) -> None:
    """Halves of both signs, every sum of two values."""
    values = np.arange(-128, 128)
    x = np.stack([np.repeat(values, 256), np.tile(values, 256)], axis=1).astype(np.int8)
    for zeros in ((0, 0), (1, 3), (-128, 127)):
        (y,) = check(
            reduction("SUM", x.shape, [1], "int8", (0.25, zeros[0], 0.5, zeros[1])), [x], numerics=numerics
        )
        if numerics != "reference" and zeros == (0, 0):
            covers(y)


def test_the_tie_of_the_page() -> None:
    x = np.array([[-1, 0]], np.int8)
    for zero_point, expected in ((0, (-128, -1, -1, 0)), (3, (-125, 2, 3, 3))):
        for numerics, value in zip(PROFILES, expected, strict=True):
            model = reduction("SUM", x.shape, [1], "int8", (0.25, 0, 0.5, zero_point))
            (y,) = check(model, [x], numerics=numerics)
            assert y.tolist() == [value], (numerics, zero_point)


@pytest.mark.parametrize("numerics", PROFILES)
def test_extreme_ratios_of_sums(numerics: str) -> None:
    x = random_values(np.random.default_rng(73), (2, 3, 5, 19))
    for ratio in (1e-9, 1e-3, 1e6, 1e9, 1e20):
        if ratio > 1e9 and numerics in ("reference", "tflm"):
            continue
        for zeros in ((0, 0), (-128, 127), (127, -128)):
            model = reduction("SUM", x.shape, [1, 2], "int8", (1.0, zeros[0], 1 / ratio, zeros[1]))
            check(model, [x], numerics=numerics)


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("dtype", QUANTIZED)
@pytest.mark.parametrize("op", ["REDUCE_MAX", "REDUCE_MIN"])
def test_extremes_with_scales(op: str, dtype: str, numerics: str) -> None:
    if numerics == "tflm" and (op, dtype) not in MICRO:
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(74)
    for shape, axis in cases(numerics):
        scale, zero_point, _, _ = random_scales(rng, dtype)
        x = random_values(rng, shape, dtype)
        (y,) = check(
            reduction(op, shape, axis, dtype, (scale, zero_point, scale, zero_point)), [x], numerics=numerics
        )
        find = np.max if op == "REDUCE_MAX" else np.min
        assert_same_bits(find(x, axis=tuple(np.ravel(axis))) if np.ravel(axis).size else x, y, op)


@pytest.mark.parametrize("numerics", TFLITE)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_products_with_scales(dtype: str, numerics: str) -> None:
    rng, formula = np.random.default_rng(75), run_page("reduce_prod")["quantized_product"]
    for shape, axis in (SHAPES_AND_AXES + (NOTHING_REDUCED if numerics == "reference" else [])) * 2:
        info = np.iinfo(dtype)
        zeros = (0, 0) if dtype == "int16" else tuple(int(z) for z in rng.integers(info.min, info.max + 1, 2))
        # steps near 1 keep products of many elements in range
        scales = (float(np.exp(rng.uniform(-6, 0))), zeros[0], float(np.exp(rng.uniform(-3, 2))), zeros[1])
        x = random_values(rng, shape, dtype)
        (y,) = check(reduction("REDUCE_PROD", shape, axis, dtype, scales), [x], numerics=numerics)
        assert_same_bits(formula(x, axis, *scales), y, f"page reduce_prod, {numerics} {shape} {axis}")


def test_products_cover_the_type() -> None:
    model = reduction("REDUCE_PROD", (1, 2), [1], "int8", (0.5, 0, 0.5, 0))
    (y,) = check(model, [np.array([[3, 3]], np.int8)])
    assert y.tolist() == [4]  # 4.5 steps, rounded twice: the page's example
    x = random_values(np.random.default_rng(76), (3000, 3))
    (y,) = check(reduction("REDUCE_PROD", x.shape, [1], "int8", (0.05, 0, 0.5, 0)), [x])
    covers(y)


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("op", ["REDUCE_ANY", "REDUCE_ALL"])
def test_logical(op: str, numerics: str) -> None:
    if numerics == "tflm" and (op, "bool") not in MICRO:
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(77)
    for shape, axis in cases(numerics):
        for share in (0.02, 0.5, 0.98):
            x = rng.random(shape) < share
            (y,) = check(reduction(op, shape, axis, "bool"), [x], numerics=numerics)
            find = np.any if op == "REDUCE_ANY" else np.all
            assert_same_bits(find(x, axis=tuple(np.ravel(axis))) if np.ravel(axis).size else x, y, op)


@pytest.mark.parametrize(("op", "dtype"), [("REDUCE_ANY", "bool"), ("REDUCE_MAX", "int8")])
def test_pages(op: str, dtype: str) -> None:
    formula, x = run_page(op.lower())[op.lower()], random_values(np.random.default_rng(79), (4, 5, 6), dtype)
    for axes in ((1,), (0, 2)):
        (y,) = check(reduction(op, x.shape, list(axes), dtype), [x])
        assert_same_bits(formula(x, axes), y, f"page {op}, {axes}")


@pytest.mark.parametrize("op", ["SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"])
def test_empty(op: str) -> None:
    """Floats and wide integers have neutral values; quantized sums and products are refused."""
    for numerics in ("reference", "optimized"):
        for shape, axis in (((0, 3), [0]), ((3, 0), [1]), ((0, 3), [1]), ((0, 3), [0, 1])):
            for dtype in ("float32", "int32", "int64"):
                check(reduction(op, shape, axis, dtype), [np.zeros(shape, dtype)], numerics=numerics)


@pytest.mark.parametrize("op", ["SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_floats_of_xnnpack(op: str) -> None:
    """Extremes of ordinary numbers are exact; sums have an order of their own."""
    rng = np.random.default_rng(78)
    for shape, axis in SHAPES_AND_AXES:
        x = rng.normal(0, 1, shape).astype(np.float32)
        model = reduction(op, shape, axis, "float32")
        if op == "SUM":
            check_within_bounds(model, [x], "xnnpack", rtol=1e-5, atol=1e-5)
        else:
            check(model, [x], numerics="xnnpack")


def test_refused() -> None:
    x = [np.zeros((2, 3), np.int8)]
    scales = (0.1, 0, 0.2, 0)
    for op, dtype, given, numerics, reason in (
        ("SUM", "int8", (None, 0, 0.1, 0), "reference", "without a scale"),
        ("SUM", "int16", scales, "reference", "bytes"),
        ("SUM", "uint8", scales, "tflm", "no confirmed rule"),
        ("SUM", "int8", (1e30, 0, 1e-30, 0), "optimized", "expected a finite ratio"),
        ("REDUCE_MAX", "int8", scales, "reference", "parameters differ"),
        ("REDUCE_MAX", "bool", None, "reference", "bool"),
        ("REDUCE_PROD", "uint8", scales, "reference", "int8 and int16"),
        ("REDUCE_PROD", "int16", (0.1, 3, 0.2, 0), "reference", "zero points"),
        ("REDUCE_PROD", "int8", (1e4, 0, 0.2, 0), "reference", "less than 128"),
        ("REDUCE_PROD", "int8", scales, "tflm", "no confirmed rule"),
        ("REDUCE_ANY", "int8", None, "reference", "bool"),
    ):
        with pytest.raises(UnsupportedOperatorError, match=reason):
            run_ours(reduction(op, (2, 3), [1], dtype, given), [x[0].astype(dtype)], numerics)
    with pytest.raises(UnsupportedOperatorError, match="no dimension"):
        run_ours(reduction("REDUCE_PROD", (2, 3), [], "int8", scales), x, "optimized")
    for op in ("SUM", "REDUCE_PROD"):
        with pytest.raises(UnsupportedOperatorError, match="nothing"):
            run_ours(reduction(op, (0, 3), [0], "int8", scales), [np.zeros((0, 3), np.int8)])
    assert "scale" in refusal(reduction("REDUCE_MAX", (2, 3), [1], "int8", scales), x)
    assert "Unsupported" in refusal(
        reduction("REDUCE_PROD", (2, 3), [1], "uint8", scales), [np.zeros((2, 3), np.uint8)]
    )
