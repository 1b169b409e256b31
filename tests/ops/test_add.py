"""ADD and SUB: every pair of 8-bit inputs for many scales, int16, broadcasting, floats, integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    covers,
    instruction_sets,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
    using,
)

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
# (scale 1, zero point 1, scale 2, zero point 2, output scale, output zero point) relative to int8
SCALES = [
    (0.1, 0, 0.1, 0, 0.2, 0),  # equal scales, a power of two between them: ties
    (0.5, 3, 0.25, -5, 1.0, 7),  # powers of two: ties in each rounding
    (2.0**-4, 127, 2.0**-7, -128, 2.0**-5, -128),
    (0.0123, -17, 0.0456, 101, 0.031, -60),
    (1e-6, 0, 3.0, 12, 2.5, -3),  # the first input vanishes
    (7.3, 5, 1e-9, -5, 9.1, 0),
    (0.02, -128, 0.02, 127, 1.7e-7, 10),  # everything saturates
    (0.1, 1, 0.1, 1, 2.0**-20 * 0.21, 1),  # the smallest output scale that TFLite survives
    # small ratios, on which the three ways to round the inputs differ for hundreds of pairs
    (6 / 64, 0, 11 / 64, 1, 6 / 64, 0),
    (6 / 64, 5, 9 / 64, 1, 10 / 64, -7),
    (2 / 64, 0, 7 / 64, 1, 4 / 64, 0),
    (9 / 64, 0, 2 / 64, 1, 10 / 64, 0),
]
BYTES = [
    (profile, dtype)
    for profile in PROFILES
    for dtype in ("int8", "uint8")
    if (profile, dtype) != ("tflm", "uint8")
]


def binary(
    op: str, scales: tuple[Any, ...], shape1: Any, shape2: Any, dtype: str = "int8", **options: Any
) -> Model:
    s1, z1, s2, z2, so, zo = scales
    shift = 128 if dtype == "uint8" else 0
    return op_model(
        op,
        [tensor(shape1, dtype, s1, z1 + shift), tensor(shape2, dtype, s2, z2 + shift)],
        [tensor((), dtype, so, zo + shift)],
        options,
        version=2,
    )


def all_pairs(dtype: str) -> list[np.ndarray]:
    every = np.arange(256, dtype=np.uint8).view(dtype)
    return [np.repeat(every, 256), np.tile(every, 256)]


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_every_pair(op: str, profile: str, dtype: str) -> None:
    for scales in SCALES:
        check(binary(op, scales, (65536,), (65536,), dtype), all_pairs(dtype), numerics=profile)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_every_pair_for_random_scales(op: str, profile: str, dtype: str) -> None:
    rng = np.random.default_rng(11)
    for number in range(6):
        s1, s2, so = np.exp(rng.uniform(-7, 2, 3)).astype(np.float32)
        so = max(so, np.float32(max(s1, s2) * 0.02))
        scales = (s1, rng.integers(-128, 128), s2, rng.integers(-128, 128), so, rng.integers(-128, 128))
        options = {"fused_activation_function": ACTIVATIONS[number % 4]}
        check(binary(op, scales, (65536,), (65536,), dtype, **options), all_pairs(dtype), numerics=profile)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_every_pair_in_rows(op: str, profile: str, dtype: str) -> None:
    """Rows in which one input is a single element; 249 columns leave a tail of any block."""
    every = all_pairs(dtype)[1][:256]
    for scales in SCALES[-4:]:
        for shapes in (((256, 1), (1, 249)), ((1, 249), (256, 1))):
            data = [every[: max(shape)].reshape(shape) for shape in shapes]
            check(binary(op, scales, *shapes, dtype), data, numerics=profile)


def test_the_three_ways_to_round_the_inputs_differ_on_the_data() -> None:
    """Otherwise the comparisons above would not tell one from another."""
    formula, pairs = run_page("add")["add"], all_pairs("int8")
    ways = [formula(*pairs, *SCALES[-4], rescale=way) for way in ("rounded", "combined", "truncated")]
    for k in range(3):
        assert np.count_nonzero(ways[k] != ways[k - 1]) > 500


@pytest.mark.parametrize("op", ["ADD", "SUB"])
@pytest.mark.parametrize("ratio", [2.0**-10, 2.0**8])
def test_the_limits_of_delegation(op: str, ratio: float) -> None:
    """On both sides of each limit, for either input; halves of the other input tell the rules apart."""
    for r in (np.float32(ratio), np.nextafter(np.float32(ratio), np.float32(0))):
        for scales in ((r, 0, 0.5, 0, 1.0, 0), (0.5, 0, r, 0, 1.0, 0)):
            check(binary(op, scales, (65536,), (65536,)), all_pairs("int8"), numerics="xnnpack")


INT16_SCALES = [*(scales[::2] for scales in SCALES[-4:]), (1e-4, 3e-5, 1.2e-4), (0.1, 1e-5, 0.03)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_int16(op: str, profile: str) -> None:
    rng = np.random.default_rng(7)
    for number, (s1, s2, so) in enumerate(INT16_SCALES):
        for shapes in (((20_005,), (20_005,)), ((57, 37), (37,)), ((57, 37), (57, 1))):
            data = [random_values(rng, shape, "int16") // (1 + 63 * (number % 2)) for shape in shapes]
            options = {"pot_scale_int16": False, "fused_activation_function": ACTIVATIONS[number % 4]}
            model = binary(op, (s1, 0, s2, 0, so, 0), *shapes, "int16", **options)
            check(model, [x.astype(np.int16) for x in data], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_int16_with_scales_that_are_powers_of_two(op: str, profile: str) -> None:
    rng = np.random.default_rng(8)
    for number, (e1, e2, eo) in enumerate(
        [(-15, -12, -12), (-12, -15, -12), (-12, -12, -12), (-27, -12, -12)]
    ):
        for shape in ((4000,), (20,)):
            if op == "ADD" and shape == (20,):
                continue  # refused: TFLite does not broadcast here
            scales = (2.0**e1 * 1.0005, 0, 2.0**e2, 0, 2.0**eo, 0)
            options = {"pot_scale_int16": True, "fused_activation_function": ACTIVATIONS[number]}
            data = [random_values(rng, (200, 20), "int16"), random_values(rng, shape, "int16")]
            data[1] = data[1].reshape((200, 20) if shape == (4000,) else shape)
            check(binary(op, scales, (200, 20), data[1].shape, "int16", **options), data, numerics=profile)


def test_refused_int16() -> None:
    def run(op: str, scales: tuple[Any, ...], shape2: tuple[int, ...] = (2, 4)) -> None:
        data = [np.zeros((2, 4), np.int16), np.zeros(shape2, np.int16)]
        run_ours(binary(op, scales, (2, 4), shape2, "int16"), data)

    with pytest.raises(UnsupportedOperatorError, match="zero points"):
        run("ADD", (0.1, 1, 0.1, 0, 0.2, 0))
    for scales in ((0.5, 0, 0.5, 0, 0.25, 0), (0.5, 0, 0.5, 0, 1.0, 0), (2.0**-16, 0, 1.0, 0, 1.0, 0)):
        with pytest.raises(UnsupportedOperatorError, match="pot_scale_int16"):
            run("SUB", scales)
    with pytest.raises(UnsupportedOperatorError, match="does not broadcast"):
        run("ADD", (0.5, 0, 0.5, 0, 0.5, 0), (4,))


def test_the_data_reaches_both_bounds() -> None:
    (y,) = check(binary("ADD", SCALES[0], (65536,), (65536,)), all_pairs("int8"))
    covers(y)
    (y,) = check(
        binary("ADD", (0.05, 0, 0.05, 0, 0.06, -10), (65536,), (65536,), fused_activation_function="RELU6"),
        all_pairs("int8"),
    )
    covers(y, low=-10, high=90)


SHAPES = [
    ((), ()),
    ((1,), ()),
    ((), (2, 3)),
    ((5,), (1,)),
    ((2, 3), (3,)),
    ((2, 3), (2, 1)),
    ((1, 3), (2, 1)),
    ((2, 3, 4), (3, 1)),
    ((4, 1, 17), (1, 5, 1)),
    ((2, 1, 3, 1), (1, 4, 1, 65)),
    ((4, 1, 4, 37), (4, 11, 1, 37)),
    ((40, 1, 1, 37), (1, 1, 4, 37)),
    ((4, 1, 10, 1, 1), (1, 9, 1, 5, 9)),  # left to the reference kernel by optimized ones
    ((2, 2, 2, 3, 1), (2, 1, 2, 1, 7)),
    ((1, 2, 1, 3, 1, 2), (2, 1, 3, 1, 2, 1)),
    ((2, 1, 2, 1, 2, 1, 3), (2, 1, 2, 1, 2, 1, 3)),  # equal shapes of any rank
    ((0, 3), (1, 3)),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_broadcasting(op: str, dtype: str, profile: str) -> None:
    rng = np.random.default_rng(5)
    if (profile, dtype) == ("tflm", "uint8"):
        pytest.skip("TFLite Micro has no uint8")
    for shape1, shape2 in SHAPES:
        if profile != "reference" and (0 in shape1 or (profile == "tflm" and len(shape1) > 4)):
            continue
        a, b = (random_values(rng, shape, dtype) for shape in (shape1, shape2))
        scales = SCALES[-3] if dtype != "float32" else (None, 0, None, 0, None, 0)
        check(binary(op, scales, shape1, shape2, dtype), [a, b], numerics=profile)


@given(data=st.data())
@settings(max_examples=60)
def test_broadcasting_equals_numpy(data: st.DataObject) -> None:
    """Random shapes that broadcast, against NumPy: merging of dimensions loses nothing."""
    rank = data.draw(st.integers(0, 6))
    full = data.draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    shapes = []
    for _ in range(2):
        shape = [data.draw(st.sampled_from([1, size])) for size in full]
        shapes.append(tuple(shape[data.draw(st.integers(0, rank)) :]))
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-1000, 1000, shape, dtype=np.int32) for shape in shapes)
    (y,) = run_ours(op_model("SUB", [tensor(s, "int32") for s in shapes], [tensor((), "int32")]), [a, b])
    assert_same_bits(y, a - b)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_without_scales(op: str, dtype: str, profile: str) -> None:
    """Wrap-around of integers; infinities, NaN, signed zeros, overflow and subnormal floats."""
    if (profile, dtype) == ("tflm", "int64"):
        pytest.skip("TFLite Micro has no int64")
    rng = np.random.default_rng(3)
    shape = (3, 257)
    if dtype == "float32":
        a, b = (random_values(rng, shape, dtype, special=True) for _ in range(2))
        a[0, :4], b[0, :4] = [3e38, -3e38, -0.0, np.inf], [3e38, 3e38, -0.0, -np.inf]
        a[2, :100], b[2, :100] = rng.uniform(-3e-38, 3e-38, (2, 100))
        a[2, 100:], b[2, 100:] = rng.uniform(-3e-19, 3e-19, (2, 157))
        # products that round to the smallest normal number, but are below it in 24 bits
        a[0, 4:6], b[0, 4:6] = np.float32(1 + 2.0**-12), [2.0**-126 * (1 - 2.0**-12), 2.0**-126]
    else:
        a, b = (random_values(rng, shape, dtype) for _ in range(2))
        a[1], b[1] = rng.integers(-9, 10, 257), rng.integers(-3, 4, 257)
    for activation in ACTIVATIONS:
        options = {"fused_activation_function": activation}
        inputs = [tensor(shape, dtype), tensor(shape, dtype)]
        model = op_model(op, inputs, [tensor((), dtype)], options, version=7 if op == "MUL" else 4)
        check(model, [a, b], numerics=profile)


def test_an_infinity_becomes_the_largest_float() -> None:
    model = op_model("ADD", [tensor((2,), "float32"), tensor((2,), "float32")], [tensor((), "float32")])
    (y,) = check(model, [np.array([np.inf, -np.inf], np.float32), np.ones(2, np.float32)])
    assert y.tolist() == [float(np.finfo(np.float32).max), float(np.finfo(np.float32).min)]


def test_the_same_tensor_twice() -> None:
    x = tensor((256,), "int8", 0.1, 3)
    check(
        op_model("ADD", [x, x], [tensor((), "int8", 0.15, -4)], version=2),
        [np.arange(-128, 128, dtype=np.int8)],
    )


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_every_instruction_set_agrees(op: str) -> None:
    """Row lengths around vector widths, all three row kinds, all dtypes and profiles."""
    rng = np.random.default_rng(2)
    names = instruction_sets()
    for profile, dtype in (*BYTES, ("reference", "int16"), ("optimized", "int16")):
        scales = SCALES[3] if dtype != "int16" else (0.0123, 0, 0.0456, 0, 0.031, 0)
        for length in (7, 17, 31, 65, 1000):
            for shape1, shape2 in (((3, length), (3, length)), ((3, 1), (3, length)), ((3, length), (3, 1))):
                model = binary(op, scales, shape1, shape2, dtype)
                data = [random_values(rng, shape, dtype) for shape in (shape1, shape2)]
                results = {}
                for name in names:
                    with using(name):
                        (results[name],) = run_ours(model, data, profile)
                    what = f"{profile} {op} {dtype} {shape1} {shape2} [{name}]"
                    assert_same_bits(results[name], results["scalar"], what)


@pytest.mark.parametrize(("profile", "dtype"), BYTES)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_the_page_computes_what_the_kernel_computes(op: str, profile: str, dtype: str) -> None:
    formula, shift = run_page("add")["by_profile"], 128 if dtype == "uint8" else 0
    for scales in SCALES[-4:]:
        (y,) = check(binary(op, scales, (65536,), (65536,), dtype), all_pairs(dtype), numerics=profile)
        s1, z1, s2, z2, s, z = scales
        given = (s1, z1 + shift, s2, z2 + shift, s, z + shift)
        found = formula(profile, op, *all_pairs(dtype), *given)
        assert_same_bits(found, y, f"page add, {op} {profile} {dtype} {scales}")


def test_a_tie() -> None:
    results = {}
    for profile in PROFILES:
        model = binary("ADD", (0.5, 0, 0.5, 0, 1.0, 0), (17,), (17,))
        (results[profile],) = check(
            model, [np.full(17, -1, np.int8), np.zeros(17, np.int8)], numerics=profile
        )
    assert {profile: sorted(set(y.tolist())) for profile, y in results.items()} == {
        "reference": [-1],
        "optimized": [-1],
        "xnnpack": [0],
        "tflm": [-1],
    }


REFUSED = [
    (
        (0.1, 0, 0.1, 0, 2.0**-19 * 0.1, 0),
        "too small",
    ),  # the multiplier of the sum is exactly 1: TFLite aborts
    ((0.1, 0, 0.1, 0, 1e-9, 0), "too small"),
    ((0.0, 0, 0.1, 0, 0.1, 0), "positive"),
    ((float("nan"), 0, 0.1, 0, 0.1, 0), "positive"),
    ((0.1, 200, 0.1, 0, 0.1, 0), "zero point"),
    ((None, 0, 0.1, 0, 0.1, 0), "without a scale"),
]


@pytest.mark.parametrize(("scales", "reason"), REFUSED)
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_refused_scales(op: str, scales: tuple[Any, ...], reason: str) -> None:
    """TFLite aborts the process on most of these, so that the oracle is not asked."""
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(binary(op, scales, (4,), (4,)), [np.zeros(4, np.int8)] * 2)


@pytest.mark.parametrize(
    ("shape1", "shape2", "reason"),
    [
        ((2, 3), (4,), "do not broadcast"),
        ((2,) * 7, (1, 2) * 3 + (1,), "limit is 6"),
        ((65536, 1), (1, 65536), "elements"),
    ],
)
def test_refused_shapes(shape1: Any, shape2: Any, reason: str) -> None:
    model = op_model("ADD", [tensor(shape1, "int32"), tensor(shape2, "int32")], [tensor((), "int32")])
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros(shape1, np.int32), np.zeros(shape2, np.int32)])


def test_refused_by_tflite_micro() -> None:
    shape1, shape2 = (2, 1, 2, 1, 2), (2, 2, 2, 1, 1)
    with pytest.raises(UnsupportedOperatorError, match="limit is 4"):
        run_ours(
            binary("ADD", SCALES[0], shape1, shape2), [np.zeros(s, np.int8) for s in (shape1, shape2)], "tflm"
        )
    with pytest.raises(UnsupportedOperatorError, match="no confirmed rule"):
        run_ours(binary("SUB", SCALES[0], (4,), (4,), "uint8"), [np.zeros(4, np.uint8)] * 2, "tflm")


def test_refused_operands() -> None:
    a, b = tensor((2,), "int32"), tensor((2,), "float32")
    with pytest.raises(UnsupportedOperatorError, match="dtypes differ"):
        run_ours(
            op_model("ADD", [a, b], [tensor((), "int32")]), [np.zeros(2, np.int32), np.zeros(2, np.float32)]
        )
    model = op_model("ADD", [tensor((2,), "bool"), tensor((2,), "bool")], [tensor((), "bool")])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model, [np.zeros(2, bool)] * 2)
    with pytest.raises(UnsupportedOperatorError, match="1 input and 1 output; expected 2 inputs"):
        run_ours(op_model("ADD", [tensor((2,), "int32")], [tensor((), "int32")]), [np.zeros(2, np.int32)])
    inputs = [tensor((2,), "int32"), tensor((2,), "int32")]
    model = op_model("ADD", inputs, [tensor((), "int32")], {"fused_activation_function": "TANH"})
    with pytest.raises(UnsupportedOperatorError, match="TANH"):
        run_ours(model, [np.zeros(2, np.int32)] * 2)
