"""conv2d, depthwise_conv2d, fully_connected on arrays: rules, instruction sets, memory, bad arguments."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantcore.kernels._core import Requant
from quantcore.kernels.conv import conv_call, conv_f32_call
from quantcore.kernels.depthwise_conv import depthwise_conv_call, depthwise_conv_f32_call

import quantcore as qc
from quantcore.errors import KernelError
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.padding import conv_geometry
from tests.kernels.guarded import Guarded
from tests.ops.harness import instruction_sets, run_page, using

ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")
PLAIN: dict[str, Any] = {"input_offset": 0, "output_offset": 0, "multiplier": 1 << 30, "shift": -6}


def on_every_isa(function: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the result, which every instruction set must give."""
    results = {}
    for isa in instruction_sets():
        with using(isa):
            results[isa] = function()
    for isa, result in results.items():
        np.testing.assert_array_equal(result, results["scalar"], err_msg=isa)
    return results["scalar"]


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def arithmetic(rng: np.random.Generator, channels: int, dtype: str, rounding: str) -> dict[str, Any]:
    """Return random arguments that all three functions take."""
    info = np.iinfo(dtype)
    count = channels if rng.random() < 0.5 else 1
    multiplier, shift = rng.integers(1 << 30, 1 << 31, count), rng.integers(-14, -4, count)
    real = np.ldexp(multiplier.astype(np.float64), shift - 31)
    return {
        "input_offset": -int(rng.integers(info.min, info.max + 1)),
        "filter_offset": -int(rng.integers(info.min, info.max + 1)),
        "output_offset": int(rng.integers(-128, 128)),
        "multiplier": multiplier,
        "shift": shift,
        "rounding": rounding,
        "real_multiplier": real.astype(np.float32) if rounding == "float32" else real,
    }


# Results --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_products_by_the_rule(rounding: str, dtype: str) -> None:
    """fully_connected against unbounded integers and the page that defines the rules."""
    rules = run_page("requantize")
    rng = np.random.default_rng(1)
    for _ in range(10):
        x, w = values(rng, (9, 40), dtype), values(rng, (23, 40), dtype)
        a = arithmetic(rng, 23, dtype, rounding)
        y = on_every_isa(lambda x=x, w=w, a=a: qc.kernels.fully_connected(x, w, **a))
        acc = (x.astype(np.int64) + a["input_offset"]) @ (w.astype(np.int64) + a["filter_offset"]).T
        scaled = np.empty_like(acc)
        for u in range(23):
            k = u % a["multiplier"].size
            by = (
                (a["real_multiplier"][k],)
                if "float" in rounding
                else (int(a["multiplier"][k]), int(a["shift"][k]))
            )
            scaled[:, u] = rules[rounding](acc[:, u], *by)
        info = np.iinfo(dtype)
        np.testing.assert_array_equal(y, np.clip(scaled + a["output_offset"], info.min, info.max))


def direct_convolution(x: np.ndarray, w: np.ndarray, geometry: dict[str, Any], groups: int) -> np.ndarray:
    """Return the sums of a convolution with explicit padding, from the definition."""
    (top, bottom), (left, right) = geometry["padding"]
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    (sy, sx), (dy, dx) = geometry["stride"], geometry["dilation"]
    rows = (padded.shape[1] - (w.shape[1] - 1) * dy - 1) // sy + 1
    columns = (padded.shape[2] - (w.shape[2] - 1) * dx - 1) // sx + 1
    acc = np.zeros((x.shape[0], rows, columns, w.shape[0]), np.int64)
    depth, units = w.shape[3], w.shape[0] // groups
    for g in range(groups):
        filters = w[g * units : (g + 1) * units]
        for fy in range(w.shape[1]):
            for fx in range(w.shape[2]):
                part = padded[:, fy * dy :: sy, fx * dx :: sx, g * depth : (g + 1) * depth][
                    :, :rows, :columns
                ]
                acc[..., g * units : (g + 1) * units] += part @ filters[:, fy, fx].T
    return acc


