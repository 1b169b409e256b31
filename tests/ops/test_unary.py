"""ABS, NEG, SQUARE, SQRT, RSQRT, EXP, LOG, SIN, COS, FLOOR, CEIL, ROUND, SIGN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.differences import ulp_distance
from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    covers,
    get_oracle,
    op_model,
    random_scale,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

FLOAT_OPS = ("ABS", "NEG", "SQUARE", "SQRT", "RSQRT", "EXP", "LOG", "SIN", "COS", "FLOOR", "SIGN")
OPTIMIZED_ONLY = ("CEIL", "ROUND")  # missing from TFLite's reference resolver
ULPS = {"SQRT": 2, "RSQRT": 2, "EXP": 64}  # by which XNNPACK's approximations differ
ABSOLUTE = {"SIN": 4e-7, "COS": 4e-7}
QUANTIZED = ("ABS", "SQRT", "RSQRT", "EXP", "LOG")
NOT_NEGATIVE = ("SQRT", "RSQRT")
# (scale, zero point) of input and output, for int8
SCALES = [
    ((0.5, 0), (1.0, 0)),  # ABS: every odd input is a tie
    ((0.25, -7), (1.0, -100)),
    ((0.05, -128), (0.047, -128)),
    ((0.02, 3), (0.02, 3)),
    ((0.3, 10), (0.001, 40)),  # saturates
    ((1.0, -128), (0.1, -128)),
]


def unary(op: str, dtype: str, shape: tuple[int, ...], scales: Any = ((None, 0), (None, 0))) -> Model:
    return op_model(op, [tensor(shape, dtype, *scales[0])], [tensor((), dtype, *scales[1])])


def every(op: str, dtype: str, zero_point: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.arange(zero_point if op in NOT_NEGATIVE else info.min, info.max + 1).astype(dtype)


@pytest.mark.parametrize("op", FLOAT_OPS + OPTIMIZED_ONLY)
def test_float(op: str) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32)
    halves = np.arange(-20, 20, dtype=np.float32) / 2
    x = np.concatenate([bits, halves, random_values(rng, (1000,), "float32", special=True)])
    for profile in PROFILES[:2]:
        if profile == "optimized" or op not in OPTIMIZED_ONLY:
            check(unary(op, "float32", x.shape), [x], numerics=profile)


@pytest.mark.parametrize("op", ["SQUARE", "ROUND", "FLOOR", "CEIL"])
def test_page_square(op: str) -> None:
    x = random_values(np.random.default_rng(8), (2000,), "float32")
    x = np.concatenate([x, np.arange(-20, 20, dtype=np.float32) / 2])
    (y,) = check(unary(op, "float32", x.shape), [x], numerics="optimized")
    assert_same_bits(run_page("square")[op.lower()](x), y, f"page square, {op}")


@pytest.mark.parametrize("op", [op for op in FLOAT_OPS + OPTIMIZED_ONLY if op != "SIGN"])
def test_float_tflm(op: str) -> None:
    x = random_values(np.random.default_rng(7), (2000,), "float32", special=True)
    check(unary(op, "float32", x.shape), [x], numerics="tflm")


@pytest.mark.parametrize("op", FLOAT_OPS + OPTIMIZED_ONLY)
def test_float_xnnpack(op: str) -> None:
    """Functions that XNNPACK approximates differ by a few ULPs; the others are exact on normal numbers."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 5, 2000), rng.uniform(0.01, 60, 2000)]).astype(np.float32)
    x = np.abs(x) if op in ("SQRT", "RSQRT", "LOG") else x
    model = unary(op, "float32", x.shape)
    if op not in ULPS and op not in ABSOLUTE:
        check(model, [x], numerics="xnnpack")
        return
    (theirs,) = get_oracle("xnnpack").run(model, [x])
    (ours,) = run_ours(model, [x], "xnnpack")
    if op in ULPS:
        assert ulp_distance(ours, theirs).max() <= ULPS[op]
    else:
        assert np.abs(ours - theirs).max() <= ABSOLUTE[op]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", QUANTIZED)
