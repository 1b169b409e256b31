"""TRANSPOSE_CONV: geometry, every form of every profile, vector tails, ties, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check,
    const,
    covers,
    op_model,
    random_scale,
    random_values,
    run_ours,
    run_page,
    tensor,
)

# form: dtype, filter dtype, bias dtype, a scale per channel, option quantized_bias_type
FORMS = {
    "int8": ("int8", "int8", "int32", False, None),
    "int8 per channel": ("int8", "int8", "int32", True, None),
    "uint8": ("uint8", "uint8", "int32", False, None),
    "int16": ("int16", "int8", "int64", True, "INT64"),
    "int16, int32 bias": ("int16", "int8", "int32", True, "INT32"),
    "float32": ("float32", "float32", "float32", False, None),
    "hybrid": ("float32", "int8", "float32", False, None),
    "hybrid per channel": ("float32", "int8", "float32", True, None),
}
NOT_IN = {
    ("uint8", "tflm"),
    ("int16, int32 bias", "tflm"),
    ("hybrid", "tflm"),
    ("hybrid per channel", "tflm"),
}
# input (height, width), filter, stride, padding, channels in and out
GEOMETRIES: list[tuple[Any, ...]] = [
    ((3, 4), (3, 3), (2, 2), "SAME", 5, 19),
    ((3, 4), (3, 3), (2, 2), "VALID", 3, 8),
    ((5, 1), (2, 4), (1, 3), "SAME", 1, 7),
    ((1, 5), (1, 1), (1, 1), "VALID", 9, 16),
    ((4, 4), (5, 4), (3, 2), "VALID", 2, 17),
    ((2, 3), (1, 2), (2, 3), "SAME", 4, 3),  # filter smaller than the stride: XNNPACK declines
]


def output_size(size: tuple[int, int], filter_size: Any, stride: Any, padding: str) -> tuple[int, ...]:
    if padding == "SAME":
        return tuple(i * s for i, s in zip(size, stride, strict=True))
    return tuple((i - 1) * s + f for i, f, s in zip(size, filter_size, stride, strict=True))


def transpose_conv(
    x: Tensor,
    w: Tensor,
    y: Tensor,
    shape: Any,
    *,
    bias: Tensor | None = None,
    inputs: int = 4,
    **options: Any,
) -> Model:
    given = {"padding": "SAME", "stride_w": 1, "stride_h": 1} | options
    operands = [const(np.array(shape, np.int32)), w, x, bias][:inputs]
    return op_model("TRANSPOSE_CONV", operands, [y], given, version=3)


def random_model(
    rng: np.random.Generator,
    form: str,
    geometry: tuple[Any, ...],
    activation: str = "NONE",
    with_bias: bool = True,
) -> tuple[Model, np.ndarray]:
    """Return a model whose outputs mostly stay within the type, and an input."""
    dtype, filter_dtype, bias_dtype, per_channel, bias_type = FORMS[form]
    size, filter_size, stride, padding, depth, channels = geometry
    batches = 2
    shape = (batches, *output_size(size, filter_size, stride, padding), channels)
    options: dict[str, Any] = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "fused_activation_function": activation,
    }
    if bias_type is not None:
        options["quantized_bias_type"] = bias_type
    x_shape, w_shape = (batches, *size, depth), (channels, *filter_size, depth)
    if dtype == "float32":
        x = rng.normal(0, 1, x_shape).astype(np.float32)
        scales = random_scale(rng, 1e-3, 1e-2, channels if per_channel else None)
        w = (
            const(random_values(rng, w_shape, "int8"), scales)
            if filter_dtype == "int8"
            else const(rng.normal(0, 1, w_shape).astype(np.float32))
        )
        bias = const(rng.normal(0, 1, channels).astype(np.float32)) if with_bias else None
        model = transpose_conv(tensor(x_shape, dtype), w, tensor((), dtype), shape, bias=bias, **options)
        return model, x
    info = np.iinfo(dtype)
    zeros = (0, 0) if dtype == "int16" else tuple(int(z) for z in rng.integers(info.min, info.max + 1, 2))
    x = random_values(rng, x_shape, dtype)
    weights = random_values(rng, w_shape, filter_dtype)
    si, sw = random_scale(rng, 1e-3, 1e-1), random_scale(rng, 1e-3, 1e-2, channels if per_channel else None)
    reach = np.sqrt(depth * max(1, filter_size[0] // stride[0]) * max(1, filter_size[1] // stride[1]))
    so = np.float32(si * np.mean(sw) * 40 * reach * rng.uniform(0.5, 4))
    bias = None
    if with_bias:
        bias = const(
            rng.integers(-3000, 3000, channels).astype(bias_dtype), np.atleast_1d(np.float32(si) * sw)
        )
    model = transpose_conv(
        tensor(x_shape, dtype, si, zeros[0]),
        const(weights, sw, int(rng.integers(0, 256)) if dtype == "uint8" else 0),
        tensor((), dtype, so, zeros[1]),
        shape,
        bias=bias,
        inputs=4 if with_bias else 3,
        **options,
    )
    return model, x


def compare(model: Model, x: np.ndarray, profile: str) -> None:
    """Compare bit by bit, or float sums of an undefined order within what two orders can differ by."""
    if profile in ("reference", "tflm") or x.dtype != np.float32 or model_is_hybrid(model):
        check(model, [x], numerics=profile)
        return
    check_within_bounds(model, [x], profile, rtol=1e-5, atol=1e-4)


def model_is_hybrid(model: Model) -> bool:
    return model.subgraphs[0].tensors[1].dtype == "int8"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("form", FORMS)
def test_geometries(form: str, profile: str) -> None:
    if (form, profile) in NOT_IN:
        pytest.skip("the profile does not have it")
    rng = np.random.default_rng(0)
    for number, geometry in enumerate(GEOMETRIES):
        activation = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")[number % 4]
        for with_bias in (True, False):
            model, x = random_model(rng, form, geometry, activation, with_bias)
            compare(model, x, profile)


@given(data=st.data())
@settings(max_examples=60)
def test_random_geometries(data: st.DataObject) -> None:
    sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))
    geometry = (
        data.draw(sizes),
        data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5))),
        data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        data.draw(st.sampled_from(["SAME", "VALID"])),
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(1, 20)),
    )
    form, profile = data.draw(st.sampled_from(list(FORMS)[:5])), data.draw(st.sampled_from(TFLITE))
    model, x = random_model(np.random.default_rng(data.draw(st.integers(0, 99))), form, geometry)
    compare(model, x, profile)


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
def test_hybrid_ranges_by_xnnpack(activation: str) -> None:
    """Ranges whose scale is infinite or 0: zeros of both signs, infinities, NaN."""
    rng = np.random.default_rng(6)
    for geometry in GEOMETRIES[:2]:
        model, x = random_model(rng, "hybrid per channel", geometry, activation)
        for scale in (1e-38, 1e-37, 1e-36, 1e38):
            check(model, [np.clip(x, -3, 3) * np.float32(scale)], numerics="xnnpack")


def test_output_shapes_that_the_input_does_not_imply() -> None:
    """TFLite's reference kernel crops and fills; the others count the input's rows by the output."""
    rng = np.random.default_rng(2)
    x = random_values(rng, (1, 3, 4, 2), "int8")
    w = const(random_values(rng, (3, 3, 3, 2), "int8"), 0.01)
    for size in ((6, 8), (5, 7), (7, 9), (2, 3), (1, 1), (20, 20)):
        for profile in PROFILES:
            model = transpose_conv(
                tensor(x.shape, "int8", 0.1),
                w,
                tensor((), "int8", 0.5),
                (1, *size, 3),
                inputs=3,
                stride_w=2,
                stride_h=2,
            )
            if profile in ("reference", "tflm") or size in ((6, 8), (5, 7)):
                check(model, [x], numerics=profile)
            else:
                with pytest.raises(UnsupportedOperatorError, match="implies"):
                    run_ours(model, [x], profile)


def test_ties_and_tails() -> None:
    """A multiplier of 2**-4: negative ties go away from zero in the tail, up in the vector body."""
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16, 1)
    results = {}
    for profile in PROFILES:
        model = transpose_conv(
            tensor(x.shape, "int8", 0.5),
            const(np.ones((11, 1, 1, 1), np.int8), 0.25),
            tensor((), "int8", 2.0),
            (1, 16, 16, 11),
            inputs=3,
        )
        (results[profile],) = check(model, [x], numerics=profile)
    minus_half = int(np.flatnonzero(x.reshape(-1) == -8)[0])
    rows = {profile: y.reshape(256, 11)[minus_half] for profile, y in results.items()}
    assert rows["reference"].tolist() == [-1] * 11
    assert rows["optimized"].tolist() == [0] * 8 + [-1] * 3
    assert rows["xnnpack"].tolist() == [0] * 11  # half to even
    assert rows["tflm"].tolist() == [-1] * 11


def test_the_data_reaches_both_bounds() -> None:
    model, x = random_model(np.random.default_rng(5), "int8", ((9, 9), (3, 3), (2, 2), "SAME", 8, 12))
    (y,) = check(model, [x * np.int8(1)])
    covers(y)


@pytest.mark.parametrize("profile", TFLITE)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_page_computes_what_the_kernel_computes(dtype: str, profile: str) -> None:
    formula, rng = run_page("transpose_conv")["transpose_conv"], np.random.default_rng(6)
    for geometry in GEOMETRIES[:5]:
        model, x = random_model(rng, dtype, geometry)
        (y,) = check(model, [x], numerics=profile)
        tensors = model.subgraphs[0].tensors
        w, b, quantized = tensors[1], tensors[3], [t.quantization for t in tensors]
        scales = [float(quantized[k].scale[0]) for k in (2, 1, 4)]  # type: ignore[union-attr]
        zeros = [int(quantized[k].zero_point[0]) for k in (2, 1, 4)]  # type: ignore[union-attr]
        ours = formula(x, w.data, b.data, y.shape, geometry[2], geometry[3], scales, zeros, profile)
        assert_same_bits(ours, y, f"page transpose_conv, {dtype} {profile} {geometry}")


@pytest.mark.parametrize(
    ("shape", "options", "reason"),
    [
        ((1, 6, 8, 4), {}, "do not make"),
        ((2, 6, 8, 3), {}, "do not make"),
        ((1, 6, 8), {}, "four dimensions"),
        ((1, 0, 8, 3), {}, "below 1"),
        ((1, 6, -8, 3), {}, "below 1"),
        ((1, 6, 8, 3), {"stride_w": 0}, "strides"),
        ((1, 6, 8, 3), {"stride_h": 2**15}, "strides"),
        ((1, 6, 8, 3), {"fused_activation_function": "TANH"}, "TANH"),
    ],
)
def test_refused(shape: Any, options: dict[str, Any], reason: str) -> None:
    x, w = tensor((1, 3, 4, 2), "int8", 0.1), const(np.ones((3, 3, 3, 2), np.int8), 0.01)
    model = transpose_conv(x, w, tensor((), "int8", 0.5), shape, inputs=3, **options)
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros((1, 3, 4, 2), np.int8)])


def test_refused_operands() -> None:
    def run(x: Tensor, w: Tensor, y: Tensor, bias: Tensor | None = None, **options: Any) -> None:
        model = transpose_conv(x, w, y, (1, 3, 4, 3), bias=bias, **options)
        run_ours(model, [np.zeros((1, 3, 4, 2), x.dtype)])

    x, y = tensor((1, 3, 4, 2), "int8", 0.1), tensor((), "int8", 0.5)
    ones = np.ones((3, 3, 3, 2), np.int8)
    with pytest.raises(UnsupportedOperatorError, match="zero points"):
        run(x, const(ones, 0.01, 3), y)
    with pytest.raises(UnsupportedOperatorError, match="elements"):
        run(x, const(ones, 0.01), y, const(np.zeros(4, np.int32), 0.001))
    with pytest.raises(UnsupportedOperatorError, match="bias has dtype"):
        run(x, const(ones, 0.01), y, const(np.zeros(3, np.int64), 0.001))
    with pytest.raises(UnsupportedOperatorError, match="supported inputs"):
        run(x, const(ones.view(np.uint8), 0.01), y)
    wide = tensor((1, 3, 4, 2), "int16", 0.1), const(ones, 0.01), tensor((), "int16", 0.5)
    with pytest.raises(UnsupportedOperatorError, match="quantized_bias_type"):
        run(*wide, const(np.zeros(3, np.int32), 0.001))
