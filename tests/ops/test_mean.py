"""MEAN: axes in every form, ties, large counts, empty inputs, float order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.ops.mean import mean_multiplier
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
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
    with_shapes,
)

QUANTIZED = ("int8", "uint8", "int16")
DTYPES = (*QUANTIZED, "float32", "int32", "int64")
SHAPES_AND_AXES: list[tuple[tuple[int, ...], Any]] = [
    ((2, 5, 7, 3), [1, 2]),
    ((2, 5, 7, 3), [2, 1]),
    ((2, 5, 7, 19), [-3, -2]),
    ((2, 5, 7, 3), [3]),
    ((2, 5, 7, 3), [-1, 3, -1]),
    ((2, 5, 7, 3), [0, 2]),
    ((2, 5, 7, 3), [1, 3]),
    ((2, 5, 7, 3), [0, 1, 2, 3]),
    ((2, 5, 7, 3), []),
    ((4, 1, 6), [1]),
    ((6, 65), 1),  # a scalar axis
    ((33,), [0]),
    ((), [0]),
    ((1, 1, 1), [0, 2]),
    ((2, 3, 2, 3, 2, 3), [0, 2, 4]),
    ((2,) * 8, [0, 2, 4, 6]),
    ((3, 1000), [1]),
]
EMPTY: list[tuple[tuple[int, ...], Any]] = [((0, 3), [0]), ((3, 0), [0]), ((0, 3), [1]), ((2, 0, 3), [1])]


def mean(
    shape: Any, axis: Any, dtype: str, scales: Any = (0.1, 3, 0.07, -5), keep_dims: bool = False
) -> Model:
    si, zi, so, zo = scales
    shift = {"uint8": 128}.get(dtype, 0)
    if dtype == "int16":
        zi = zo = 0
    if dtype not in QUANTIZED:
        si = so = None
    return op_model(
        "MEAN",
        [tensor(shape, dtype, si, zi + shift), const(np.array(axis, np.int32))],
        [tensor((), dtype, so, zo + shift)],
        {"keep_dims": keep_dims},
        version=3,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep_dims", [False, True])
def test_axes(dtype: str, keep_dims: bool) -> None:
    rng = np.random.default_rng(51)
    for shape, axis in SHAPES_AND_AXES:
        check(mean(shape, axis, dtype, keep_dims=keep_dims), [random_values(rng, shape, dtype)])


FAILS_IN_XNNPACK = ([-1, 3, -1], [0, 2, 4, 6])  # an axis twice; too many dimensions


def profile_means(dtype: str, numerics: str) -> Any:
    """Yield models with inputs over all axes, with random scales and zero points at both ends."""
    rng = np.random.default_rng(59)
    shapes: list[tuple[tuple[int, ...], Any]] = [
        *SHAPES_AND_AXES,
        ((2, 3, 4, 16), [1, 2]),
        ((1, 3, 5, 47), [2, 1]),
        ((3, 2, 2, 33), [1, 2]),
    ]
    for shape, axis in shapes:
        if numerics == "xnnpack" and (not shape or axis in FAILS_IN_XNNPACK):
            continue
        for keep_dims in (False, True):
            si, so = np.exp(rng.uniform(-3, 0, 2))
            zeros = [(3, -5), (-128, 127), (127, -128)][rng.integers(3)]
            x = random_values(rng, shape, dtype)
            yield mean(shape, axis, dtype, (si, zeros[0], so, zeros[1]), keep_dims), x


@pytest.mark.parametrize(
    ("dtype", "numerics"),
    [(d, n) for d in ("int8", "uint8", "int16", "int32", "int64") for n in ("optimized", "xnnpack")]
    + [(d, "tflm") for d in ("int8", "int16", "float32")],
)
def test_profiles(dtype: str, numerics: str) -> None:
    formula = run_page("mean")["mean"]
    for model, x in profile_means(dtype, numerics):
        (y,) = check(model, [x], numerics=numerics)
        tensors = model.subgraphs[0].tensors
        given, out = tensors[0].quantization, tensors[2].quantization
        if numerics == "tflm" or given is None or out is None or tensors[1].data is None:
            continue
        profile = "optimized" if tensors[1].data.size == 0 or dtype == "int16" else numerics
        ours = formula(
            x,
            tensors[1].data,
            given.scale[0],
            int(given.zero_point[0]),
            out.scale[0],
            int(out.zero_point[0]),
            bool(model.subgraphs[0].operators[0].options.get("keep_dims")),
            profile,
        )
        assert_same_bits(ours.reshape(y.shape), y, f"page mean, {dtype} {numerics} {x.shape}")


@pytest.mark.parametrize("numerics", ["optimized", "xnnpack"])
def test_floats_of_profiles(numerics: str) -> None:
    """The optimized kernel is exact unless it sums rows of the last dimension, which it leaves to Eigen."""
    rng = np.random.default_rng(62)
    for shape, axis in SHAPES_AND_AXES:
        if numerics == "xnnpack" and (not shape or axis in FAILS_IN_XNNPACK):
            continue
        x = rng.normal(0, 1, shape).astype(np.float32)
        x.reshape(-1)[::3] = -0.0
        model = mean(shape, axis, "float32")
        rows = bool(shape) and len(shape) - 1 in (np.ravel(axis) % len(shape))
        if numerics == "optimized" and not rows:
            check(model, [x], numerics=numerics)
        else:
            check_within_bounds(model, [x], numerics, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_ties_of_profiles(dtype: str) -> None:
    """Means of 4 values whose sum is -2: a tie in every profile, in the body and in the tail."""
    x = np.zeros((1, 2, 2, 19), dtype)
    zero = 128 if dtype == "uint8" else 0
    x[0] = np.array([[-1, -1], [0, 0]])[..., None] + zero
    results = {}
    for numerics in ("reference", "optimized", "xnnpack"):
        (y,) = check(mean(x.shape, [1, 2], dtype, (0.5, 0, 0.5, 0), keep_dims=True), [x], numerics=numerics)
        results[numerics] = (y.astype(int).reshape(-1) - zero).tolist()
    assert results["reference"] == [-1] * 19
    # Half away from zero of the stored value, which is 127.5 for uint8.
    assert results["xnnpack"] == ([-1] if dtype == "int8" else [0]) * 19
    if dtype == "int8":
        assert results["optimized"] == [0] * 16 + [-1] * 3


@pytest.mark.parametrize("numerics", ["optimized", "xnnpack"])
def test_extreme_ratios_of_profiles(numerics: str) -> None:
    x = random_values(np.random.default_rng(60), (2, 3, 5, 19))
    for ratio in (2.0**-30, 1e-6, 1e6, 1e9, 1e12):
        for zeros in ((0, 0), (-128, 127), (127, -128)):
            for keep_dims in (False, True):
                if numerics == "optimized" and (ratio > 1e9 or (ratio > 1e6 and zeros[0])):
                    continue
                model = mean(x.shape, [1, 2], "int8", (1.0, zeros[0], 1 / ratio, zeros[1]), keep_dims)
                check(model, [x], numerics=numerics)


def test_refused_by_xnnpack() -> None:
    """XNNPACK takes these, and then fails."""
    for shape, axis in (((2, 5, 7, 3), [1, 1]), ((2, 3), [1, -1]), ((), [0]), ((1,) * 7, [0])):
        x = [np.zeros(shape, np.int8)]
        with pytest.raises(UnsupportedOperatorError, match="axes are given"):
            run_ours(mean(shape, axis, "int8"), x, "xnnpack")
        assert "XNNPack" in refusal(with_shapes(mean(shape, axis, "int8"), x), x, numerics="xnnpack")


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_inputs(dtype: str) -> None:
    """NaN for floats, stored zeros for integers, whatever the zero point."""
    for shape, axis in EMPTY:
        check(mean(shape, axis, dtype), [np.zeros(shape, dtype)])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_sum(dtype: str) -> None:
    """n values with every possible sum, for ratios of scales that make ties of both signs."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(52)
    for n in (1, 2, 3, 4, 5, 7, 8, 9, 16):
        sums = np.arange(n * info.min, n * info.max + 1)
        x = ((sums[:, None] + np.arange(n)) // n).astype(dtype)
        for ratio in (1.0, 0.5, 0.25, 2.0, 8.0, *np.exp(rng.uniform(-5, 5, 3))):
            scales = (
                0.1,
                rng.integers(-128, 128),
                np.float32(0.1) / np.float32(ratio),
                rng.integers(-128, 128),
            )
            check(mean(x.shape, [1], dtype, scales), [x])


@pytest.mark.parametrize("dtype", QUANTIZED)
def test_random_scales(dtype: str) -> None:
    rng = np.random.default_rng(53)
    for _ in range(60):
        n = int(np.exp(rng.uniform(0, 8)))
        si, so = np.exp(rng.uniform(-14, 3, 2))
        x = random_values(rng, (20, n), dtype)
        x[10:] //= 3
        check(mean(x.shape, [1], dtype, (si, rng.integers(-128, 128), so, rng.integers(-128, 128))), [x])


@pytest.mark.parametrize("ratio", [2.0**-31, 1.3 * 2.0**-30, 2.0**-20, 1e5, 2.0**20])
def test_extreme_ratios(ratio: float) -> None:
    """The multiplier's shift limits how much precision the division by n keeps; large ones saturate."""
    x = random_values(np.random.default_rng(54), (50, 300))
    check(mean(x.shape, [1], "int8", (0.5, 0, 0.5 / ratio, 0)), [x])


def test_the_data_reaches_both_bounds() -> None:
    x = random_values(np.random.default_rng(55), (3000, 3))
    (y,) = check(mean(x.shape, [1], "int8", (0.1, 0, 0.06, 0)), [x])
    covers(y)


def test_large_counts() -> None:
    rng = np.random.default_rng(56)
    for dtype in ("int8", "uint8", "float32"):
        check(mean((1, 300, 301, 2), [1, 2], dtype), [random_values(rng, (1, 300, 301, 2), dtype)])


def test_special_floats() -> None:
    x = random_values(np.random.default_rng(57), (200, 9), "float32", special=True)
    x[0] = -0.0
    check(mean(x.shape, [1], "float32"), [x])
    check(mean(x.shape, [0], "float32"), [x])


@given(data=st.data())
@settings(max_examples=60)
def test_random_shapes(data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, 6))
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank)))
    axis = data.draw(st.lists(st.integers(-rank, rank - 1), max_size=rank + 2)) if rank else []
    dtype = data.draw(st.sampled_from(DTYPES))
    model = mean(shape, axis, dtype, keep_dims=data.draw(st.booleans()))
    check(model, [random_values(np.random.default_rng(0), shape, dtype)])


