"""DEPTHWISE_CONV_2D: every form, geometry, depth multiplier, tail of a vector, rounding tie and refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.convolutions import (
    ACTIVATIONS,
    FORMS,
    GEOMETRIES,
    INTEGER_PAIRS,
    PAIRS,
    PLAIN,
    ZERO_POINTS,
    boundary_sums,
    build,
    check_batches,
    check_both_refuse,
    check_first,
    check_page,
    conv_options,
    sample,
    with_four_bits,
)
from tests.ops.harness import (
    PROFILES,
    bias_scale,
    check,
    const,
    covers,
    op_model,
    random_floats,
    run_ours,
    run_page,
    tensor,
)

OP = "DEPTHWISE_CONV_2D"
DEPTHWISE_FORMS = [f for f in FORMS if f != "hybrid per tensor"]  # which TFLite does not have
DEPTHWISE_PAIRS = [pair for pair in PAIRS if pair[1] not in ("hybrid per tensor", "int16 int32_bias")]
DEPTHWISE_PAIRS.append(("xnnpack", "hybrid"))  # which XNNPACK declines


def depthwise(
    form: str, shape: Any, window: Any, multiplier: int, options: dict[str, Any], **arguments: Any
) -> Model:
    channels = shape[3] * multiplier
    options = options | {"depth_multiplier": multiplier}
    return build(OP, form, shape, (1, *window, channels), options, **arguments)


@pytest.mark.parametrize(("numerics", "form"), DEPTHWISE_PAIRS)
def test_geometries(numerics: str, form: str) -> None:
    rng = np.random.default_rng(1)
    for number, (size, window, stride, dilation, padding) in enumerate(GEOMETRIES):
        channels, multiplier = ((1, 8), (17, 1), (3, 5), (33, 2))[number % 4]
        options = conv_options(stride, dilation, padding, ACTIVATIONS[number % 3])
        model = depthwise(form, (2, *size, channels), window, multiplier, options, rng=rng)
        check_first(model, [sample(model, rng)], numerics)


@pytest.mark.parametrize("form", DEPTHWISE_FORMS)
def test_channels_around_vector_widths(form: str) -> None:
    rng = np.random.default_rng(2)
    for number, channels in enumerate((1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 79, 80, 129)):
        window = [(1, 1), (1, 3), (3, 3)][number % 3]
        model = depthwise(form, (1, 4, 5, channels), window, 1, PLAIN, rng=rng, bias=channels != 8)
        check_first(model, [sample(model, rng)])


def test_optimized_int8_rounds_the_last_channels_otherwise() -> None:
    """A multiplier of 1/16, the tie -8/16: up in whole blocks of 8 channels, away from zero in the rest."""
    for channels in (7, 8, 19):
        bias = const(np.full(channels, -8, np.int32), 0.125)
        w = const(np.ones((1, 1, 1, channels), np.int8), 0.25)
        model = op_model(OP, [tensor((1, 1, 1, channels), "int8", 0.5), w, bias], [tensor((), "int8", 2.0)],
                         PLAIN | {"depth_multiplier": 1}, version=3)  # fmt: skip
        for numerics, whole in (("reference", -1), ("optimized", 0), ("tflm", -1)):
            (y,) = check_first(model, [[np.zeros((1, 1, 1, channels), np.int8)]], numerics)
            body = channels // 8 * 8
            assert y.ravel().tolist() == [whole] * body + [-1] * (channels - body)


@pytest.mark.parametrize("form", DEPTHWISE_FORMS)
@pytest.mark.parametrize("multiplier", [2, 3, 4, 16])
def test_depth_multipliers(form: str, multiplier: int) -> None:
    rng = np.random.default_rng(3)
    for channels in (1, 5, 16):
        model = depthwise(form, (2, 6, 5, channels), (3, 2), multiplier, PLAIN, rng=rng)
        check_first(model, [sample(model, rng)])


@pytest.mark.parametrize(("numerics", "form"), INTEGER_PAIRS)
def test_activations_and_zero_points(numerics: str, form: str) -> None:
    rng = np.random.default_rng(4)
    for activation in ACTIVATIONS:
        for zero_points in ZERO_POINTS if numerics == "reference" else ZERO_POINTS[:2]:
            options = conv_options((1, 1), (1, 1), "SAME", activation)
            model = depthwise(form, (1, 11, 9, 19), (3, 3), 1, options, rng=rng, zero_points=zero_points)
            (y,) = check_first(model, [sample(model, rng)], numerics)
            if activation == "NONE" and zero_points == (0, 0, 0):
                covers(y)


@pytest.mark.parametrize(("numerics", "form"), INTEGER_PAIRS)
def test_sums_on_rounding_boundaries(numerics: str, form: str) -> None:
    rng = np.random.default_rng(5)
    for exponent in (-23, -12, -8, -5, -3, -1, 0, 4):
        channels = 1023
        filter_scale = np.full(channels if form == "int8" else 1, 1.0, np.float32)
        if exponent % 2 == 0:
            filter_scale = (2.0 ** rng.uniform(-1, 1, filter_scale.size)).astype(np.float32)
        input_scale = np.float32(2.0**exponent)
        dtype = form.split()[0]
        zero_point = 128 if dtype == "uint8" else 0
        x = tensor((1, 1, 1, channels), dtype, input_scale, zero_point)
        w = const(np.full((1, 1, 1, channels), 7, dtype), filter_scale, zero_point,
                  axis=3 if form == "int8" else 0)  # fmt: skip
        bias = boundary_sums(rng, np.broadcast_to(np.float64(input_scale) * filter_scale, channels))
        bias[:4] = [2**31 - 1, -(2**31), 2**31 - 2, -(2**31) + 1]
        inputs = [x, w, const(bias, bias_scale(x, w))]
        options = PLAIN | {"depth_multiplier": 1}
        model = op_model(OP, inputs, [tensor((), dtype, 1.0, zero_point)], options, version=3)
        check_first(model, [[np.full((1, 1, 1, channels), zero_point, dtype)]], numerics)


@pytest.mark.parametrize("form", DEPTHWISE_FORMS)
def test_filter_computed_at_run_time(form: str) -> None:
    rng = np.random.default_rng(6)
    for multiplier in (1, 2):
        model = depthwise(form, (2, 5, 5, 21), (3, 3), multiplier, PLAIN, rng=rng, constant_filter=False)
        check_first(model, [sample(model, rng), sample(model, rng)])


@pytest.mark.parametrize("form", DEPTHWISE_FORMS)
def test_batches_of_any_size(form: str) -> None:
    rng = np.random.default_rng(7)
    model = depthwise(form, (1, 6, 5, 3), (3, 3), 2, PLAIN, rng=rng)
    check_batches(model, rng)


def test_float_infinities_and_order_of_the_sum() -> None:
    rng = np.random.default_rng(8)
    for activation in ACTIVATIONS:
        options = conv_options((1, 1), (2, 1), "SAME", activation) | {"depth_multiplier": 3}
        filter_data = random_floats(rng, (1, 3, 3, 21), special=True)
        bias = random_floats(rng, (21,), special=True)
        model = op_model(OP, [tensor((2, 6, 7, 7), "float32"), const(filter_data), const(bias)],
                         [tensor((), "float32")], options)  # fmt: skip
        check_first(model, [[random_floats(rng, (2, 6, 7, 7), special=True)]])


def test_hybrid_ranges() -> None:
    """Images of zeros, of one sign, of tiny and huge numbers."""
    rng = np.random.default_rng(9)
    for bias in (True, False):
        model = depthwise("hybrid", (4, 3, 7, 11), (2, 3), 1, PLAIN, rng=rng, low=-128, bias=bias)
        (x,) = sample(model, rng)
        special = x.copy()
        special[0] = 0
        special[1] = np.abs(special[1]) + 1
        samples = [x, special, -np.abs(x) - 1, x * np.float32(1e-39), x / np.abs(x).max() * np.float32(3e38)]
        check_first(model, [[s.astype(np.float32)] for s in samples])


@pytest.mark.parametrize("numerics", PROFILES)
def test_int4_filter(numerics: str) -> None:
    rng = np.random.default_rng(19)
    for number, (size, window, stride, dilation, padding) in enumerate(GEOMETRIES):
        form = ("int8", "int8 per tensor")[number % 2]
        channels, multiplier = ((1, 8), (17, 1), (3, 5), (33, 1))[number % 4]
        options = conv_options(stride, dilation, padding, ACTIVATIONS[number % 4])
        model = depthwise(form, (2, *size, channels), window, multiplier, options, rng=rng, low=-128)
        check(with_four_bits(model), sample(model, rng), numerics=numerics)


# Pages and properties -------------------------------------------------------------------------------


def test_page() -> None:
    page = run_page("depthwise_conv_2d")
    rng = np.random.default_rng(11)
    for form in ("int8", "int8 per tensor", "uint8", "float32"):
        for size, window, stride, dilation, padding in GEOMETRIES[:4]:
            options = conv_options(stride, dilation, padding)
            model = depthwise(form, (2, *size, 5), window, 2, options, rng=rng)
            (x,) = sample(model, rng)
            geometry = {"stride": stride, "dilation": dilation, "padding": padding}
            check_page(page, "depthwise_conv_2d", model, x, form, **geometry)


@settings(max_examples=50, derandomize=True)
@given(st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    numerics, form = draw(st.sampled_from(DEPTHWISE_PAIRS))
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    least = [(f - 1) * d + 1 if padding == "VALID" else 1 for f, d in zip(window, dilation, strict=True)]
    size = [draw(st.integers(n, n + 9)) for n in least]
    channels, multiplier = draw(st.integers(2, 70)), draw(st.integers(1, 4))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    options = conv_options(stride, dilation, padding, draw(st.sampled_from(ACTIVATIONS)))
    shape = (draw(st.integers(1, 3)), *size, channels)
    bias = numerics != "reference" or draw(st.booleans())  # without one, TFLite's optimized kernels crash
    model = depthwise(form, shape, window, multiplier, options, rng=rng, bias=bias, low=-128)
    check_first(model, [sample(model, rng)], numerics)


# Refusals and what TFLite ignores ----------------------------------------------------------------------


def small(**changes: Any) -> Model:
    """Return an int8 convolution of (1, 4, 4, 2) with (1, 2, 2, 4), changed."""
    at: dict[str, Any] = {
        "x": tensor((1, 4, 4, 2), "int8", 0.5),
        "w": const(np.ones((1, 2, 2, 4), np.int8), 0.5),
        "b": const(np.zeros(4, np.int32), 0.25),
        "y": tensor((1, 4, 4, 4), "int8", 1.0),
        "options": {},
    } | changes
    options = PLAIN | {"depth_multiplier": 2} | at["options"]
    operands = [at["x"], at["w"], at["b"]] if at["b"] is not None else [at["x"], at["w"]]
    return op_model(OP, operands, [at["y"]], options, version=3)


BOTH_REFUSE = {
    "bias of another length": {"b": const(np.zeros(3, np.int32), 0.25)},
    "bias of another dtype": {"b": const(np.zeros(4, np.float32))},
    "channels are no multiple": {"w": const(np.ones((1, 2, 2, 3), np.int8), 0.5)},
    "two filters": {"w": const(np.ones((2, 2, 2, 4), np.int8), 0.5)},
    "input of rank 3": {"x": tensor((4, 4, 2), "int8", 0.5)},
    "filter without a scale": {"w": const(np.ones((1, 2, 2, 4), np.int8))},
    "scales along another axis": {"w": const(np.ones((1, 2, 2, 4), np.int8), [0.5, 0.25], axis=1)},
    "filter of another dtype": {"w": const(np.ones((1, 2, 2, 4), np.uint8), 0.5)},
    "output of another dtype": {"y": tensor((1, 4, 4, 4), "uint8", 1.0)},
    "stride 0": {"options": {"stride_h": 0}},
    "dilation -1": {"options": {"dilation_w_factor": -1}},
}
WE_REFUSE = {
    "an output without elements": {"w": const(np.ones((1, 5, 2, 4), np.int8), 0.5),
                                   "options": {"padding": "VALID"}},
    "a fused activation that TFLite ignores": {"options": {"fused_activation_function": "SIGN_BIT"}},
    "a zero point outside the dtype": {"y": tensor((1, 4, 4, 4), "int8", 0.5, -129)},
}  # fmt: skip


@pytest.mark.parametrize("reason", BOTH_REFUSE)
def test_refused_by_both(reason: str) -> None:
    check_both_refuse(small(**BOTH_REFUSE[reason]))


@pytest.mark.parametrize("reason", WE_REFUSE)
def test_refused(reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError):
        run_ours(small(**WE_REFUSE[reason]), [np.zeros((1, 4, 4, 2), np.int8)])


@pytest.mark.parametrize("multiplier", [0, 1, 7])
def test_depth_multiplier_option_is_ignored(multiplier: int) -> None:
    check(small(options={"depth_multiplier": multiplier}), [np.ones((1, 4, 4, 2), np.int8)])


def test_zero_point_of_an_int8_filter_is_ignored() -> None:
    rng = np.random.default_rng(12)
    w = const(rng.integers(-127, 128, (1, 2, 2, 4)).astype(np.int8), 0.5, 5)
    check(small(w=w), [rng.integers(-128, 128, (1, 4, 4, 2)).astype(np.int8)])


def test_hybrid_with_one_scale_or_a_wrong_multiplier_is_refused() -> None:
    """TFLite reads past the scale, or past the channels."""
    data, bias = np.ones((1, 2, 2, 4), np.int8), const(np.zeros(4, np.float32))
    x, y = tensor((1, 4, 4, 2), "float32"), tensor((), "float32")
    for scales, multiplier in ((0.5, 2), ([0.5, 1, 2, 3], 1)):
        options = PLAIN | {"depth_multiplier": multiplier}
        model = op_model(OP, [x, const(data, scales, axis=3), bias], [y], options, version=6)
        with pytest.raises(UnsupportedOperatorError):
            run_ours(model, [np.zeros((1, 4, 4, 2), np.float32)])


def test_tflite_micro_needs_no_bias() -> None:
    rng = np.random.default_rng(13)
    check(small(b=None), [rng.integers(-128, 128, (1, 4, 4, 2)).astype(np.int8)], numerics="tflm")


@pytest.mark.parametrize(
    ("changes", "profiles"),
    [
        ({"b": None}, ("optimized", "xnnpack")),
        ({"options": {"depth_multiplier": 1}}, ("xnnpack", "tflm")),
        ({"w": const(np.ones((1, 2, 2, 4), np.int8), 0.5, 5)}, ("xnnpack",)),
        ({"y": tensor((1, 4, 4, 4), "int8", 0.25 / 256)}, ("xnnpack",)),
    ],
)
def test_what_other_backends_than_the_reference_fail_on(changes: Any, profiles: Any) -> None:
    inputs = [np.ones((1, 4, 4, 2), np.int8)]
    check(small(**changes), inputs)
    for numerics in profiles:
        with pytest.raises(UnsupportedOperatorError):
            run_ours(small(**changes), inputs, numerics)
