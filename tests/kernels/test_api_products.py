"""fully_connected, batch_matmul and transpose_conv on arrays, against sums of unbounded integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError
from tests.ops.harness import run_page

ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")
WIDE_ROUNDINGS = ("double_rounding", "int16_multiplier", "float64")
PLAIN: dict[str, Any] = {"output_offset": 0, "multiplier": 1 << 30, "shift": -6}


def values(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, bits: int | None = None
) -> np.ndarray:
    info = np.iinfo(dtype)
    low = int(info.min) if bits is None else -(1 << (bits - 1))
    high = int(info.max) if bits is None else -low - 1
    return rng.integers(low, high, shape, dtype=dtype, endpoint=True)


def store(
    rng: np.random.Generator, channels: int, rounding: str, reach: float, dtype: str = "int8"
) -> dict[str, Any]:
    """Return arguments of a requantization that brings sums of about `reach` into the range of `dtype`."""
    info = np.iinfo(dtype)
    reals = float(info.max) / reach * np.exp(rng.uniform(0, 1.5, channels))
    multiplier, shift = qc.quantize_multiplier(reals)
    real = np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift) - 31)
    return {
        "multiplier": multiplier,
        "shift": shift,
        "rounding": rounding,
        "real_multiplier": real.astype(np.float32) if rounding == "float32" else real,
        "output_offset": 0 if dtype == "int16" else int(rng.integers(info.min, int(info.max) + 1)),
        "activation_min": int(info.min) + 9,
    }


def stored(acc: np.ndarray, a: dict[str, Any], dtype: str, wide: bool = False) -> np.ndarray:
    """Return the outputs of sums, by the page that defines the rules; channels are last."""
    page = run_page("requantize")
    rule = "int16_multiplier" if wide and a["rounding"] == "double_rounding" else a["rounding"]
    result = np.empty_like(acc)
    for c in range(acc.shape[-1]):
        k = c % np.size(a["multiplier"])
        fixed = (int(np.atleast_1d(a["multiplier"])[k]), int(np.atleast_1d(a["shift"])[k]))
        by = (np.atleast_1d(a["real_multiplier"])[k],) if "float" in rule else fixed
        result[..., c] = page[rule](acc[..., c], *by)
    info = np.iinfo(dtype)
    return np.clip(result + a["output_offset"], a["activation_min"], info.max).astype(dtype)


@pytest.mark.parametrize("bias_dtype", ["int64", "int32", None])
def test_fully_connected_on_int16(bias_dtype: str | None) -> None:
    rng = np.random.default_rng(1)
    wide = bias_dtype != "int32"
    for rounding in WIDE_ROUNDINGS if wide else ROUNDINGS:
        x, w = values(rng, (2, 3, 40), "int16"), values(rng, (23, 40), "int8")
        bias = None if bias_dtype is None else rng.integers(-(10**6), 10**6, 23).astype(bias_dtype)
        a = store(rng, 23, rounding, 6 * 75 * 20000, "int16")
        acc = x.astype(np.int64) @ w.astype(np.int64).T + (0 if bias is None else bias)
        y = qc.kernels.fully_connected(x, w, bias, input_offset=0, **a)
        np.testing.assert_array_equal(y, stored(acc, a, "int16", wide))


@pytest.mark.parametrize("depth", [1, 7, 40])
def test_filter_of_four_bits(depth: int) -> None:
    rng = np.random.default_rng(2)
    for dtype in ("int8", "int16"):
        x, w = values(rng, (5, depth), dtype), values(rng, (10, depth), "int8", 4)
        flat = np.append(w.reshape(-1), np.zeros(w.size % 2, np.int8)).view(np.uint8) & 15
        packed = flat[::2] | flat[1::2] << 4
        a = store(rng, 10, "double_rounding", 20 * depth * np.iinfo(dtype).max, dtype)
        wanted = qc.kernels.fully_connected(x, w, input_offset=0, **a)
        for filter in (w, packed, packed.view(np.int8)):
            y = qc.kernels.fully_connected(x, filter, input_offset=0, filter_bits=4, **a)
            np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("adj_x", [False, True])
@pytest.mark.parametrize("adj_y", [False, True])
def test_batch_matmul(dtype: str, adj_x: bool, adj_y: bool) -> None:
    rng = np.random.default_rng(3)
    wide = dtype == "int16"
    for rounding in WIDE_ROUNDINGS if wide else ROUNDINGS:
        for left, right in (((), ()), ((2, 1), (1, 3)), ((3,), ())):
            lhs, rhs = values(rng, (*left, 5, 33), dtype), values(rng, (*right, 33, 7), dtype)
            offsets = (0, 0) if wide else (int(rng.integers(-127, 129)), int(rng.integers(-127, 129)))
            a = store(rng, 1, rounding, 6 * float(np.iinfo(dtype).max) ** 2 / 4, dtype)
            acc = (lhs.astype(np.int64) + offsets[0]) @ (rhs.astype(np.int64) + offsets[1])
            y = qc.kernels.batch_matmul(
                np.swapaxes(lhs, -1, -2) if adj_x else lhs,
                np.swapaxes(rhs, -1, -2) if adj_y else rhs,
                lhs_offset=offsets[0],
                rhs_offset=offsets[1],
                adj_x=adj_x,
                adj_y=adj_y,
                **a,
            )
            np.testing.assert_array_equal(y, stored(acc, a, dtype, wide))


# padding; output size for 3 x 4 elements by a filter of 3 x 2 and strides of 2 and 3; padding before
TRANSPOSED: list[Any] = [
    ("valid", None, (7, 11), (0, 0)),
    ("same", None, (6, 12), (0, 0)),
    (((1, 1), (0, 1)), None, (5, 10), (1, 0)),
    (((1, 0), (1, 0)), (6, 9), (6, 9), (1, 1)),
    ("valid", (4, 20), (4, 20), (0, 0)),
]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_transpose_conv(dtype: str) -> None:
    rng = np.random.default_rng(4)
    wide = dtype == "int16"
    for number, (padding, size, expected, pad) in enumerate(TRANSPOSED):
        rounding = (WIDE_ROUNDINGS if wide else ROUNDINGS)[number % (3 if wide else 5)]
        x = values(rng, (2, 3, 4, 5), dtype)
        w = values(rng, (11, 3, 2, 5), "uint8" if dtype == "uint8" else "int8")
        z = (0, 0) if wide else (-3, -100 if dtype == "uint8" else 2)
        bias = rng.integers(-1000, 1000, 11).astype(np.int64 if wide else np.int32)
        a = store(rng, 11, rounding, 4 * 75.0 * np.iinfo(dtype).max / 2, dtype)
        acc = np.zeros((2, *expected, 11), np.int64) + bias
        for i, j, f, g in np.ndindex(3, 4, 3, 2):
            o, p = i * 2 - pad[0] + f, j * 3 - pad[1] + g
            if 0 <= o < expected[0] and 0 <= p < expected[1]:
                acc[:, o, p] += (x[:, i, j].astype(np.int64) + z[0]) @ (w[:, f, g].astype(np.int64) + z[1]).T
        y = qc.kernels.transpose_conv(
            x, w, bias, input_offset=z[0], filter_offset=z[1], stride=(2, 3), padding=padding,
            output_size=size, **a,
        )  # fmt: skip
        np.testing.assert_array_equal(y, stored(acc, a, dtype, wide))


X8, W8 = np.zeros((2, 4), np.int8), np.zeros((3, 4), np.int8)
IMAGE, FILTER = np.zeros((1, 3, 4, 2), np.int8), np.zeros((3, 2, 2, 2), np.int8)


@pytest.mark.parametrize(
    ("input", "filter", "changes"),
    [
        (X8, W8.astype(np.int16), {}),
        (X8.astype(np.int16), W8.astype(np.int16), {}),
        (X8, W8, {"filter_bits": 3}),
        (X8, np.full((3, 4), 8, np.int8), {"filter_bits": 4}),
        (X8, np.zeros(5, np.uint8), {"filter_bits": 4, "input_offset": 200}),
        (np.zeros((2, 3), np.int8), np.zeros(4, np.uint8), {"filter_bits": 4}),
        (X8.astype(np.int16), W8, {"rounding": "ruy"}),
        (X8.astype(np.int16), W8, {"bias": np.zeros(3, np.int8)}),
        (X8.astype(np.int16), W8, {"shift": 8}),
        (X8, W8, {"rounding": "int16_multiplier"}),
        (X8, W8, {"bias": np.zeros(3, np.int64)}),
        (np.int8(1), W8, {}),
    ],
)
def test_refused_by_fully_connected(input: Any, filter: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(KernelError):
        qc.kernels.fully_connected(input, filter, **{"input_offset": 0} | PLAIN | changes)


@pytest.mark.parametrize(
    ("lhs", "rhs", "changes"),
    [
        (X8, W8, {}),
        (X8, W8.T.astype(np.int16), {}),
        (X8[0], W8.T, {}),
        (np.zeros((2, 2, 4), np.int8), np.zeros((3, 4, 3), np.int8), {}),
        (X8.astype(np.int16), W8.T.astype(np.int16), {"lhs_offset": 1}),
        (X8, W8.T, {"multiplier": [1 << 30] * 2, "shift": [0, 0]}),
        (X8.astype(np.uint8), W8.T.astype(np.uint8), {}),
    ],
)
def test_refused_by_batch_matmul(lhs: Any, rhs: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(KernelError):
        qc.kernels.batch_matmul(lhs, rhs, **PLAIN | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"filter": np.zeros((3, 2, 2, 3), np.int8)},
        {"filter": np.zeros((3, 0, 2, 2), np.int8)},
        {"stride": (0, 1)},
        {"padding": "full"},
        {"padding": ((9, 9), (0, 0))},
        {"padding": ((-1, 0), (0, 0))},
        {"padding": (1, 1)},
        {"output_size": (0, 4)},
        {"output_size": (2**16, 2**16)},
        {"input": IMAGE.astype(np.int16), "input_offset": 1},
        {"bias": np.zeros(2, np.int32)},
    ],
)
def test_refused_by_transpose_conv(changes: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"input": IMAGE, "filter": FILTER, "input_offset": 0} | PLAIN
    assert qc.kernels.transpose_conv(**arguments).shape == (1, 4, 5, 3)
    with pytest.raises(KernelError):
        qc.kernels.transpose_conv(**arguments | changes)