def test_the_multiplier_keeps_its_precision() -> None:
    assert mean_multiplier(1 << 30, 1, 1) == (1 << 30, 1)
    assert mean_multiplier(1 << 30, 1, 4) == (1 << 30, -1)  # divided by the shift alone
    assert mean_multiplier(1 << 30, 1, 6) == ((1 << 32) // 6, -1)
    assert mean_multiplier(1 << 30, -30, 6) == ((1 << 31) // 6, -31)  # one shift is all that is left


@pytest.mark.parametrize("dtype", [*QUANTIZED, "float32"])
def test_the_page_computes_what_the_kernel_computes(dtype: str) -> None:
    formula = run_page("mean")["mean"]
    rng = np.random.default_rng(58)
    zero = {"int8": (3, -5), "uint8": (131, 123)}.get(dtype, (0, 0))
    for shape, axis in SHAPES_AND_AXES:
        x = random_values(rng, shape, dtype)
        (y,) = check(mean(shape, axis, dtype), [x])
        assert_same_bits(
            formula(x, axis, 0.1, zero[0], 0.07, zero[1]), y, f"page mean, {dtype} {shape} {axis}"
        )


def test_axes_from_an_input() -> None:
    model = op_model("MEAN", [tensor((2, 3), "float32"), tensor((1,), "int32")], [tensor((), "float32")])
    x = random_values(np.random.default_rng(61), (2, 3), "float32")
    for axis in (0, 1):
        check(model, [x, np.array([axis], np.int32)])


def test_refused() -> None:
    x = [np.zeros((2, 3), np.int8)]
    for axis in ([2], [-3]):
        with pytest.raises(UnsupportedOperatorError, match="axis"):
            run_ours(mean((2, 3), axis, "int8"), x)
        assert "was not true" in refusal(mean((2, 3), axis, "int8"), x)
    for scales, reason in (
        ((0.0, 0, 0.1, 0), "positive"),
        ((0.1, 0, None, 0), "without a scale"),
        ((1e30, 0, 1e-30, 0), "ratio"),
        ((0.1, 500, 0.1, 0), "zero point"),
    ):
        with pytest.raises(UnsupportedOperatorError, match=reason):
            run_ours(mean((2, 3), [0], "int8", scales), x)
    model = op_model("MEAN", [tensor((2, 3), "float32"), const(np.array([0]))], [tensor((), "float32")])
    with pytest.raises(UnsupportedOperatorError, match="int64"):
        run_ours(model, [np.zeros((2, 3), np.float32)])
