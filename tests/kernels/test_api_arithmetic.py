"""The public functions add, sub, mul, maximum, minimum, pools, softmax: operators' results, clear errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.kernels.knots import softmax_tables
from tests.ops.harness import assert_same_bits, check, op_model, random_values, tensor
from tests.ops.test_add import binary
from tests.ops.test_maximum import selection
from tests.ops.test_pool import pool
from tests.ops.test_softmax import softmax

ADD = {
    "input1_offset": 3,
    "input1_multiplier": 1 << 30,
    "input1_shift": 0,
    "input2_offset": -5,
    "input2_multiplier": 1_300_000_000,
    "input2_shift": -1,
    "output_offset": 7,
    "output_multiplier": 1_500_000_000,
    "output_shift": -18,
}
MUL = {"input1_offset": 3, "input2_offset": -5, "output_offset": 7, "multiplier": 1_500_000_000, "shift": -6}
BETA = {"beta": 1.0}
SOFTMAX = {"multiplier": 1_700_000_000, "shift": 22, "diff_min": -400}


def multipliers(prefix: str, real: float) -> dict[str, int]:
    multiplier, shift = qc.quantize_multiplier(real)
    return {f"{prefix}multiplier": int(multiplier), f"{prefix}shift": int(shift)}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_add_and_mul_are_the_operators(dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b = random_values(rng, (7, 1, 9), dtype), random_values(rng, (5, 9), dtype)
    s1, s2, s = (float(np.float32(v)) for v in (0.04, 0.03, 0.05))
    shift = 128 if dtype == "uint8" else 0
    offsets = {"input1_offset": -3 - shift, "input2_offset": 5 - shift, "output_offset": 7 + shift}
    (expected,) = check(binary("ADD", (s1, 3, s2, -5, s, 7), a.shape, b.shape, dtype), [a, b])
    common = 2 * max(s1, s2)
    y = qc.kernels.add(
        a,
        b,
        **offsets,
        **multipliers("input1_", s1 / common),
        **multipliers("input2_", s2 / common),
        **multipliers("output_", common / (2**20 * s)),
    )
    assert_same_bits(y, expected)
    (expected,) = check(binary("MUL", (s1, 3, s2, -5, s, 7), a.shape, b.shape, dtype), [a, b])
    y = qc.kernels.mul(a, b, **offsets, **multipliers("", np.float32(s1) * np.float32(s2) / np.float32(s)))
    assert_same_bits(y, expected)


def test_int16_and_sub_are_the_operators() -> None:
    rng = np.random.default_rng(4)
    for dtype, bits, shift in (("int16", 15, 0), ("int8", 20, 0), ("uint8", 20, 128)):
        a, b = random_values(rng, (7, 1, 9), dtype), random_values(rng, (5, 9), dtype)
        s1, s2, s = (float(np.float32(v)) for v in (0.04, 0.03, 0.05))
        common = 2 * max(s1, s2)
        for op in ("ADD", "SUB"):
            y = getattr(qc.kernels, op.lower())(
                a,
                b,
                input1_offset=-shift,
                input2_offset=-shift,
                output_offset=shift,
                **multipliers("input1_", s1 / common),
                **multipliers("input2_", s2 / common),
                **multipliers("output_", common / (2**bits * s)),
            )
            (expected,) = check(binary(op, (s1, 0, s2, 0, s, 0), a.shape, b.shape, dtype), [a, b])
            assert_same_bits(y, expected, f"{op} {dtype}")
    a, b = random_values(rng, (7, 1, 9), "int16"), random_values(rng, (5, 9), "int16")
    (expected,) = check(binary("MUL", (1e-4, 0, 3e-5, 0, 1.2e-4, 0), a.shape, b.shape, "int16"), [a, b])
    real = np.float32(1e-4) * np.float32(3e-5) / np.float32(1.2e-4)
    zeros = {"input1_offset": 0, "input2_offset": 0, "output_offset": 0}
    assert_same_bits(qc.kernels.mul(a, b, **zeros, **multipliers("", real)), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_maximum_and_minimum_are_the_operators(dtype: str) -> None:
    rng = np.random.default_rng(5)
    a, b = random_values(rng, (7, 1, 9), dtype), random_values(rng, (5, 9), dtype)
    for name in ("maximum", "minimum"):
        (expected,) = check(selection(name.upper(), a.shape, b.shape, dtype), [a, b])
        assert_same_bits(getattr(qc.kernels, name)(a, b), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_pools_are_the_operators(padding: str, dtype: str) -> None:
    x = random_values(np.random.default_rng(1), (2, 9, 8, 5), dtype)
    for name, op in (("average_pool2d", "AVERAGE_POOL_2D"), ("max_pool2d", "MAX_POOL_2D")):
        (expected,) = check(pool(op, x.shape, (3, 2), (2, 1), padding.upper(), dtype), [x])
        y = getattr(qc.kernels, name)(x, filter_size=(3, 2), stride=(2, 1), padding=padding)
        assert_same_bits(y, expected)


def test_explicit_padding_is_not_counted() -> None:
    x = np.full((1, 2, 2, 1), 10, np.int8)
    y = qc.kernels.average_pool2d(x, filter_size=(2, 2), padding=((1, 1), (1, 1)))
    assert y.shape == (1, 3, 3, 1)
    assert (y == 10).all()
    y = qc.kernels.max_pool2d(
        -x, filter_size=(2, 2), stride=(2, 2), padding=((1, 0), (0, 0)), activation_min=-7
    )
    assert y.tolist() == [[[[-7]]]]


def test_softmax_is_the_operator() -> None:
    x = random_values(np.random.default_rng(2), (5, 4, 11))
    (expected,) = check(softmax(x.shape, 0.1), [x])
    multiplier, shift = qc.quantize_multiplier(float(np.float32(0.1)) * 2**26)
    y = qc.kernels.softmax(x, multiplier=multiplier, shift=shift, diff_min=-((31 * 2**26) >> int(shift)))
    assert_same_bits(y, expected)


def test_softmax_with_int16_output_is_the_operator() -> None:
    x = random_values(np.random.default_rng(4), (5, 11))
    model = op_model(
        "SOFTMAX", [tensor(x.shape, "int8", 0.1)], [tensor((), "int16", 1 / 65536, -32768)], BETA
    )
    (expected,) = check(model, [x], numerics="tflm")
    multiplier, shift = qc.quantize_multiplier(float(np.float32(0.1)) * 2**26)
    y = qc.kernels.softmax(x, multiplier=multiplier, shift=shift, output_dtype="int16")
    assert_same_bits(y, expected)


def test_softmax_of_int16_is_the_operator() -> None:
    x = random_values(np.random.default_rng(5), (40, 11), "int16")
    model = op_model("SOFTMAX", [tensor(x.shape, "int16", 0.001)], [tensor((), "int16", 1 / 32768)], BETA)
    multiplier, shift = qc.quantize_multiplier(float(np.float32(0.001)) * 65535 / 10)
    for numerics, kind in (("tflm", np.float32), ("reference", np.float64)):
        (expected,) = check(model, [x], numerics=numerics)
        exps, reciprocals = softmax_tables(kind)
        y = qc.kernels.softmax(
            x, multiplier=multiplier, shift=shift, exp_table=exps, reciprocal_table=reciprocals
        )
        assert_same_bits(y, expected)
        if numerics == "tflm":
            assert_same_bits(qc.kernels.softmax(x, multiplier=multiplier, shift=shift), expected)


def test_inputs_may_be_strided_read_only_empty_or_scalar() -> None:
    rng = np.random.default_rng(3)
    a = random_values(rng, (6, 10))
    strided = a[::2, ::-3]
    assert_same_bits(
        qc.kernels.mul(strided, strided, **MUL), qc.kernels.mul(strided.copy(), strided.copy(), **MUL)
    )
    assert_same_bits(qc.kernels.softmax(a.T, **SOFTMAX), qc.kernels.softmax(a.T.copy(), **SOFTMAX))
    a.setflags(write=False)
    before = a.copy()
    assert_same_bits(
        qc.kernels.add(a, np.int8(4), **ADD), qc.kernels.add(a.copy(), np.full((6, 10), 4, np.int8), **ADD)
    )
    assert_same_bits(a, before)
    assert qc.kernels.add(np.zeros((0, 3), np.int8), np.zeros(3, np.int8), **ADD).shape == (0, 3)
    assert qc.kernels.softmax(np.zeros((4, 0), np.int8), **SOFTMAX).shape == (4, 0)
    assert qc.kernels.mul(np.int8(3), np.int8(4), **MUL).shape == ()


INT8 = np.zeros((1, 4, 4, 1), np.int8)
INT16 = INT8.astype(np.int16)
BAD_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("add", (INT8, INT16), ADD, "input2 has dtype int16"),
    ("add", (INT8.astype(np.float32), INT8), ADD, "input1 has dtype float32"),
    ("add", (np.zeros(3, np.int8), np.zeros(4, np.int8)), ADD, "do not broadcast"),
    ("add", (INT8, INT8), ADD | {"input1_shift": 1}, "input1_shift is 1"),
    ("add", (INT8, INT8), ADD | {"input2_multiplier": 5}, "at least 2\\*\\*30"),
    ("add", (INT8, INT8), ADD | {"output_offset": 256}, "output_offset is 256"),
    ("add", (INT8, INT8), ADD | {"left_shift": 21}, "left_shift is 21"),
    ("sub", (INT8, INT8), ADD | {"input1_offset": 256}, "input1_offset is 256"),
    ("add", (INT16, INT16), ADD | {"left_shift": 16}, "left_shift is 16"),
    ("mul", (INT16, INT16), MUL, "output_offset is 7"),
    ("maximum", (INT8, INT16), {}, "input2 has dtype int16"),
    ("add", (INT8, INT8), ADD | {"activation_min": 5, "activation_max": 4}, "above"),
    ("mul", (INT8, INT8), MUL | {"shift": 32}, "shift is 32"),
    ("mul", (INT8, INT8), MUL | {"multiplier": 2**31}, "multiplier is"),
    ("mul", (INT8, INT8), MUL | {"rounding": "up"}, "unknown rounding"),
    ("mul", (INT8, INT8), MUL | {"input1_offset": 0.5}, "integer"),
    ("max_pool2d", (INT8[0],), {"filter_size": (2, 2)}, "4 dimensions"),
    ("max_pool2d", (INT8,), {"filter_size": (5, 2)}, "more than"),
    ("max_pool2d", (INT8,), {"filter_size": (0, 2)}, "filter size is 0"),
    ("max_pool2d", (INT8,), {"filter_size": (2, 2), "stride": (0, 1)}, "stride is 0"),
    ("max_pool2d", (INT8,), {"filter_size": (2, 2), "padding": "full"}, "padding is 'full'"),
    ("average_pool2d", (INT8,), {"filter_size": (2, 2), "padding": ((2, 0), (0, 0))}, "less than the filter"),
    ("average_pool2d", (INT8,), {"filter_size": (2, 2), "padding": ((-1, 0), (0, 0))}, "padding"),
    ("average_pool2d", (INT8,), {"filter_size": (2, 2), "activation_max": 128}, "activation_max is 128"),
    ("softmax", (np.int8(3),), SOFTMAX, "scalar"),
    ("softmax", (INT8,), SOFTMAX | {"multiplier": 0}, "multiplier is 0"),
    ("softmax", (INT8,), SOFTMAX | {"shift": -1}, "shift is -1"),
    ("softmax", (INT8,), SOFTMAX | {"diff_min": 1}, "diff_min is 1"),
    ("softmax", (INT8,), SOFTMAX | {"output_dtype": "uint8"}, "output_dtype is 'uint8'"),
    ("softmax", (np.zeros((1, 8192), np.int8),), SOFTMAX | {"output_dtype": "int16"}, "8191"),
    ("softmax", (np.zeros((1, 65536), np.int16),), SOFTMAX, "65535"),
    ("softmax", (INT8.astype(np.int16),), SOFTMAX | {"exp_table": np.zeros(512, np.int16)}, "513"),
    ("softmax", (INT8.astype(np.int16),), SOFTMAX | {"exp_table": np.zeros(513, np.int16)}, "2\\*\\*14"),
    ("average_pool2d", (np.zeros((1, 182, 182, 1), np.int16),), {"filter_size": (182, 182)}, "limit"),
]


@pytest.mark.parametrize(("name", "arrays", "arguments", "reason"), BAD_CALLS)
def test_bad_arguments(name: str, arrays: Any, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(qc.KernelError, match=reason):
        getattr(qc.kernels, name)(*arrays, **arguments)


def test_an_unknown_kernel_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="conv9d"):
        _ = qc.kernels.conv9d
    assert "add" in dir(qc.kernels)
