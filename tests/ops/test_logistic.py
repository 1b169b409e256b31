"""LOGISTIC and TANH: every 8-bit input for many scales, and floats of every magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.differences import ulp_distance
from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    covers,
    every_byte,
    get_oracle,
    op_model,
    refusal,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

OPS = ("LOGISTIC", "TANH")
SCALES = (1e-9, 1e-3, 1 / 256, 0.02, 0.0317, 1 / 16, 0.1, 0.5, 1.0, 7.9, 1e4, 1e38)


def function(op: str, count: int, dtype: str, scale: Any, zero_point: int, output: tuple[Any, int]) -> Model:
    output_tensor = tensor((), dtype, *output) if dtype != "float32" else tensor((), dtype)
    return op_model(op, [tensor((count,), dtype, scale, zero_point)], [output_tensor], version=2)


def usual_output(op: str, dtype: str) -> tuple[float, int]:
    """The converter's parameters: [0, 1) in 256 steps for LOGISTIC, [-1, 1) for TANH."""
    middle = 128 if dtype == "uint8" else 0
    return (1 / 256, middle - 128) if op == "LOGISTIC" else (1 / 128, middle)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_every_input(op: str, dtype: str, profile: str) -> None:
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(41)
    info = np.iinfo(dtype)
    scales = SCALES[1:-1] if profile == "tflm" else SCALES  # which takes 2**-28 to 2**35
    for scale in (*scales, *np.exp(rng.uniform(-7, 1, 60))):
        zero_point = rng.choice([info.min, info.max, rng.integers(info.min, info.max + 1)])
        model = function(op, 256, dtype, scale, zero_point, usual_output(op, dtype))
        check(model, [every_byte(dtype)], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_other_outputs_of_tanh(dtype: str, profile: str) -> None:
    """Any output scale and any zero point; LOGISTIC is bound to one scale. 2.0 makes ties of 1 and -1."""
    if (dtype, profile) == ("uint8", "tflm"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(42)
    info = np.iinfo(dtype)
    for scale in (1e-6, 1e-3, 0.004, 0.0101, 0.4, 2.0, 2.0, 1e9, *np.exp(rng.uniform(-7, 0, 20))):
        output = (scale, rng.integers(info.min, info.max + 1))
        check(function("TANH", 256, dtype, 0.3, 3, output), [every_byte(dtype)], numerics=profile)
        if dtype == "int8" and profile != "tflm":
            model = function("LOGISTIC", 256, dtype, 0.03, 3, (1 / 256, output[1]))
            check(model, [every_byte(dtype)], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", OPS)
def test_every_int16_input(op: str, profile: str) -> None:
    """Scales around powers of two, where the arithmetic changes, and both ends of the multiplier."""
    x = np.arange(-32768, 32768).astype(np.int16)
    powers = [2.0**-n for n in (9, 10, 11, 12, 13, 15, 20)]
    for scale in (*powers, 2.0**-12 * 1.0005, 2.0**-12 * 1.001, 0.0003, 1e-6, 2.6):
        model = function(op, x.size, "int16", scale, 0, (2.0**-15, 0))
        (y,) = check(model, [x], numerics=profile)
        page, fixed = run_page("logistic"), run_page("unidirectional_sequence_lstm")
        shift = {2.0**-12: 0, 2.0**-12 * 1.0005: 0, 2.0**-11: 1 if op == "TANH" else None}.get(scale)
        q = x.astype(np.int64)
        if profile in ("optimized", "xnnpack") and shift is not None:
            u = np.clip(q << shift, -32768, 32767)
            expected = fixed["logistic16"](u) if op == "LOGISTIC" else fixed["tanh16"](u, 3)
        elif op == "LOGISTIC":
            expected = page["logistic_int16"](x, scale)
        else:
            v = page["position"](x, np.float32(scale), (0, 1))
            t = page["interpolate"](np.abs(v), 8, 0xFFFF << 8) - 2**23
            expected = np.where(v >= 0, t + 128, -t + 127) >> 8
        assert_same_bits(expected.astype(np.int16), y, f"page, {op} int16 {scale} {profile}")


@pytest.mark.parametrize("op", OPS)
def test_the_data_reaches_both_bounds(op: str) -> None:
    (y,) = check(function(op, 256, "int8", 0.06, 0, usual_output(op, "int8")), [every_byte("int8")])
    covers(y)


@pytest.mark.parametrize("op", OPS)
def test_float(op: str) -> None:
    """All exponents and both signs, the cut-offs and their neighbours, infinities and NaN."""
    rng = np.random.default_rng(43)
    bits = rng.integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32)
    edges = np.array(
        [16.619047164916992188, -9.0, 0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, -88.7], np.float32
    )
    near = [np.nextafter(edges, np.float32(v)) for v in (np.inf, -np.inf)]
    x = np.concatenate([bits, edges, *near, rng.uniform(-20, 20, 50_000).astype(np.float32)])
    model = function(op, x.size, "float32", None, 0, (None, 0))
    for profile in ("reference", "optimized", "tflm"):
        check(model, [x], numerics=profile)
    (theirs,) = get_oracle("xnnpack").run(with_shapes(model, [x]), [x])
    (ours,) = run_ours(model, [x], "xnnpack")
    usual = (np.abs(x) < 80) & (np.abs(x) > 1e-30)
    assert ulp_distance(ours[usual], theirs[usual]).max() <= 8


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_the_page_computes_what_the_kernel_computes(op: str, dtype: str) -> None:
    formula = run_page(op.lower())[op.lower()]
    scale_out, zero_out = usual_output(op, dtype)
    x = every_byte(dtype)
    for profile in TFLITE:
        for scale in SCALES:
            (y,) = check(function(op, 256, dtype, scale, 3, (scale_out, zero_out)), [x], numerics=profile)
            ours = formula(x, scale, 3, scale_out, zero_out, profile)
            assert_same_bits(ours, y, f"page {op.lower()}, {scale} {profile}")
    if dtype == "int8":
        micro = run_page("logistic")["micro"]
        for scale in SCALES[1:-1]:
            (y,) = check(function(op, 256, dtype, scale, 3, (scale_out, zero_out)), [x], numerics="tflm")
            assert_same_bits(micro(x, scale, 3, op == "TANH"), y, f"page logistic, {op} {scale} tflm")


def test_the_tie_of_the_page() -> None:
    x = np.array([-128, 127], np.int8)
    for profile, expected in zip(TFLITE, ([2, 4], [2, 4], [3, 4]), strict=True):
        (y,) = check(function("TANH", 2, "int8", 0.2, 0, (2.0, 3)), [x], numerics=profile)
        assert y.tolist() == expected


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
    wide = [np.zeros(4, np.int16)]
    with pytest.raises(UnsupportedOperatorError, match="2\\*\\*-15"):
        run_ours(function("TANH", 4, "int16", 0.1, 0, (0.1, 0)), wide)
    with pytest.raises(UnsupportedOperatorError, match="expected 0"):
        run_ours(function("TANH", 4, "int16", 0.1, 1, (2.0**-15, 0)), wide)
    with pytest.raises(UnsupportedOperatorError, match="less than"):
        run_ours(function("LOGISTIC", 4, "int16", 2.7, 0, (2.0**-15, 0)), wide)
    with pytest.raises(UnsupportedOperatorError, match="no confirmed rule"):
        run_ours(function("TANH", 4, "uint8", 0.1, 0, (1 / 128, 0)), [np.zeros(4, np.uint8)], "tflm")
    with pytest.raises(UnsupportedOperatorError, match="-128"):
        run_ours(function("LOGISTIC", 4, "int8", 0.1, 0, (1 / 256, 0)), x, "tflm")
    with pytest.raises(UnsupportedOperatorError, match="undefined"):
        run_ours(function("TANH", 4, "int8", 1e-9, 0, (1 / 128, 0)), x, "tflm")
    model = op_model("TANH", [tensor((4,), "int32")], [tensor((), "int32")])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model, [np.zeros(4, np.int32)])


def next_scales(scale: float) -> list[np.float32]:
    """Return the float32 numbers around `scale`."""
    bits = np.float32(scale).view(np.int32)
    return list((bits + np.arange(-5, 6, dtype=np.int32)).view(np.float32))


@pytest.mark.parametrize("side", [-1e-3, 1e-3])
def test_scales_that_are_just_a_power_of_two_or_just_none(side: float) -> None:
    """TFLite takes a scale for a power of two by its logarithm, in float32."""
    x = np.arange(-32768, 32768, 7).astype(np.int16)
    for op in OPS:
        for scale in next_scales(2.0 ** (-12 + side)):
            check(function(op, x.size, "int16", scale, 0, (2.0**-15, 0)), [x])
    runs = []
    for scale in next_scales(2.0 ** (-15 + side)):
        model = function("TANH", x.size, "int16", 2.0**-12, 0, (scale, 0))
        try:
            run_ours(model, [x])
        except UnsupportedOperatorError:
            assert refusal(model, [x])
            runs.append(False)
        else:
            check(model, [x])
            runs.append(True)
    assert len(set(runs)) == 2
