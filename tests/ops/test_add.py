"""ADD and SUB: every pair of 8-bit inputs for many scales, broadcasting, activations, floats and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.kernels import _core
from tests.ops.harness import (
    assert_same_bits,
    check,
    covers,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
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


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", ["ADD", "SUB"])
@pytest.mark.parametrize("scales", SCALES)
def test_every_pair(op: str, scales: tuple[Any, ...], dtype: str) -> None:
    check(binary(op, scales, (65536,), (65536,), dtype), all_pairs(dtype))


@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_every_pair_for_random_scales(op: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(25):
        s1, s2, so = np.exp(rng.uniform(-7, 2, 3)).astype(np.float32)
        so = max(so, np.float32(max(s1, s2) * 0.02))
        scales = (s1, rng.integers(-128, 128), s2, rng.integers(-128, 128), so, rng.integers(-128, 128))
        activation = ACTIVATIONS[rng.integers(4)]
        check(binary(op, scales, (65536,), (65536,), fused_activation_function=activation), all_pairs("int8"))


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
    ((2, 2, 2, 3, 1), (2, 1, 2, 1, 7)),
    ((1, 2, 1, 3, 1, 2), (2, 1, 3, 1, 2, 1)),
    ((2, 1, 2, 1, 2, 1, 3), (2, 1, 2, 1, 2, 1, 3)),  # equal shapes of any rank
    ((0, 3), (1, 3)),
]


@pytest.mark.parametrize(("shape1", "shape2"), SHAPES)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_broadcasting(op: str, dtype: str, shape1: tuple[int, ...], shape2: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    a, b = (random_values(rng, shape, dtype) for shape in (shape1, shape2))
    scales = (0.04, 3, 0.03, -5, 0.05, 7) if dtype == "int8" else (None, 0, None, 0, None, 0)
    check(binary(op, scales, shape1, shape2, dtype), [a, b])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_without_scales(op: str, dtype: str, activation: str) -> None:
    """Wrap-around of integers; infinities, NaN, signed zeros and overflow of floats."""
    rng = np.random.default_rng(3)
    shape = (3, 257)
    if dtype == "float32":
        a, b = (random_values(rng, shape, dtype, special=True) for _ in range(2))
        a[0, :4], b[0, :4] = [3e38, -3e38, -0.0, np.inf], [3e38, 3e38, -0.0, -np.inf]
    else:
        a, b = (random_values(rng, shape, dtype) for _ in range(2))
        a[1], b[1] = rng.integers(-9, 10, 257), rng.integers(-3, 4, 257)
    options = {"fused_activation_function": activation}
    inputs = [tensor(shape, dtype), tensor(shape, dtype)]
    check(op_model(op, inputs, [tensor((), dtype)], options, version=7 if op == "MUL" else 4), [a, b])


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


@pytest.mark.parametrize("name", _core.ISA_NAMES)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_every_instruction_set_agrees(op: str, name: str) -> None:
    """Row lengths around every vector width, all three row kinds, both dtypes."""
    if _core.ISA_NAMES.index(name) > _core.ISA_NAMES.index(_core.isa):
        pytest.skip(f"this CPU has no {name}")
    rng = np.random.default_rng(2)
    for dtype in ("int8", "uint8"):
        for length in (1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 129, 1000):
            for shape1, shape2 in (((3, length), (3, length)), ((3, 1), (3, length)), ((3, length), (3, 1))):
                model = binary(op, SCALES[3], shape1, shape2, dtype)
                data = [random_values(rng, shape, dtype) for shape in (shape1, shape2)]
                before = _core.select_isa("scalar")
                try:
                    (expected,) = run_ours(model, data)
                    _core.select_isa(name)
                    (y,) = run_ours(model, data)
                finally:
                    _core.select_isa(before)
                assert_same_bits(y, expected, f"{op} {dtype} {shape1} {shape2} [{name}]")


@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_the_page_computes_what_the_kernel_computes(op: str) -> None:
    formula = run_page("add")[op.lower()]
    for scales in SCALES:
        (y,) = check(binary(op, scales, (65536,), (65536,)), all_pairs("int8"))
        assert_same_bits(formula(*all_pairs("int8"), *scales), y, f"page add, {op} {scales}")


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


def test_refused_operands() -> None:
    a, b = tensor((2,), "int32"), tensor((2,), "float32")
    with pytest.raises(UnsupportedOperatorError, match="dtypes differ"):
        run_ours(
            op_model("ADD", [a, b], [tensor((), "int32")]), [np.zeros(2, np.int32), np.zeros(2, np.float32)]
        )
    model = op_model("ADD", [tensor((2,), "bool"), tensor((2,), "bool")], [tensor((), "bool")])
    with pytest.raises(UnsupportedOperatorError, match="supported"):
        run_ours(model, [np.zeros(2, bool)] * 2)
    with pytest.raises(UnsupportedOperatorError, match="1 inputs"):
        run_ours(op_model("ADD", [tensor((2,), "int32")], [tensor((), "int32")]), [np.zeros(2, np.int32)])
    inputs = [tensor((2,), "int32"), tensor((2,), "int32")]
    model = op_model("ADD", inputs, [tensor((), "int32")], {"fused_activation_function": "TANH"})
    with pytest.raises(UnsupportedOperatorError, match="TANH"):
        run_ours(model, [np.zeros(2, np.int32)] * 2)