@settings(max_examples=80, derandomize=True)
@given(st.data())
def test_convolutions_by_the_definition(data: st.DataObject) -> None:
    draw = data.draw
    dtype = draw(st.sampled_from(["int8", "uint8"]))
    window, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    pads = draw(st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2))
    size = [
        max(1, (f - 1) * d + 1 - sum(p)) + draw(st.integers(0, 6))
        for f, d, p in zip(window, dilation, pads, strict=True)
    ]
    geometry = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": dilation,
        "padding": pads,
    }
    groups, depth, units = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    depthwise = draw(st.booleans())
    multiplier = draw(st.integers(1, 3)) if depthwise else 1
    channels = units * multiplier if depthwise else units * groups
    a = arithmetic(rng, channels, dtype, "double_rounding")
    x = values(rng, (2, *size, units if depthwise else depth * groups), dtype)
    bias = rng.integers(-5000, 5000, channels, dtype=np.int32)
    if depthwise:
        w = values(rng, (1, *window, channels), dtype)
        y = on_every_isa(
            lambda: qc.kernels.depthwise_conv2d(x, w, bias, depth_multiplier=multiplier, **geometry, **a)
        )
        filters, groups = w.transpose(3, 1, 2, 0), units
    else:
        filters = w = values(rng, (channels, *window, depth), dtype)
        y = on_every_isa(lambda: qc.kernels.conv2d(x, w, bias, groups=groups, **geometry, **a))
    sums = direct_convolution(
        x.astype(np.int64) + a["input_offset"],
        filters.astype(np.int64) + a["filter_offset"],
        geometry,
        groups,
    )
    rule = run_page("requantize")["double_rounding"]
    expected = np.empty_like(sums)
    for c in range(channels):
        k = c % a["multiplier"].size
        expected[..., c] = rule(sums[..., c] + bias[c], int(a["multiplier"][k]), int(a["shift"][k]))
    info = np.iinfo(dtype)
    np.testing.assert_array_equal(y, np.clip(expected + a["output_offset"], info.min, info.max))


def test_activation_bounds_and_batch_of_none() -> None:
    x = np.arange(-60, 60, dtype=np.int8).reshape(2, 5, 4, 3)
    w = np.ones((4, 1, 1, 3), np.int8)
    y = qc.kernels.conv2d(x, w, **PLAIN | {"shift": 0}, activation_min=-7, activation_max=9)
    assert (y.min(), y.max()) == (-7, 9)
    assert qc.kernels.conv2d(x[:0], w, **PLAIN).shape == (0, 5, 4, 4)
    assert qc.kernels.fully_connected(x[:0].reshape(0, 60), np.ones((2, 60), np.int8), **PLAIN).shape == (
        0,
        2,
    )


def test_arrays_that_are_not_contiguous() -> None:
    rng = np.random.default_rng(2)
    x, w = values(rng, (2, 6, 8, 10), "int8"), values(rng, (6, 3, 3, 10), "int8")
    expected = qc.kernels.conv2d(x[:, ::2, :, ::2].copy(), w[::2, :, :, ::2].copy(), **PLAIN)
    np.testing.assert_array_equal(qc.kernels.conv2d(x[:, ::2, :, ::2], w[::2, :, :, ::2], **PLAIN), expected)
    read_only = x.copy()
    read_only.flags.writeable = False
    qc.kernels.conv2d(read_only, w, **PLAIN)


def test_body_and_tail_of_a_requantization() -> None:
    """Profiles with a vector body round the channels after it by another rule."""
    rng = np.random.default_rng(3)
    channels = 45
    x, w = np.zeros((1, 1, 1, 1), np.int8), np.ones((channels, 1, 1, 1), np.int8)
    shape = ConvShape(1, 1, 1, 1, 1, 1, 1, 1, channels, 1, 1, 1, 1, 0, 0)
    for body in (0, 1, 7, 8, 15, 16, 17, 24, 40, 44, 45):
        for rounding, tail in (
            ("ruy", "double_rounding"),
            ("float32", "ruy"),
            ("double_rounding", "single_rounding"),
        ):
            requant = Requant(
                rounding, 1 << 30, -3, real_multiplier=2.0**-4, activation_min=-128, activation_max=127,
                body=body, tail=tail,
            )  # fmt: skip
            bias = rng.integers(-1000, 1000, channels, dtype=np.int32)
            bias[::2] = bias[::2] // 16 * 16 + 8  # ties

            def run(requant: Requant = requant, bias: np.ndarray = bias) -> np.ndarray:
                y = np.empty(channels, np.int8)
                call = conv_call("int8", shape, groups=1, input_offset=0, filter_offset=0, requant=requant)
                call([x, w, bias], [y])
                return y

            on_every_isa(run)


# Memory ---------------------------------------------------------------------------------------------


