"""LOGISTIC and TANH: every 8-bit input for many scales, and floats of every magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import assert_same_bits, check, covers, op_model, run_ours, run_page, tensor

OPS = ("LOGISTIC", "TANH")
SCALES = (1e-9, 1e-3, 1 / 256, 0.02, 0.0317, 1 / 16, 0.1, 0.5, 1.0, 7.9, 1e4, 1e38)


def every(dtype: str) -> np.ndarray:
    return np.arange(256, dtype=np.uint8).view(dtype)


def function(op: str, count: int, dtype: str, scale: Any, zero_point: int, output: tuple[Any, int]) -> Model:
    output_tensor = tensor((), dtype, *output) if dtype != "float32" else tensor((), dtype)
    return op_model(op, [tensor((count,), dtype, scale, zero_point)], [output_tensor], version=2)


def usual_output(op: str, dtype: str) -> tuple[float, int]:
    """The converter's parameters: [0, 1) in 256 steps for LOGISTIC, [-1, 1) for TANH."""
    middle = 128 if dtype == "uint8" else 0
    return (1 / 256, middle - 128) if op == "LOGISTIC" else (1 / 128, middle)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_every_input(op: str, dtype: str) -> None:
    rng = np.random.default_rng(41)
    info = np.iinfo(dtype)
    for scale in (*SCALES, *np.exp(rng.uniform(-7, 1, 150))):
        zero_point = rng.choice([info.min, info.max, rng.integers(info.min, info.max + 1)])
        check(function(op, 256, dtype, scale, zero_point, usual_output(op, dtype)), [every(dtype)])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_other_outputs_of_tanh(dtype: str) -> None:
    """Any output scale and any zero point; LOGISTIC is bound to one scale."""
    rng = np.random.default_rng(42)
    info = np.iinfo(dtype)
    for scale in (2.0**-30, 1e-6, 1e-3, 0.004, 0.0101, 0.4, 2.0, 1e9, *np.exp(rng.uniform(-7, 0, 60))):
        output = (scale, rng.integers(info.min, info.max + 1))
        check(function("TANH", 256, dtype, 0.03, 3, output), [every(dtype)])
        check(function("LOGISTIC", 256, dtype, 0.03, 3, (1 / 256, output[1])), [every(dtype)])


@pytest.mark.parametrize("op", OPS)
def test_the_data_reaches_both_bounds(op: str) -> None:
    (y,) = check(function(op, 256, "int8", 0.06, 0, usual_output(op, "int8")), [every("int8")])
    covers(y)


@pytest.mark.parametrize("op", OPS)
def test_float(op: str) -> None:
    """All exponents and both signs, the cut-offs and their neighbours, infinities and NaN."""
    rng = np.random.default_rng(43)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    edges = np.array(
        [16.619047164916992188, -9.0, 0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, -88.7], np.float32
    )
    near = [np.nextafter(edges, np.float32(v)) for v in (np.inf, -np.inf)]
    x = np.concatenate([bits, edges, *near, rng.uniform(-20, 20, 200_000).astype(np.float32)])
    check(function(op, x.size, "float32", None, 0, (None, 0)), [x])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_the_page_computes_what_the_kernel_computes(op: str, dtype: str) -> None:
    formula = run_page(op.lower())[op.lower()]
    scale_out, zero_out = usual_output(op, dtype)
    for scale in SCALES:
        (y,) = check(function(op, 256, dtype, scale, 3, (scale_out, zero_out)), [every(dtype)])
        assert_same_bits(
            formula(every(dtype), scale, 3, scale_out, zero_out), y, f"page {op.lower()}, {scale}"
        )


def test_refused() -> None:
    x = [np.zeros(4, np.int8)]
    with pytest.raises(UnsupportedOperatorError, match="1/256"):
        run_ours(function("LOGISTIC", 4, "int8", 0.1, 0, (1 / 255, -128)), x)
    with pytest.raises(UnsupportedOperatorError, match="zero point"):
        run_ours(function("TANH", 4, "int8", 0.1, 128, (1 / 128, 0)), x)
    with pytest.raises(UnsupportedOperatorError, match="positive"):
        run_ours(function("TANH", 4, "int8", 0.1, 0, (0.0, 0)), x)
    with pytest.raises(UnsupportedOperatorError, match="2\\*\\*-30"):
        run_ours(function("TANH", 4, "int8", 0.1, 0, (1e-10, 0)), x)
    with pytest.raises(UnsupportedOperatorError, match="without a scale"):
        run_ours(function("TANH", 4, "int8", None, 0, (1 / 128, 0)), x)
    model = op_model("TANH", [tensor((4,), "int32")], [tensor((), "int32")])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model, [np.zeros(4, np.int32)])
