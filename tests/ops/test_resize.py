"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: every form of every profile over sizes, options and dtypes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    const,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

OPS = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
DTYPES = ("int8", "uint8", "int16", "float32")
TFLM_DTYPES = {
    "RESIZE_BILINEAR": ("int8", "float32"),
    "RESIZE_NEAREST_NEIGHBOR": ("int8", "int16", "float32"),
}
# (height, width) of input and output: up, down, equal, one row, twice, eight times
SIZES = [
    ((3, 5), (7, 4)),
    ((13, 6), (5, 17)),
    ((4, 4), (4, 4)),
    ((1, 1), (3, 5)),
    ((7, 9), (1, 1)),
    ((5, 3), (10, 6)),
    ((2, 3), (16, 24)),
    ((1, 8), (1, 23)),
    ((3, 9), (17, 65)),
]
# align_corners, half_pixel_centers
OPTIONS = [(False, False), (True, False), (False, True), (True, True)]


def resize(
    op: str, shape: tuple[int, ...], size: Any, dtype: str, align_corners: bool, half_pixel_centers: bool
) -> Model:
    scale = None if dtype == "float32" else 0.1
    zero_point = {"int8": -5, "uint8": 130}.get(dtype, 0)
    return op_model(
        op,
        [tensor(shape, dtype, scale, zero_point), const(np.array(size, np.int32))],
        [tensor((), dtype, scale, zero_point)],
        {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers},
        version=3,
    )


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "float32":  # XNNPACK flushes subnormal numbers to 0
        return rng.normal(0, 10, shape).astype(np.float32)
    return random_values(rng, shape, dtype)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_sizes_and_options(op: str, dtype: str, profile: str) -> None:
    if profile == "tflm" and dtype not in TFLM_DTYPES[op]:
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(0)
    for ((size, target), options), channels in zip(
        itertools.product(SIZES, OPTIONS), itertools.cycle((1, 3, 8, 21, 2, 40)), strict=False
    ):
        if op == "RESIZE_BILINEAR" and all(options):
            continue
        x = values(rng, (2, *size, channels), dtype)
        check(resize(op, x.shape, target, dtype, *options), [x], numerics=profile)


@given(data=st.data())
@settings(max_examples=60)
def test_random_sizes(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    target = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    op, dtype = data.draw(st.sampled_from(OPS)), data.draw(st.sampled_from(DTYPES))
    options = data.draw(st.sampled_from(OPTIONS if op != "RESIZE_BILINEAR" else OPTIONS[:3]))
    profile = data.draw(st.sampled_from(TFLITE))
    x = values(np.random.default_rng(0), (1, *size, data.draw(st.integers(1, 9))), dtype)
    check(resize(op, x.shape, target, dtype, *options), [x], numerics=profile)


def test_floats_keep_infinities_and_zeros() -> None:
    """Reference kernels make 0.0 of -0.0, even where nothing is interpolated."""
    x = random_values(np.random.default_rng(3), (1, 9, 7, 4), "float32", special=True)
    x[0, 0] = -0.0
    for target in ((9, 7), (14, 5)):
        for profile in ("reference", "optimized"):
            check(resize("RESIZE_BILINEAR", x.shape, target, "float32", False, False), [x], numerics=profile)


FORMS = {
    ("int8", "reference"): "fixed10",
    ("int16", "reference"): "fixed10",
    ("uint8", "reference"): "terms",
    ("uint8", "optimized"): "weights",
    ("int8", "xnnpack"): "fixed11",
    ("uint8", "xnnpack"): "fixed11",
    ("float32", "reference"): "terms",
    ("float32", "optimized"): "weights",
    ("float32", "xnnpack"): "lerp",
}


@pytest.mark.parametrize(("dtype", "profile"), FORMS)
def test_the_page_computes_what_the_kernel_computes(dtype: str, profile: str) -> None:
    formula = run_page("resize_bilinear")["resize_bilinear"]
    rng = np.random.default_rng(4)
    for (size, target), options in itertools.product(SIZES, OPTIONS[:3]):
        doubled = target == (2 * size[0], 2 * size[1]) and not any(options)
        if dtype == "float32" and profile == "optimized" and doubled:
            continue  # the averaging form, which the page describes in words
        x = values(rng, (1, *size, 3), dtype)
        (y,) = check(resize("RESIZE_BILINEAR", x.shape, target, dtype, *options), [x], numerics=profile)
        assert_same_bits(
            formula(x, target, *options, form=FORMS[dtype, profile]), y, f"page, {dtype} {profile}"
        )


def test_the_page_of_the_nearest_neighbour() -> None:
    formula = run_page("resize_nearest_neighbor")["resize_nearest_neighbor"]
    rng = np.random.default_rng(5)
    for (size, target), options in itertools.product(SIZES, OPTIONS):
        x = values(rng, (2, *size, 3), "int8")
        (y,) = check(resize("RESIZE_NEAREST_NEIGHBOR", x.shape, target, "int8", *options), [x])
        assert_same_bits(formula(x, target, *options), y, f"page, {size} to {target}")


def test_rounding_ties_occur() -> None:
    """Halves between neighbours of both signs, which the forms round differently."""
    x = np.array([-3, -2, 0, 1, 4], np.int8).reshape(1, 1, 5, 1)
    results = {}
    for profile in ("reference", "xnnpack"):
        (y,) = check(resize("RESIZE_BILINEAR", x.shape, (1, 10), "int8", False, False), [x], numerics=profile)
        results[profile] = y.reshape(-1).tolist()
    assert results["reference"] == [-3, -3, -2, -1, 0, 1, 1, 3, 4, 4]
    assert results["xnnpack"] == [-3, -2, -2, -1, 0, 1, 1, 3, 4, 4]


@pytest.mark.parametrize(
    ("shape", "size", "options", "reason"),
    [
        ((1, 4, 4, 1), (0, 3), (False, False), "expected 1 to"),
        ((1, 4, 4, 1), (3, -1), (False, False), "expected 1 to"),
        ((1, 0, 4, 1), (3, 3), (False, False), "expected 1 to"),
        ((4, 4, 1), (3, 3), (False, False), "four dimensions"),
        ((1, 4, 4, 1), (3, 3, 3), (False, False), "3 values"),
        ((1, 4, 4, 1), (3, 3), (True, True), "both set"),
    ],
)
def test_refused(shape: tuple[int, ...], size: Any, options: tuple[bool, bool], reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(resize("RESIZE_BILINEAR", shape, size, "int8", *options), [np.zeros(shape, np.int8)])


def test_a_size_that_is_an_input() -> None:
    model = op_model(
        "RESIZE_BILINEAR", [tensor((1, 2, 2, 1), "int8"), tensor((2,), "int32")], [tensor((), "int8")]
    )
    x = np.array([-9, 7, 20, -40], np.int8).reshape(1, 2, 2, 1)
    check(model, [x, np.array([3, 5], np.int32)])