SHAPES = [(1, 3, 3, 1, 1), (1, 5, 4, 3, 5), (2, 3, 5, 16, 17), (1, 4, 4, 33, 65), (1, 1, 1, 5, 70)]


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs mprotect")
@pytest.mark.parametrize("isa", instruction_sets())
def test_kernels_stay_inside_their_arrays(isa: str) -> None:
    guarded = Guarded()
    rng = np.random.default_rng(4)
    with using(isa):
        for n, height, width, depth, units in SHAPES:
            for size, padding in ((1, 0), (3, 1)):
                shape = ConvShape(
                    n, height, width, depth, size, size, height, width, units, 1, 1, 1, 1, padding, padding
                )
                x = guarded(values(rng, (n, height, width, depth), "int8"))
                w = guarded(values(rng, (units, size, size, depth), "int8"))
                b, y = (
                    guarded(np.zeros(units, np.int32)),
                    guarded(np.zeros((n, height, width, units), np.int8)),
                )
                m, s = guarded(np.full(units, 1 << 30, np.int32)), guarded(np.full(units, -8, np.int32))
                requant = Requant("double_rounding", m, s, activation_min=-128, activation_max=127)
                conv_call("int8", shape, groups=1, input_offset=3, filter_offset=0, requant=requant)(
                    [x, w, b], [y]
                )
                floats = [guarded(v.astype(np.float32)) for v in (x, w, b, y)]
                for fused, filter in product((False, True), (None, floats[1])):
                    call = conv_f32_call(
                        shape, filter=filter, groups=1, activation_min=-1, activation_max=1, fused=fused
                    )
                    call(floats[:3], floats[3:])
                shape = shape._replace(output_channels=depth)
                w = guarded(values(rng, (1, size, size, depth), "int8"))
                b, y = guarded(np.zeros(depth, np.int32)), guarded(np.zeros(x.shape, np.int8))
                requant = Requant("double_rounding", 1 << 30, -8, activation_min=-128, activation_max=127)
                call = depthwise_conv_call("int8", shape, input_offset=3, filter_offset=0, requant=requant)
                call([x, w, b], [y])
                floats = [guarded(v.astype(np.float32)) for v in (x, w, b, y)]
                for fused in (False, True):
                    call = depthwise_conv_f32_call(shape, activation_min=-1, activation_max=1, fused=fused)
                    call(floats[:3], floats[3:])


# Geometry -------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 7), st.integers(1, 4))
def test_same_padding_covers_the_input(size: int, window: int, stride: int, dilation: int) -> None:
    output, before = conv_geometry(size, window, stride, dilation, "same")
    effective = (window - 1) * dilation + 1
    after = (output - 1) * stride + effective - size - before
    assert output == -(-size // stride)
    assert after < 0 or 0 <= after - before <= 1


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 7), st.integers(1, 4), st.integers(0, 5))
def test_explicit_padding_is_valid_on_a_larger_input(
    size: int, window: int, stride: int, dilation: int, pad: int
) -> None:
    effective = (window - 1) * dilation + 1
    if effective > size + 2 * pad:
        with pytest.raises(KernelError, match="spans"):
            conv_geometry(size, window, stride, dilation, (pad, pad))
        return
    output, before = conv_geometry(size, window, stride, dilation, (pad, pad))
    assert before == pad
    assert (output, 0) == conv_geometry(size + 2 * pad, window, stride, dilation, "valid")


# Bad arguments --------------------------------------------------------------------------------------

