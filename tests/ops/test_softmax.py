"""SOFTMAX: widths and scales over the whole range of the fixed-point exp, ties, float specials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    covers,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

WIDTHS = (1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 33, 64, 100, 129, 257, 511)
SCALES = (1.02 * 2.0**-26, 1e-6, 1e-3, 1 / 256, 0.02, 0.0571, 0.1, 0.125, 0.3, 1.0, 3.7, 16.0, 100.0, 1e10)


def softmax(shape: Any, scale: Any, dtype: str = "int8", beta: float = 1.0) -> Model:
    version = 3 if dtype == "int16" else 2
    if dtype == "float32":
        output = tensor((), dtype)
    elif dtype == "int16":
        output = tensor((), dtype, 1 / 32768)
    else:
        output = tensor((), dtype, 1 / 256, -128 if dtype == "int8" else 0)
    return op_model("SOFTMAX", [tensor(shape, dtype, scale)], [output], {"beta": beta}, version=version)


def rows(rng: np.random.Generator, count: int, width: int, dtype: str) -> np.ndarray:
    """Rows spread over the whole range, rows close to each other, and rows with one high value."""
    x = random_values(rng, (count, width), dtype)
    x[::3] = rng.integers(0, 12, (len(x[::3]), width)) + rng.integers(0, 100)
    x[1::3, width // 2] = np.iinfo(dtype).max
    return x


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("width", WIDTHS)
def test_widths_and_scales(width: int, dtype: str) -> None:
    rng = np.random.default_rng(width)
    for scale in SCALES:
        # 512 nearly equal values make TFLite abort: keep below at the largest width
        check(softmax((60, width), scale, dtype), [rows(rng, 60, width, dtype)])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_difference_of_two(dtype: str) -> None:
    every = np.arange(256, dtype=np.uint8).view(dtype)
    x = np.stack([np.repeat(every, 256), np.tile(every, 256)], axis=1)
    for scale in (0.01, 0.0571, 0.25, 1.0):
        check(softmax(x.shape, scale, dtype), [x])


def test_beta_and_rank() -> None:
    rng = np.random.default_rng(31)
    for shape in ((5,), (2, 3), (2, 3, 4), (2, 1, 3, 5), (1, 2, 1, 2, 6)):
        for beta in (0.25, 1.0, 1.7):
            check(softmax(shape, 0.1, "int8", beta), [random_values(rng, shape)])
            check(softmax(shape, None, "float32", beta), [random_values(rng, shape, "float32")])


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(softmax((2000, 3), 0.1), [random_values(np.random.default_rng(32), (2000, 3))])
    covers(y)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 100, 1001])
def test_float(width: int) -> None:
    rng = np.random.default_rng(width)
    for beta in (1.0, 0.5, -0.3, 0.0):
        x = random_values(rng, (64, width), "float32")
        x[1::2] = rng.standard_normal((32, width)) * 3
        check(softmax(x.shape, None, "float32", beta), [x])


def test_special_floats() -> None:
    x = random_values(np.random.default_rng(33), (300, 5), "float32", special=True)
    x[0] = np.nan
    x[1] = -np.inf
    x[2] = np.inf
    x[3] = -0.0
    check(softmax(x.shape, None, "float32"), [x])


@pytest.mark.parametrize("numerics", ["optimized", "xnnpack", "tflm"])
def test_floats_of_profiles(numerics: str) -> None:
    """TFLite Micro adds in order; Eigen and XNNPACK approximate exp, and add in an order of their own."""
    rng = np.random.default_rng(38)
    for width in (1, 7, 8, 33, 1001):
        for beta in (1.0, 0.5):
            x = (rng.standard_normal((5, width)) * 3).astype(np.float32)
            model = softmax(x.shape, None, "float32", beta)
            if numerics == "tflm":
                check(model, [x], numerics=numerics)
                continue
            check_within_bounds(model, [x], numerics, rtol=1e-5)


@pytest.mark.parametrize("width", [511, 512, 513, 1001, 10000])
def test_a_sum_of_512_or_more(width: int) -> None:
    """All values equal: each has 1/width, and from 512 on, where TFLite aborts, that rounds to 0."""
    x = np.zeros((1, width), np.int8)
    (y,) = check(softmax(x.shape, 0.1), [x]) if width < 512 else run_ours(softmax(x.shape, 0.1), [x])
    assert (y == (-127 if width < 512 else -128)).all()


def test_empty() -> None:
    for shape in ((0,), (2, 0), (0, 3)):
        check(softmax(shape, None, "float32"), [np.zeros(shape, np.float32)])
        (y,) = run_ours(softmax(shape, 0.1), [np.zeros(shape, np.int8)])
        assert y.shape == shape


@pytest.mark.parametrize("scale", SCALES)
def test_the_page_computes_what_the_kernel_computes(scale: float) -> None:
    formula = run_page("softmax")["softmax"]
    x = rows(np.random.default_rng(34), 90, 13, "int8")
    (y,) = check(softmax(x.shape, scale), [x])
    assert_same_bits(formula(x, scale), y, f"page softmax, scale {scale}")


def wide(shape: Any, dtype: str, scale: float) -> Model:
    output = tensor((), "int16", 1 / 65536, -32768)
    return op_model("SOFTMAX", [tensor(shape, dtype, scale)], [output], {"beta": 1.0}, version=2)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("width", [1, 2, 9, 16, 129, 1001, 8191])
def test_int16_output(width: int, dtype: str) -> None:
    rng = np.random.default_rng(width)
    for scale in SCALES:
        check(wide((9, width), dtype, scale), [rows(rng, 9, width, dtype)])
    check(wide((1, width), dtype, 0.1), [np.full((1, width), 3, dtype)])


@pytest.mark.parametrize("width", [1, 4, 129])
def test_int16_output_of_tflm(width: int) -> None:
    rng = np.random.default_rng(width)
    for scale in (0.02, 0.1, 1.0):
        check(wide((9, width), "int8", scale), [rows(rng, 9, width, "int8")], numerics="tflm")


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("numerics", ["optimized", "xnnpack"])
def test_float_tables(numerics: str, dtype: str) -> None:
    """The optimized kernels; XNNPACK declines integers. Any beta and any output scale will do for them."""
    rng = np.random.default_rng(36)
    formula = run_page("softmax")["softmax_optimized"]
    for width in (1, 2, 9, 33, 257, 1001):
        for scale in SCALES[1:]:
            x = rows(rng, 30, width, dtype)
            (y,) = check(softmax(x.shape, scale, dtype), [x], numerics=numerics)
            zero_point = -128 if dtype == "int8" else 0
            assert_same_bits(formula(x, scale, 1 / 256, zero_point), y, f"page softmax_optimized, {scale}")
            (y,) = check(wide(x.shape, dtype, scale), [x], numerics=numerics)
            expected = formula(x, scale, 1 / 65536, -32768, output="int16")
            assert_same_bits(expected, y, f"page softmax_optimized, int16, {scale}")
    for beta in (0.0, -0.5, 1.7):
        check(softmax((30, 9), 0.1, dtype, beta), [rows(rng, 30, 9, dtype)], numerics=numerics)
    model = op_model(
        "SOFTMAX", [tensor((30, 9), "uint8", 0.1)], [tensor((), "uint8", 0.003, 7)], {"beta": 1.0}, version=2
    )
    check(model, [rows(rng, 30, 9, "uint8")], numerics=numerics)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_difference_of_two_by_float_tables(dtype: str) -> None:
    every = np.arange(256, dtype=np.uint8).view(dtype)
    x = np.stack([np.repeat(every, 256), np.tile(every, 256)], axis=1)
    for scale in (0.01, 0.0571, 0.25):
        (y,) = check(softmax(x.shape, scale, dtype), [x], numerics="optimized")
    covers(y)


@pytest.mark.parametrize("numerics", PROFILES)
def test_int16(numerics: str) -> None:
    rng = np.random.default_rng(37)
    formula = run_page("softmax")["softmax_int16"]
    for width in (1, 2, 3, 16, 129, 4099):
        for scale in (1e-7, 1 / 32768, 0.001, 0.0571, 1.0, 16.0):
            x = rows(rng, 12, width, "int16")
            for beta in (1.0, 0.3):
                (y,) = check(softmax(x.shape, scale, "int16", beta), [x], numerics=numerics)
                if numerics != "tflm":
                    assert_same_bits(formula(x, scale, beta), y, f"page softmax_int16, {scale} {beta}")
    x = np.stack([np.zeros(65536), np.arange(-32768, 32768)], axis=1).astype(np.int16)
    (y,) = check(softmax(x.shape, 1 / 4096, "int16"), [x], numerics=numerics)
    assert len(np.unique(y)) > 10000


def test_the_page_computes_int16_output() -> None:
    formula = run_page("softmax")["softmax"]
    x = rows(np.random.default_rng(35), 90, 13, "int8")
    (y,) = check(wide(x.shape, "int8", 0.1), [x])
    assert_same_bits(formula(x, 0.1, output="int16"), y, "page softmax, int16")


def test_too_many_values_for_int16_output() -> None:
    with pytest.raises(UnsupportedOperatorError, match="65535"):
        run_ours(softmax((1, 65536), 0.1, "int16"), [np.zeros((1, 65536), np.int16)])
    with pytest.raises(UnsupportedOperatorError, match="8191"):
        run_ours(wide((1, 8192), "int8", 0.1), [np.zeros((1, 8192), np.int8)])


@pytest.mark.parametrize(
    ("scale", "beta", "reason"),
    [
        (0.1, 0.0, "2\\*\\*-26"),
        (0.1, -1.0, "2\\*\\*-26"),
        (0.1, float("nan"), "2\\*\\*-26"),
        (2.0**-26, 1.0, "2\\*\\*-26"),
        (0.0, 1.0, "positive"),
        (None, 1.0, "without a scale"),
    ],
)
def test_refused_scales(scale: Any, beta: float, reason: str) -> None:
    """TFLite aborts on these."""
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(softmax((1, 4), scale, "int8", beta), [np.zeros((1, 4), np.int8)])


def test_refused_operands() -> None:
    with pytest.raises(UnsupportedOperatorError, match="scalar"):
        run_ours(softmax((), None, "float32"), [np.zeros((), np.float32)])
    for output in (tensor((), "int8", 1 / 128, -128), tensor((), "int8", 1 / 256, 0)):
        model = op_model("SOFTMAX", [tensor((1, 4), "int8", 0.1)], [output], {"beta": 1.0}, version=2)
        with pytest.raises(UnsupportedOperatorError, match="1/256"):
            run_ours(model, [np.zeros((1, 4), np.int8)])
    for x, y, reason in (
        (tensor((1, 4), "int16", 0.1), tensor((), "int16", 1 / 256), "1/32768"),
        (tensor((1, 4), "int16", 0.1, 3), tensor((), "int16", 1 / 32768), "zero point"),
        (tensor((1, 4), "int16", 1e30), tensor((), "int16", 1 / 32768), "2\\*\\*31"),
        (tensor((1, 4), "int16", 0.1), tensor((), "int8", 1 / 256, -128), "dtypes"),
    ):
        model = op_model("SOFTMAX", [x], [y], {"beta": 1.0}, version=3)
        with pytest.raises(UnsupportedOperatorError, match=reason):
            run_ours(model, [np.zeros((1, 4), np.int16)])
