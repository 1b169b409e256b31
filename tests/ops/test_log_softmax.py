"""LOG_SOFTMAX: widths and scales over the whole range, every difference of two, floats, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    assert_same_bits,
    check,
    covers,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)
from tests.ops.test_softmax import rows

SCALES = (2.1 * 2.0**-26, 1e-6, 1e-3, 1 / 256, 0.02, 0.0571, 0.1, 0.3, 1.0, 3.7, 16.0, 100.0, 1e10)
QUANTIZED = [(dtype, n) for dtype in ("int8", "uint8") for n in ("reference", "optimized", "xnnpack")] + [
    ("int8", "tflm")
]


def log_softmax(shape: Any, dtype: str, scale: Any = None, output: Tensor | None = None) -> Model:
    if output is None and dtype == "float32":
        output = tensor((), dtype)
    if output is None:
        output = tensor((), dtype, 1 / 16, np.iinfo(dtype).max)
    return op_model("LOG_SOFTMAX", [tensor(shape, dtype, scale)], [output], version=2)


@pytest.mark.parametrize(("dtype", "numerics"), QUANTIZED)
def test_widths_and_scales(dtype: str, numerics: str) -> None:
    rng = np.random.default_rng(81)
    for width in (1, 2, 3, 9, 33, 257, 1001):
        for scale in SCALES:
            check(log_softmax((9, width), dtype, scale), [rows(rng, 9, width, dtype)], numerics=numerics)
    x = np.full((1, 4095), 3, dtype)  # the largest sum that fits
    check(log_softmax(x.shape, dtype, 0.1), [x], numerics=numerics)


@pytest.mark.parametrize(("dtype", "numerics"), QUANTIZED)
def test_every_difference_of_two(dtype: str, numerics: str) -> None:
    every = np.arange(256, dtype=np.uint8).view(dtype)
    x = np.stack([np.repeat(every, 256), np.tile(every, 256)], axis=1)
    for scale in (1 / 32, 1.0, 0.1):
        (y,) = check(log_softmax(x.shape, dtype, scale), [x], numerics=numerics)
    covers(y)


@pytest.mark.parametrize("numerics", ["reference", "optimized"])
def test_the_example_of_the_page(numerics: str) -> None:
    (y,) = check(log_softmax((1, 2), "int8", 1 / 32), [np.array([[101, 0]], np.int8)], numerics=numerics)
    assert y.tolist() == [[126, 76]]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_page_computes_what_the_kernels_compute(dtype: str) -> None:
    page, rng = run_page("log_softmax"), np.random.default_rng(82)
    for width in (1, 2, 13, 300):
        for scale in SCALES:
            x = rows(rng, 9, width, dtype)
            for numerics, name in (("reference", "log_softmax"), ("optimized", "log_softmax_optimized")):
                (y,) = check(log_softmax(x.shape, dtype, scale), [x], numerics=numerics)
                assert_same_bits(page[name](x, scale), y, f"page {name}, scale {scale} width {width}")


@pytest.mark.parametrize("numerics", ["reference", "tflm"])
def test_floats(numerics: str) -> None:
    rng = np.random.default_rng(83)
    for width in (1, 5, 8, 100):
        x = random_values(rng, (40, width), "float32", special=True)
        check(log_softmax(x.shape, "float32"), [x], numerics=numerics)


@pytest.mark.parametrize("numerics", ["optimized", "xnnpack"])
def test_floats_of_eigen(numerics: str) -> None:
    rng = np.random.default_rng(84)
    for width in (1, 5, 8, 100):
        x = rng.normal(0, 3, (40, width)).astype(np.float32)
        check_within_bounds(log_softmax(x.shape, "float32"), [x], numerics, rtol=1e-5, atol=1e-5)


def test_ranks_and_empty_inputs() -> None:
    rng = np.random.default_rng(85)
    for shape in ((5,), (2, 3, 4), (1, 2, 1, 2, 6)):
        check(log_softmax(shape, "int8", 0.1), [random_values(rng, shape)])
    for shape in ((0,), (2, 0), (0, 3)):
        (y,) = run_ours(log_softmax(shape, "int8", 0.1), [np.zeros(shape, np.int8)])
        assert y.shape == shape


def test_refused() -> None:
    def refuse(model: Model, x: np.ndarray, reason: str, numerics: str = "reference") -> None:
        with pytest.raises(UnsupportedOperatorError, match=reason):
            run_ours(model, [x], numerics)

    x = np.zeros((1, 4), np.int8)
    for output in (tensor((), "int8", 1 / 8, 127), tensor((), "int8", 1 / 16, 0)):
        model = log_softmax(x.shape, "int8", 0.1, output)
        refuse(model, x, "1/16")
        assert "was not true" in refusal(model, [x]) or "!=" in refusal(model, [x])
    refuse(log_softmax((), "float32"), np.zeros((), np.float32), "scalar")
    refuse(log_softmax(x.shape, "int8", 2.0**-26), x, "2\\*\\*-25")
    refuse(log_softmax(x.shape, "int8", 3e38), x, "1e\\+34", "optimized")
    refuse(log_softmax(x.shape, "int8"), x, "without a scale")
    refuse(log_softmax((1, 4096), "int8", 0.1), np.zeros((1, 4096), np.int8), "4095")
    refuse(log_softmax(x.shape, "int16", 0.1), x.astype(np.int16), "int16")
    refuse(log_softmax(x.shape, "uint8", 0.1), x.astype(np.uint8), "no confirmed rule", "tflm")