def test_every_int8_input(op: str, profile: str) -> None:
    if profile == "tflm" and op not in ("ABS", "RSQRT"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(2)
    drawn = [
        tuple(
            (s, int(z))
            for s, z in zip(random_scale(rng, 1e-4, 2, 2), rng.integers(-128, 128, 2), strict=True)
        )
        for _ in range(20)
    ]
    for scales in SCALES + drawn:
        x = every(op, "int8", scales[0][1])
        check(unary(op, "int8", x.shape, scales), [x], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", QUANTIZED)
def test_every_int16_input(op: str, profile: str) -> None:
    if profile == "tflm" and op not in ("ABS", "RSQRT"):
        pytest.skip("TFLite Micro does not have it")
    x = every(op, "int16", 0)
    for si, so in ((0.001, 0.001), (0.5, 1.0), (0.0003, 0.02), (2.0**-12, 2.0**-10), (0.02, 3e-5)):
        check(unary(op, "int16", x.shape, ((si, 0), (so, 0))), [x], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    x = every("LOG", "int8", 0)
    (y,) = check(unary("LOG", "int8", x.shape, ((0.02, -128), (0.01, 30))), [x])
    covers(y)
    (y,) = check(unary("EXP", "int8", x.shape, ((0.1, 20), (0.05, -128))), [x])
    covers(y)


@pytest.mark.parametrize(
    ("op", "dtypes"),
    [("NEG", ("int8", "int16", "int32", "int64")), ("ABS", ("int16", "int32")), ("SIGN", ("int32",))],
)
def test_integers_without_scales(op: str, dtypes: tuple[str, ...]) -> None:
    for dtype in dtypes:
        x = random_values(np.random.default_rng(3), (300,), dtype)
        for profile in TFLITE:
            check(unary(op, dtype, x.shape), [x], numerics=profile)


@pytest.mark.parametrize("op", NOT_NEGATIVE)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_negative_number_is_an_error(op: str, dtype: str) -> None:
    zero_point = 5 if dtype == "int8" else 0
    model = unary(op, dtype, (2,), ((0.1, zero_point), (0.1, 0)))
    x = np.array([9, zero_point - 1], dtype)
    assert refusal(model, [x])
    with pytest.raises(KernelError, match="out of range"):
        run_ours(model, [x])


@pytest.mark.parametrize("op", QUANTIZED)
def test_the_page_computes_what_the_kernel_computes(op: str) -> None:
    page = run_page({"ABS": "abs", "SQRT": "sqrt", "RSQRT": "rsqrt"}.get(op, "exp"))
    for scales in SCALES:
        x = every(op, "int8", scales[0][1])
        (y,) = check(unary(op, "int8", x.shape, scales), [x])
        parameters = [value for pair in scales for value in pair]
        assert_same_bits(page[op.lower()](x, *parameters), y, f"page, {op} {scales}")
    if op in ("EXP", "LOG"):
        x = every(op, "int16", 0)
        (y,) = check(unary(op, "int16", x.shape, ((0.0003, 0), (0.0002, 0))), [x])
        assert_same_bits(page[op.lower()](x, 0.0003, 0, 0.0002, 0), y, f"page, {op} int16")


@pytest.mark.parametrize(
    ("op", "dtype", "scales", "reason"),
    [
        ("ABS", "int64", ((None, 0), (None, 0)), "int64"),
        ("ABS", "int8", ((None, 0), (None, 0)), "without a scale"),
        ("EXP", "int16", ((0.1, 1), (0.1, 0)), "expected 0"),
        ("SQRT", "int8", ((0.1, 0), (0.0, 0)), "positive"),
        ("RSQRT", "int8", ((1e-30, 0), (1e-30, 0)), "multiplier"),
        ("SQUARE", "int8", ((0.1, 0), (0.1, 0)), "supported"),
    ],
)
def test_refused(op: str, dtype: str, scales: Any, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(unary(op, dtype, (4,), scales), [np.ones(4, dtype)])