X, W = np.zeros((1, 4, 4, 2), np.int8), np.zeros((3, 2, 2, 2), np.int8)
BAD = {
    "float input": {"input": X.astype(np.float32)},
    "mixed dtypes": {"filter": W.astype(np.uint8)},
    "rank": {"input": X[0]},
    "an empty image": {"input": X[:, :0]},
    "channels": {"filter": np.zeros((3, 2, 2, 3), np.int8)},
    "groups": {"groups": 2},
    "groups of 0": {"groups": 0},
    "filter larger than the image": {"filter": np.zeros((3, 5, 2, 2), np.int8)},
    "bias dtype": {"bias": np.zeros(3)},
    "bias length": {"bias": np.zeros(2, np.int32)},
    "input_offset": {"input_offset": 129},
    "filter_offset": {"filter_offset": -128},
    "output_offset": {"output_offset": 300},
    "multiplier": {"multiplier": 5},
    "float multiplier": {"multiplier": 0.5},
    "multipliers for two channels": {"multiplier": [1 << 30] * 2, "shift": [0, 0]},
    "one shift for three multipliers": {"multiplier": [1 << 30] * 3},
    "shift": {"shift": 32},
    "shift of single rounding": {"shift": 31, "rounding": "single_rounding"},
    "rounding": {"rounding": "int16_multiplier"},
    "no real multiplier": {"rounding": "float64"},
    "stride": {"stride": (0, 1)},
    "one stride": {"stride": (1,)},
    "dilation": {"dilation": (1, 1.5)},
    "padding": {"padding": "full"},
    "padding of one axis": {"padding": ((1, 1),)},
    "negative padding": {"padding": ((0, 0), (-1, 0))},
    "padding of strings": {"padding": (("a", "b"), (0, 0))},
    "activation bounds": {"activation_min": 5, "activation_max": 4},
    "activation beyond the dtype": {"activation_max": 128},
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_arguments(reason: str) -> None:
    arguments: dict[str, Any] = {"input": X, "filter": W} | PLAIN
    qc.kernels.conv2d(**arguments)
    with pytest.raises(KernelError):
        qc.kernels.conv2d(**arguments | BAD[reason])


def test_bad_arguments_of_the_others() -> None:
    with pytest.raises(KernelError, match="depth_multiplier"):
        qc.kernels.depthwise_conv2d(X, np.zeros((1, 2, 2, 4), np.int8), **PLAIN)
    with pytest.raises(KernelError, match="depth_multiplier"):
        qc.kernels.depthwise_conv2d(X, np.zeros((2, 2, 2, 2), np.int8), **PLAIN)
    for shape in ((3,), (3, 5), (3, 0), (3, 2, 2)):
        with pytest.raises(KernelError):
            qc.kernels.fully_connected(X, np.zeros(shape, np.int8), **PLAIN)


# 16x8 -----------------------------------------------------------------------------------------------


def by_the_formula(sums: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray, wide: bool) -> list[int]:
    """Outputs of sums, channels last."""
    return [
        int16_output(int(acc), int(multipliers[i % multipliers.size]), int(shifts[i % shifts.size]), wide)
        for i, acc in enumerate(sums.ravel())
    ]


def int16_output(acc: int, multiplier: int, shift: int, wide: bool) -> int:
    """One output of a sum: by a multiplier of 16 bits for int64 sums, else by double rounding."""
    if wide:
        reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
        scaled = (acc * reduced + (1 << (14 - shift))) >> (15 - shift)
    else:
        high = (acc * 2 ** max(shift, 0) * multiplier + (1 << 30)) >> 31
        n = max(-shift, 0)
        scaled = (1 if high >= 0 else -1) * ((abs(high) + ((1 << n) >> 1)) >> n)
    return min(max(scaled, -32768), 32767)


@pytest.mark.parametrize("bias_dtype", ["int64", "int32"])
def test_int16_activations(bias_dtype: str) -> None:
    rng = np.random.default_rng(8)
    wide = bias_dtype == "int64"
    x, w = values(rng, (2, 4, 3, 6), "int16"), values(rng, (5, 1, 1, 6), "int8")
    bias = rng.integers(-(2**22), 2**22, 5).astype(bias_dtype)
    multiplier, shift = rng.integers(1 << 30, 1 << 31, 5), rng.integers(-12, -7, 5)
    acc = x.astype(np.int64) @ w[:, 0, 0].T.astype(np.int64) + bias
    expected = by_the_formula(acc, multiplier, shift, wide)
    given: dict[str, Any] = {"input_offset": 0, "output_offset": 0, "multiplier": multiplier, "shift": shift}
    y = qc.kernels.conv2d(x, w, bias, **given)
    assert y.dtype == np.int16
    assert y.ravel().tolist() == expected
    assert len(set(expected)) > 20
    if wide:
        np.testing.assert_array_equal(qc.kernels.conv2d(x, w, bias, **given, rounding="int16_multiplier"), y)
    depthwise = qc.kernels.depthwise_conv2d(x[..., :5], w[:, 0, 0, 0].reshape(1, 1, 1, 5), bias, **given)
    sums = x[..., :5].astype(np.int64) * w[:, 0, 0, 0] + bias
    assert depthwise.ravel().tolist() == by_the_formula(sums, multiplier, shift, wide)


def test_int16_arguments_out_of_range() -> None:
    x, w = np.zeros((1, 2, 2, 3), np.int16), np.zeros((4, 1, 1, 3), np.int8)
    for arguments, reason in (
        ({"rounding": "ruy", "bias": np.zeros(4, np.int64)}, "expected one of double_rounding"),
        ({"rounding": "int16_multiplier", "shift": 8}, "shift"),
        ({"filter": w.astype(np.int16)}, "filter has dtype int16"),
        ({"bias": np.zeros(4, np.int16)}, "bias has dtype"),
    ):
        with pytest.raises(KernelError, match=reason):
            qc.kernels.conv2d(**({"input": x, "filter": w, **PLAIN} | arguments))
    with pytest.raises(KernelError, match="bias has dtype int64"):
        qc.kernels.conv2d(x.astype(np.int8), w, np.zeros(4, np.int64), **PLAIN)
