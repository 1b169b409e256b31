"""RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1: every input for many scales, ties, floats with NaN and -0.0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import Requant
from quantcore.kernels.activation import relu_call
from quantcore.kernels.lookup import lookup_call, tabulate

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    covers,
    every_byte,
    instruction_sets,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
    using,
)

OPS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
# (input scale, zero point, output scale, zero point) relative to int8
SCALES = [
    (0.1, 0, 0.1, 0),
    (0.5, 0, 1.0, 0),  # multiplier 1/2: every odd input is a tie
    (0.25, -7, 1.0, -100),  # 1/4, and bounds within the range
    (1.0, 5, 0.25, 3),  # multiplier 4, a shift to the left
    (0.05, -128, 0.047, -128),
    (0.013, 127, 0.4, 127),
    (0.02, 0, 2.5, 0),  # RELU_N1_TO_1: the bound 1 / 2.5 = 0.4 rounds to 0
    (0.1, 1, 2.0, 2),  # ... and 1 / 2 = 0.5 away from zero
    (100.0, 0, 1e-5, 0),  # the product leaves 32 bits and wraps
]


def relu(op: str, scales: tuple[Any, ...], count: int, dtype: str = "int8", version: int = 1) -> Model:
    si, zi, so, zo = scales
    shift = 128 if dtype == "uint8" else 0
    return op_model(
        op, [tensor((count,), dtype, si, zi + shift)], [tensor((), dtype, so, zo + shift)], version=version
    )


def skip_unless_known(op: str, dtype: str, profile: str) -> None:
    if profile == "tflm" and (dtype == "uint8" or op not in OPS[:2]):
        pytest.skip("TFLite Micro does not have it")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_every_input(op: str, dtype: str, profile: str) -> None:
    skip_unless_known(op, dtype, profile)
    for scales in SCALES:
        check(relu(op, scales, 256, dtype), [every_byte(dtype)], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
def test_every_input_for_random_scales(op: str, dtype: str, profile: str) -> None:
    skip_unless_known(op, dtype, profile)
    rng = np.random.default_rng(21)
    for _ in range(15):
        si, so = np.exp(rng.uniform(-7, 2, 2))
        scales = (si, rng.integers(-128, 128), so, rng.integers(-128, 128))
        check(relu(op, scales, 256, dtype), [every_byte(dtype)], numerics=profile)


@pytest.mark.parametrize("op", ["RELU", "RELU6"])
def test_every_int16_input(op: str) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    for si, so in ((0.001, 0.001), (0.5, 1.0), (0.0003, 0.00041), (1.0, 0.25)):
        for profile in PROFILES:
            check(relu(op, (si, 0, so, 0), 65536, "int16", 3), [x], numerics=profile)


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(relu("RELU6", (0.1, 0, 0.06, -20), 256), [every_byte("int8")])
    covers(y, low=-20, high=80)


@pytest.mark.parametrize("op", OPS)
def test_float(op: str) -> None:
    """Counts around a vector, because the oracle's RELU is vectorised; NaN stays, and -0.0 is not below 0."""
    rng = np.random.default_rng(4)
    for count in (1, 3, 4, 5, 16, 1001):
        x = random_values(rng, (count,), "float32", special=True)
        x[0] = -0.0
        x[count // 2] = np.nan
        x[-1] = np.inf
        model = op_model(op, [tensor((count,), "float32")], [tensor((), "float32")])
        for profile in PROFILES if op in OPS[:2] else TFLITE:
            if profile == "xnnpack":  # which takes subnormal numbers for zero
                x = np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)
            check(model, [x], numerics=profile)


def test_the_table_is_the_definition() -> None:
    """The lowered operator looks up what the kernel computes for each of the 256 inputs."""
    requant = Requant("double_rounding", 1 << 30, -1, output_offset=3, activation_min=3, activation_max=100)
    definition = relu_call("int8", count=256, input_offset=7, requant=requant)
    x = np.tile(every_byte("int8"), 3)
    y = np.empty(768, np.int8)
    relu_call("int8", count=768, input_offset=7, requant=requant)([x], [y])
    assert_same_bits(tabulate(definition).view(np.int8)[x.view(np.uint8)], y)


@pytest.mark.parametrize("name", instruction_sets())
def test_every_instruction_set_looks_up_alike(name: str) -> None:
    """Counts around the unrolled and the vector loop; what lies behind the output stays as it is."""
    rng = np.random.default_rng(22)
    table = rng.permutation(256).astype(np.uint8)
    with using(name):
        for count in (0, 1, 7, 8, 9, 15, 63, 64, 65, 127, 128, 1003):
            x = rng.integers(0, 256, count + 1).astype(np.uint8)
            y = np.full(count + 64, 99, np.uint8)
            lookup_call(count=count, table=table)([x], [y])
            assert_same_bits(y[:count], table[x[:count]], f"{count} elements [{name}]")
            assert (y[count:] == 99).all()


@pytest.mark.parametrize("op", OPS)
def test_the_page_computes_what_the_kernel_computes(op: str) -> None:
    page = run_page("relu")
    for scales in SCALES:
        (y,) = check(relu(op, scales, 256), [every_byte("int8")])
        assert_same_bits(page[op.lower()](every_byte("int8"), *scales), y, f"page relu, {op} {scales}")
        if op in OPS[:2]:
            (y,) = check(relu(op, scales, 256), [every_byte("int8")], numerics="tflm")
            ours = page[f"micro_{op.lower()}"](every_byte("int8"), *scales)
            assert_same_bits(ours, y, f"page relu, {op} {scales} tflm")


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ((0.0, 0, 0.1, 0), "positive"),
        ((0.1, 0, -0.1, 0), "positive"),
        ((0.1, 0, float("inf"), 0), "positive"),
        ((0.1, -129, 0.1, 0), "zero point"),
        ((1e20, 0, 1e-10, 0), "2\\*\\*31"),
        ((1e-10, 0, 1e-11, 0), "bound"),
        ((None, 0, None, 0), "without a scale"),
    ],
)
def test_refused_scales(scales: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(relu("RELU6", scales, 4), [np.zeros(4, np.int8)])


def test_refused_operands() -> None:
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(relu("RELU_N1_TO_1", (0.1, 0, 0.1, 0), 4, "int16"), [np.zeros(4, np.int16)])
    with pytest.raises(UnsupportedOperatorError, match="expected 0"):
        run_ours(relu("RELU", (0.1, 1, 0.1, 0), 4, "int16"), [np.zeros(4, np.int16)])
    model = op_model("RELU", [tensor((4,), "float32")], [tensor((), "int8", 0.1)])
    with pytest.raises(UnsupportedOperatorError, match="dtypes differ"):
        run_ours(model, [np.zeros(4, np.float32)])
