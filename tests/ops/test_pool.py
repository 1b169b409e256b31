"""MAX_POOL_2D and AVERAGE_POOL_2D: windows over every edge, rounding ties, NaN, activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    assert_same_bits,
    check,
    covers,
    get_oracle,
    op_model,
    random_values,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

OPS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
DTYPES = ("int8", "uint8", "int16", "float32")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
# (height, width), (filter height, width), (stride height, width)
WINDOWS = [
    ((6, 6), (2, 2), (2, 2)),
    ((7, 5), (3, 2), (2, 1)),
    ((5, 7), (3, 3), (3, 2)),
    ((4, 4), (4, 4), (1, 1)),
    ((3, 3), (1, 1), (2, 2)),
    ((1, 9), (1, 4), (1, 3)),
    ((2, 2), (5, 5), (1, 1)),  # larger than the image: SAME only
    ((9, 1), (7, 3), (4, 5)),
]


def pool(
    op: str, shape: Any, filter_size: Any, stride: Any, padding: str, dtype: str, **options: Any
) -> Model:
    scale = None if dtype == "float32" else 0.05
    zero_point = {"int8": -7, "uint8": 121}.get(dtype, 0)
    return op_model(
        op,
        [tensor(shape, dtype, scale, zero_point)],
        [tensor((), dtype, scale, zero_point)],
        {
            "padding": padding,
            "filter_height": filter_size[0],
            "filter_width": filter_size[1],
            "stride_h": stride[0],
            "stride_w": stride[1],
        }
        | options,
        version=3,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("op", OPS)
def test_windows(op: str, padding: str, dtype: str) -> None:
    rng = np.random.default_rng(6)
    for size, filter_size, stride in WINDOWS:
        if padding == "VALID" and (filter_size[0] > size[0] or filter_size[1] > size[1]):
            continue
        for channels in (1, 3, 16, 37):
            shape = (2, *size, channels)
            check(pool(op, shape, filter_size, stride, padding, dtype), [random_values(rng, shape, dtype)])


@pytest.mark.parametrize("numerics", ["optimized", "xnnpack", "tflm"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_profiles(op: str, dtype: str, numerics: str) -> None:
    if (dtype, numerics) in (("uint8", "tflm"), ("float32", "xnnpack")):
        pytest.skip("the profile does not have it")
    rng = np.random.default_rng(14)
    for number, (size, filter_size, stride) in enumerate(WINDOWS):
        for padding in ("SAME", "VALID"):
            if padding == "VALID" and (filter_size[0] > size[0] or filter_size[1] > size[1]):
                continue
            shape = (2, *size, (3, 16, 37)[number % 3])
            model = pool(
                op,
                shape,
                filter_size,
                stride,
                padding,
                dtype,
                fused_activation_function=ACTIVATIONS[number % 4],
            )
            check(model, [random_values(rng, shape, dtype)], numerics=numerics)


@pytest.mark.parametrize("op", OPS)
def test_floats_of_xnnpack(op: str) -> None:
    """Maxima of ordinary numbers are exact; XNNPACK multiplies a sum by 1 / n, and adds in its own order."""
    rng = np.random.default_rng(15)
    for number, (size, filter_size, stride) in enumerate(WINDOWS):
        x = rng.normal(0, 4, (2, *size, 19)).astype(np.float32)
        activation = ACTIVATIONS[number % 4]
        model = pool(
            op, x.shape, filter_size, stride, "SAME", "float32", fused_activation_function=activation
        )
        if op == "MAX_POOL_2D":
            model = with_shapes(model, [x])
            (theirs,), (ours,) = get_oracle("xnnpack").run(model, [x]), run_ours(model, [x], "xnnpack")
            assert_same_bits(ours + np.float32(0), theirs + np.float32(0), op)  # -0.0 and 0.0 are equal
        else:
            check_within_bounds(model, [x], "xnnpack", rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_every_sum_of_a_window_by_optimized_kernels(dtype: str) -> None:
    for n, (height, width) in {4: (2, 2), 9: (3, 3), 15: (3, 5)}.items():  # 9 and 15 have code of their own
        info = np.iinfo(dtype)
        sums = np.arange(max(n * info.min, -2000), min(n * info.max, 2000))
        x = ((sums[:, None] + np.arange(n)) // n).reshape(1, -1, n).swapaxes(1, 2)
        x = x.reshape(1, height, width, -1).astype(dtype)
        check(
            pool("AVERAGE_POOL_2D", x.shape, (height, width), (1, 1), "VALID", dtype),
            [x],
            numerics="optimized",
        )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bounds_on_ties(dtype: str) -> None:
    """6 / scale is a tie: TFLite rounds it away from zero, XNNPACK to even after adding the zero point."""
    x = np.arange(256, dtype=np.uint8).view(dtype).reshape(1, 16, 16, 1)
    tops = {}
    for numerics in ("optimized", "xnnpack"):
        for zero_point in (0, 1) if dtype == "uint8" else (0, -1):
            model = op_model(
                "MAX_POOL_2D",
                [tensor(x.shape, dtype, 4.0, zero_point)],
                [tensor((), dtype, 4.0, zero_point)],
                {"padding": "SAME", "filter_height": 2, "filter_width": 1, "stride_h": 1, "stride_w": 1}
                | {"fused_activation_function": "RELU6"},
            )
            (y,) = check(model, [x], numerics=numerics)
            tops[numerics, zero_point] = int(y.max()) - zero_point
    assert len(set(tops.values())) == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_activations(op: str, dtype: str) -> None:
    rng = np.random.default_rng(7)
    shape = (1, 9, 8, 5)
    for activation in ACTIVATIONS:
        model = pool(op, shape, (3, 2), (2, 2), "SAME", dtype, fused_activation_function=activation)
        x = random_values(rng, shape, dtype)
        check(model, [x // 16 if dtype in ("int8", "uint8") else x])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_every_sum_of_a_window(dtype: str) -> None:
    """Windows of 2, 3, 4 and 6 elements whose sums take every value: ties of both signs for even counts."""
    info = np.iinfo(dtype)
    for n, (height, width) in {2: (1, 2), 3: (1, 3), 4: (2, 2), 6: (2, 3)}.items():
        lowest, highest = max(n * info.min, -3000), min(n * info.max, 3000)
        sums = np.arange(lowest, highest + 1)
        parts = (sums[:, None] + np.arange(n)) // n  # n integers that add up to the sum
        assert (parts.sum(axis=1) == sums).all()
        x = parts.reshape(-1, height, width, 1).astype(dtype)
        (y,) = check(pool("AVERAGE_POOL_2D", x.shape, (height, width), (1, 1), "VALID", dtype), [x])
        assert y.size == sums.size


def test_the_data_reaches_both_bounds() -> None:
    x = random_values(np.random.default_rng(8), (1, 40, 40, 4))
    (y,) = check(pool("MAX_POOL_2D", x.shape, (1, 1), (1, 1), "SAME", "int8"), [x])
    covers(y)
    (y,) = check(
        pool(
            "AVERAGE_POOL_2D",
            x.shape,
            (2, 1),
            (1, 1),
            "SAME",
            "int8",
            fused_activation_function="RELU_N1_TO_1",
        ),
        [x],
    )
    covers(y, low=-27, high=13)


@pytest.mark.parametrize("op", OPS)
def test_special_floats(op: str) -> None:
    rng = np.random.default_rng(9)
    for channels in (1, 4, 9):
        x = random_values(rng, (2, 12, 12, channels), "float32", special=True)
        x[0, :4, :4] = np.nan  # windows of NaN alone
        x[0, 4:8, :4] = -np.inf
        x[0, 8:, :4] = np.array([0.0, -0.0], np.float32)[rng.integers(0, 2, (4, 4, channels))]
        check(pool(op, x.shape, (3, 2), (1, 1), "SAME", "float32"), [x])


def test_scales_are_not_looked_at() -> None:
    """TFLite pools stored values, whatever the scales say."""
    options = {"padding": "SAME", "filter_height": 2, "filter_width": 2, "stride_h": 1, "stride_w": 1}
    for op in OPS:
        model = op_model(op, [tensor((1, 4, 4, 2), "int8", 0.1, 3)], [tensor((), "int8", 0.7, -5)], options)
        check(model, [random_values(np.random.default_rng(10), (1, 4, 4, 2))])


@given(data=st.data())
@settings(max_examples=60)
def test_random_windows(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    filter_size = data.draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    stride = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    fits = filter_size[0] <= size[0] and filter_size[1] <= size[1]
    padding = data.draw(st.sampled_from(["SAME", "VALID"])) if fits else "SAME"
    op, dtype = data.draw(st.sampled_from(OPS)), data.draw(st.sampled_from(DTYPES))
    shape = (data.draw(st.integers(1, 3)), *size, data.draw(st.integers(1, 20)))
    check(
        pool(op, shape, filter_size, stride, padding, dtype),
        [random_values(np.random.default_rng(0), shape, dtype)],
    )


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_page_computes_what_the_kernel_computes(op: str, dtype: str) -> None:
    formula = run_page(op.lower())[op.lower()]
    rng = np.random.default_rng(13)
    for size, filter_size, stride in WINDOWS:
        x = random_values(rng, (2, *size, 3), dtype)
        (y,) = check(pool(op, x.shape, filter_size, stride, "SAME", dtype), [x])
        assert_same_bits(formula(x, filter_size, stride), y, f"page {op.lower()}, {dtype} {size}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"stride_h": 0}, "stride"),
        ({"stride_w": -1}, "stride"),
        ({"filter_height": 0}, "filter"),
        ({"filter_width": -2}, "filter"),
        ({"padding": "VALID", "filter_height": 5}, "more than"),
        ({"fused_activation_function": "SIGN_BIT"}, "SIGN_BIT"),
    ],
)
@pytest.mark.parametrize("op", OPS)
def test_refused_options(op: str, options: dict[str, Any], reason: str) -> None:
    padding = options.get("padding", "SAME")
    rest = {k: v for k, v in options.items() if k != "padding"}
    model = pool(op, (1, 4, 4, 1), (2, 2), (1, 1), padding, "int8", **rest)
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros((1, 4, 4, 1), np.int8)])


def test_refused_operands() -> None:
    model = pool("MAX_POOL_2D", (4, 4, 1), (2, 2), (1, 1), "SAME", "int8")
    with pytest.raises(UnsupportedOperatorError, match="four dimensions"):
        run_ours(model, [np.zeros((4, 4, 1), np.int8)])
    options = {"padding": "SAME", "filter_height": 2, "filter_width": 2, "stride_h": 1, "stride_w": 1}
    model = op_model("MAX_POOL_2D", [tensor((1, 4, 4, 1), "int8")], [tensor((), "float32")], options)
    with pytest.raises(UnsupportedOperatorError, match="dtypes differ"):
        run_ours(model, [np.zeros((1, 4, 4, 1), np.int8)])
    model = pool("AVERAGE_POOL_2D", (1, 182, 182, 1), (182, 182), (1, 1), "VALID", "int16")
    with pytest.raises(UnsupportedOperatorError, match="limit"):
        run_ours(model, [np.zeros((1, 182, 182, 1), np.int16)])
