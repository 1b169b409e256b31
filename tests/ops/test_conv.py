"""CONV_2D: every form, geometry, group, tail of a vector, rounding tie and refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.verification.rules import make_node
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
    assert_same_bits,
    bias_scale,
    check,
    const,
    covers,
    op_model,
    random_floats,
    refusal,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

OP = "CONV_2D"


@pytest.mark.parametrize(("numerics", "form"), PAIRS)
def test_geometries(numerics: str, form: str) -> None:
    rng = np.random.default_rng(1)
    for number, (size, window, stride, dilation, padding) in enumerate(GEOMETRIES):
        channels, filters = ((1, 17), (3, 8), (16, 1), (5, 33))[number % 4]
        options = conv_options(stride, dilation, padding, ACTIVATIONS[number % 3])
        model = build(OP, form, (2, *size, channels), (filters, *window, channels), options, rng=rng)
        check_first(model, [sample(model, rng)], numerics)


@pytest.mark.parametrize("form", FORMS)
def test_channels_around_vector_widths(form: str) -> None:
    rng = np.random.default_rng(2)
    for channels in (1, 4, 33):
        for filters in (1, 8, 15, 17, 64, 65, 80):
            model = build(OP, form, (1, 3, 5, channels), (filters, 1, 2, channels), PLAIN, rng=rng)
            check_first(model, [sample(model, rng)])


@pytest.mark.parametrize("form", [f for f in FORMS if f != "hybrid per tensor"])
@pytest.mark.parametrize(("groups", "depth", "filters"), [(2, 3, 4), (3, 1, 9), (4, 8, 4), (5, 2, 85)])
def test_groups(form: str, groups: int, depth: int, filters: int) -> None:
    rng = np.random.default_rng(3)
    options = conv_options((1, 2), (1, 1), "SAME")
    model = build(OP, form, (2, 5, 6, groups * depth), (filters, 3, 3, depth), options, rng=rng)
    check_first(model, [sample(model, rng)])


@pytest.mark.parametrize(("numerics", "form"), INTEGER_PAIRS)
def test_activations_and_zero_points(numerics: str, form: str) -> None:
    rng = np.random.default_rng(4)
    for activation in ACTIVATIONS:
        for zero_points in ZERO_POINTS if numerics == "reference" else ZERO_POINTS[:2]:
            options = conv_options((1, 1), (1, 1), "SAME", activation)
            model = build(OP, form, (1, 9, 9, 8), (16, 3, 3, 8), options, rng=rng, zero_points=zero_points)
            (y,) = check_first(model, [sample(model, rng)], numerics)
            if activation == "NONE" and zero_points == (0, 0, 0):
                covers(y)


@pytest.mark.parametrize(("numerics", "form"), INTEGER_PAIRS)
def test_sums_on_rounding_boundaries(numerics: str, form: str) -> None:
    """The input is its zero point: the accumulators are the biases, next to every step of the output."""
    rng = np.random.default_rng(5)
    different = 0
    for exponent in (-23, -17, -12, -8, -5, -3, -1, 0, 1, 4):
        channels = 1024
        count = channels if form == "int8" else 1
        filter_scale = (2.0 ** rng.uniform(-1, 1, count)).astype(np.float32)
        if exponent % 2:
            filter_scale[:] = 1.0  # a power of two: true ties
        input_scale, output_scale = np.float32(2.0**exponent), np.float32(1.0)
        multipliers = np.broadcast_to(np.float64(input_scale) * filter_scale / output_scale, channels)
        dtype = form.split()[0]
        zero_point = 128 if dtype == "uint8" else 0
        x = tensor((1, 1, 1, 1), dtype, input_scale, zero_point)
        w = const(np.full((channels, 1, 1, 1), 7, dtype), filter_scale, zero_point)
        bias = boundary_sums(rng, multipliers)
        bias[:4] = [2**31 - 1, -(2**31), 2**31 - 2, -(2**31) + 1]
        model = op_model(
            OP,
            [x, w, const(bias, bias_scale(x, w))],
            [tensor((), dtype, output_scale, zero_point)],
            PLAIN,
            version=3,
        )
        (y,) = check_first(model, [[np.full((1, 1, 1, 1), zero_point, dtype)]], numerics)
        different += np.unique(y).size
    assert different > 1000


@pytest.mark.parametrize("form", FORMS)
def test_filter_computed_at_run_time(form: str) -> None:
    rng = np.random.default_rng(6)
    for groups in (1, 2):
        if groups == 2 and form == "hybrid per tensor":
            continue
        options = conv_options((2, 1), (1, 1), "SAME")
        model = build(
            OP, form, (2, 5, 5, 6), (18, 3, 3, 6 // groups), options, rng=rng, constant_filter=False
        )
        check_first(model, [sample(model, rng), sample(model, rng)])


@pytest.mark.parametrize("form", FORMS)
def test_batches_of_any_size(form: str) -> None:
    rng = np.random.default_rng(7)
    model = build(OP, form, (1, 6, 5, 3), (4, 3, 3, 3), PLAIN, rng=rng)
    check_batches(model, rng)


def test_sums_wrap_at_32_bits() -> None:
    x = tensor((1, 1, 1, 4), "int8", 1.0, 127)
    w = const(np.full((2, 1, 1, 4), 127, np.int8), 1.0)
    bias = const(np.array([-(2**31), 2**31 - 1], np.int32), bias_scale(x, w))
    for scale in (2.0**24, 1.0):
        model = op_model(OP, [x, w, bias], [tensor((), "int8", scale)], PLAIN, version=3)
        check_first(model, [[np.full((1, 1, 1, 4), v, np.int8)] for v in (-128, -1, 126, 127)])


def test_float_infinities_and_order_of_the_sum() -> None:
    rng = np.random.default_rng(8)
    for activation in ACTIVATIONS:
        options = conv_options((1, 1), (2, 1), "SAME", activation)
        filter_data = random_floats(rng, (33, 3, 3, 5), special=True)
        bias = random_floats(rng, (33,), special=True)
        model = op_model(OP, [tensor((2, 6, 7, 5), "float32"), const(filter_data), const(bias)],
                         [tensor((), "float32")], options)  # fmt: skip
        check_first(model, [[random_floats(rng, (2, 6, 7, 5), special=True)]])


@pytest.mark.parametrize("form", ["hybrid", "hybrid per tensor"])
def test_hybrid_ranges(form: str) -> None:
    """Images of zeros, of one sign, of tiny and huge numbers, and whose quantized values are ties."""
    rng = np.random.default_rng(9)
    for filters in (8, 9):
        model = build(OP, form, (4, 3, 7, 11), (filters, 2, 3, 11), PLAIN, rng=rng, low=-128)
        (x,) = sample(model, rng)
        special = x.copy()
        special[0] = 0
        special[1] = np.abs(special[1]) + 1
        special[2] = (rng.integers(-127, 127, special[2].shape) + 0.5) * np.float32(0.01)
        special[2, 0, 0, 0] = 1.27
        samples = [x, special, -np.abs(x) - 1, x * np.float32(1e-39), x / np.abs(x).max() * np.float32(3e38)]
        check_first(model, [[s.astype(np.float32)] for s in samples])


@pytest.mark.parametrize("form", ["hybrid", "hybrid per tensor"])
def test_hybrid_by_xnnpack(form: str) -> None:
    """What is quantized with one scale, ranges whose scale is infinite or 0, and each activation."""
    rng = np.random.default_rng(17)
    shapes: list[tuple[Any, ...]] = [  # window, stride, dilation, padding, depth, filters, groups
        ((1, 1), (1, 1), (1, 1), "SAME", 5, 17, 1),  # by pixel
        ((1, 1), (1, 1), (2, 3), "VALID", 1, 2, 1),
        ((1, 1), (1, 1), (1, 1), "VALID", 2, 1, 1),
        ((1, 1), (1, 1), (1, 1), "VALID", 1, 1, 1),  # by image
        ((1, 1), (2, 1), (1, 1), "SAME", 5, 17, 1),
        ((1, 1), (1, 1), (1, 1), "VALID", 6, 6, 2),
        ((2, 3), (1, 2), (1, 1), "SAME", 3, 9, 1),
        ((3, 2), (1, 1), (2, 1), "SAME", 8, 8, 8),
    ]
    for number, (window, stride, dilation, padding, depth, filters, groups) in enumerate(shapes):
        for activation in ACTIVATIONS[number % 2 :: 2]:
            options = conv_options(stride, dilation, padding, activation)
            shape, filter_shape = (4, 5, 6, depth), (filters, *window, depth // groups)
            model = build(OP, form, shape, filter_shape, options, rng=rng, low=-128)
            (x,) = sample(model, rng)
            output = model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]
            # stored, as the optimized kernels, which would be asked for it, refuse some of the groups
            output.shape = run_ours(model, [x], "xnnpack")[0].shape
            normal = rng.normal(size=shape).astype(np.float32)
            mixed = normal.copy()
            mixed[0], mixed[1], mixed[2] = 0, np.maximum(mixed[1], 0), -np.abs(mixed[2]) - 1
            mixed[3] = (rng.integers(-128, 127, mixed[3].shape) + 0.5) / 128
            mixed[3, 0, 0, 0] = 127 / 128
            tiny = normal * np.float32(1e-37)
            tiny[0] = np.maximum(tiny[0], 0)
            huge = np.clip(normal, -3, 3) * np.float32(1e38)
            for values in (x, mixed, tiny, -np.abs(tiny), normal * np.float32(1e-36), huge):
                check(model, [values], numerics="xnnpack")


@pytest.mark.parametrize("stride", [1, 2])
def test_page_of_the_hybrid_form_by_xnnpack(stride: int) -> None:
    rng = np.random.default_rng(18)
    options = conv_options((stride, stride), (1, 1), "VALID")
    for form in ("hybrid", "hybrid per tensor"):
        model = build(OP, form, (2, 5, 7, 6), (9, 1, 1, 6), options, rng=rng)
        x = rng.normal(0.5, 1, (2, 5, 7, 6)).astype(np.float32)
        (y,) = check(model, [x], numerics="xnnpack")
        w, bias = model.subgraphs[0].tensors[1:3]
        assert w.quantization is not None
        assert w.data is not None
        ours = run_page("hybrid")["xnnpack_pointwise"](
            x, w.data.reshape(9, 6), bias.data, w.quantization.scale, stride
        )
        assert_same_bits(ours, y)


def test_hybrid_zero_points_by_channel_are_refused_by_xnnpack() -> None:
    w = const(np.ones((3, 2, 2, 2), np.int8), [0.5, 0.25, 1.0], [0, 1, 0])
    model = op_model(OP, [tensor((1, 4, 4, 2), "float32"), w, const(np.zeros(3, np.float32))],
                     [tensor((1, 4, 4, 3), "float32")], PLAIN, version=5)  # fmt: skip
    inputs = [np.ones((1, 4, 4, 2), np.float32)]
    assert "XNNPACK" in refusal(model, inputs, numerics="xnnpack")
    with pytest.raises(UnsupportedOperatorError, match="zero points"):
        run_ours(model, inputs, "xnnpack")


def test_hybrid_scales_that_are_equal_count_as_one() -> None:
    rng = np.random.default_rng(10)
    w = rng.integers(-128, 128, (6, 3, 3, 4)).astype(np.int8)
    bias = const(random_floats(rng, (6,)))
    model = op_model(OP, [tensor((1, 5, 5, 4), "float32"), const(w, np.full(6, 0.1)), bias],
                     [tensor((), "float32")], PLAIN, version=5)  # fmt: skip
    check_first(model, [[random_floats(rng, (1, 5, 5, 4))]])


# Pages and properties -------------------------------------------------------------------------------


def test_page() -> None:
    page = run_page("conv_2d")
    rng = np.random.default_rng(11)
    for form in ("int8", "int8 per tensor", "uint8", "float32"):
        for size, window, stride, dilation, padding in GEOMETRIES[:4]:
            model = build(
                OP, form, (2, *size, 3), (5, *window, 3), conv_options(stride, dilation, padding), rng=rng
            )
            (x,) = sample(model, rng)
            geometry = {"stride": stride, "dilation": dilation, "padding": padding}
            check_page(page, "conv_2d", model, x, form, **geometry)


def test_page_ties() -> None:
    for (model, x), expected in [(tie_model(acc), y) for acc, y in run_page("conv_2d")["TIES"]]:
        (y,) = check(model, [x])
        assert y.ravel().tolist() == [expected]


def tie_model(acc: int) -> tuple[Model, np.ndarray]:
    """Return a model with the multiplier 1/8 whose accumulator is `acc`."""
    x, w = tensor((1, 1, 1, 1), "int8", 0.5), const(np.ones((1, 1, 1, 1), np.int8), 0.25)
    bias = const(np.array([acc], np.int32), bias_scale(x, w))
    model = op_model(OP, [x, w, bias], [tensor((), "int8", 1.0)], PLAIN, version=3)
    return model, np.zeros((1, 1, 1, 1), np.int8)


@settings(max_examples=50, derandomize=True)
@given(st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    numerics, form = draw(st.sampled_from(PAIRS))
    groups = draw(st.sampled_from([1, 1, 2, 3])) if form != "hybrid per tensor" else 1
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    least = [(f - 1) * d + 1 if padding == "VALID" else 1 for f, d in zip(window, dilation, strict=True)]
    size = [draw(st.integers(n, n + 9)) for n in least]
    depth, filters = draw(st.integers(1, 20)), draw(st.integers(2, 40)) * groups
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    options = conv_options(stride, dilation, padding, draw(st.sampled_from(ACTIVATIONS)))
    shape = (draw(st.integers(1, 3)), *size, depth * groups)
    model = build(OP, form, shape, (filters, *window, depth), options, rng=rng, low=-128)
    check_first(model, [sample(model, rng)], numerics)


# Refusals -------------------------------------------------------------------------------------------


def small(**changes: Any) -> Model:
    """Return an int8 convolution of (1, 4, 4, 2) with (3, 2, 2, 2), changed."""
    at: dict[str, Any] = {
        "x": tensor((1, 4, 4, 2), "int8", 0.5),
        "w": const(np.ones((3, 2, 2, 2), np.int8), 0.5),
        "b": const(np.zeros(3, np.int32), 0.25),
        "y": tensor((1, 4, 4, 3), "int8", 1.0),
        "options": {},
    } | changes
    return op_model(
        OP, [at["x"], at["w"], *([at["b"]] if at["b"] else [])], [at["y"]], PLAIN | at["options"], version=3
    )


ONES = np.ones((3, 2, 2, 2), np.int8)
BOTH_REFUSE = {
    "no bias": {"b": None},
    "bias of another length": {"b": const(np.zeros(4, np.int32), 0.25)},
    "bias of another dtype": {"b": const(np.zeros(3, np.float32))},
    "bias with a zero point": {"b": const(np.zeros(3, np.int32), 0.25, 1)},
    "channels do not match": {"w": const(np.ones((3, 2, 2, 3), np.int8), 0.5)},
    "input of rank 3": {"x": tensor((4, 4, 2), "int8", 0.5)},
    "filter of rank 3": {"w": const(np.ones((3, 2, 2), np.int8), 0.5)},
    "filter with a zero point": {"w": const(ONES, 0.5, 1)},
    "filter without a scale": {"w": const(ONES)},
    "input without a scale": {"x": tensor((1, 4, 4, 2), "int8")},
    "two scales for three filters": {"w": const(ONES, [0.5, 0.25], axis=1)},
    "filter of another dtype": {"w": const(np.ones((3, 2, 2, 2), np.float32))},
    "output of another dtype": {"y": tensor((1, 4, 4, 3), "uint8", 1.0)},
    "stride 0": {"options": {"stride_h": 0}},
    "stride -1": {"options": {"stride_w": -1}},
    "dilation 0": {"options": {"dilation_w_factor": 0}},
    "filter much larger than the image": {"w": const(np.ones((3, 7, 2, 2), np.int8), 0.5),
                                          "options": {"padding": "VALID"}},
    "no channels": {"x": tensor((1, 4, 4, 0), "int8", 0.5), "w": const(np.ones((3, 2, 2, 0), np.int8), 0.5)},
}  # fmt: skip
WE_REFUSE = {
    "filters do not fill the groups, which TFLite reads beyond": {
        "w": const(np.ones((3, 2, 2, 1), np.int8), 0.5)
    },
    "an output without elements": {"w": const(np.ones((3, 5, 2, 2), np.int8), 0.5),
                                   "options": {"padding": "VALID"}},
    "a fused activation that TFLite ignores": {"options": {"fused_activation_function": "TANH"}},
    "dilation beyond 32 bits": {"options": {"dilation_h_factor": 2**31 - 1, "padding": "VALID"}},
    "a zero point outside the dtype": {"x": tensor((1, 4, 4, 2), "int8", 0.5, 300)},
    "an output scale of 0": {"y": tensor((1, 4, 4, 3), "int8", 0.0)},
    "an infinite filter scale": {"w": const(ONES, np.inf)},
    "a multiplier of 2**40": {"y": tensor((1, 4, 4, 3), "int8", 2.0**-42)},
}  # fmt: skip


@pytest.mark.parametrize("reason", BOTH_REFUSE)
def test_refused_by_both(reason: str) -> None:
    check_both_refuse(small(**BOTH_REFUSE[reason]))


@pytest.mark.parametrize("reason", WE_REFUSE)
def test_refused(reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError):
        run_ours(small(**WE_REFUSE[reason]), [np.zeros((1, 4, 4, 2), np.int8)])


def test_the_small_model_itself_runs() -> None:
    check(small(), [np.ones((1, 4, 4, 2), np.int8)])


def test_uint8_bias_scale() -> None:
    """One scale for the filter: the bias must have the product of the scales, up to 0.02 of the output's."""
    ones = np.ones((3, 2, 2, 2), np.uint8)
    x, y = tensor((1, 4, 4, 2), "uint8", 0.5, 9), tensor((), "uint8", 1.0)
    for scale, fine in ((0.25, True), (0.2699, True), (0.2701, False), (None, False)):
        model = op_model(
            OP, [x, const(ones, 0.5), const(np.zeros(3, np.int32), scale)], [y], PLAIN, version=3
        )
        if fine:
            check(model, [np.ones((1, 4, 4, 2), np.uint8)])
        else:
            assert refusal(model, [np.ones((1, 4, 4, 2), np.uint8)])
            with pytest.raises(UnsupportedOperatorError, match="bias has scale"):
                run_ours(model, [np.ones((1, 4, 4, 2), np.uint8)])


def test_hybrid_groups_with_one_scale_are_refused() -> None:
    """TFLite reads past the scale."""
    w = const(np.ones((4, 2, 2, 1), np.int8), 0.5)
    model = op_model(OP, [tensor((1, 4, 4, 2), "float32"), w, const(np.zeros(4, np.float32))],
                     [tensor((), "float32")], PLAIN, version=5)  # fmt: skip
    with pytest.raises(UnsupportedOperatorError, match="one scale and 2 groups"):
        run_ours(model, [np.zeros((1, 4, 4, 2), np.float32)])


@pytest.mark.parametrize("numerics", PROFILES)
def test_int4_filter(numerics: str) -> None:
    rng = np.random.default_rng(19)
    for number, (size, window, stride, dilation, padding) in enumerate(GEOMETRIES):
        form = ("int8", "int8 per tensor")[number % 2]
        depth, filters, groups = ((3, 17, 1), (4, 6, 2), (1, 8, 1))[number % 3]
        options = conv_options(stride, dilation, padding, ACTIVATIONS[number % 4])
        shape, filter_shape = (2, *size, depth), (filters, *window, depth // groups)
        model = with_four_bits(build(OP, form, shape, filter_shape, options, rng=rng, low=-128))
        check(model, sample(model, rng), numerics=numerics)


def test_the_rule_of_an_int4_filter_follows_its_shape() -> None:
    """Not that of its data, of which two are in a byte: that would look like two groups."""
    rng = np.random.default_rng(20)
    options = conv_options((1, 1), (1, 1), "VALID", "NONE")
    model = with_four_bits(build(OP, "int8", (1, 4, 4, 8), (4, 1, 1, 8), options, rng=rng, low=-128))
    constants = dict(enumerate(tensor.data for tensor in model.subgraphs[0].tensors))
    values = {t: data for t, data in constants.items() if data is not None}
    assert make_node(model, 0, 0, values, "optimized").rule.rounding == "ruy"


def test_int4_filters_that_are_refused() -> None:
    x, shape = np.zeros((1, 4, 4, 2), np.int8), (3, 2, 2, 2)
    with pytest.raises(UnsupportedOperatorError, match="int4 filter is computed"):
        run_ours(small(w=tensor(shape, "int4", 0.5)), [x, np.zeros(shape, np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="int4 filter has zero points"):
        run_ours(small(w=tensor(shape, "int4", 0.5, 1, data=np.ones(12, np.uint8))), [x])


# What the profiles differ in ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_xnnpack_makes_no_operator_for_a_multiplier_of_256(dtype: str) -> None:
    ones, zero = np.ones((3, 2, 2, 2), dtype), 128 if dtype == "uint8" else 0
    for quotient in (255, 256):
        w, bias = const(ones, 0.5, zero), const(np.full(3, 7, np.int32), 0.25)
        y = tensor((), dtype, 0.25 / quotient, zero)
        model = op_model(OP, [tensor((1, 4, 4, 2), dtype, 0.5, zero), w, bias], [y], PLAIN, version=3)
        inputs = [np.full((1, 4, 4, 2), zero + 1, dtype)]
        check(model, inputs, numerics="optimized")
        if quotient == 255:
            check(model, inputs, numerics="xnnpack")
            continue
        assert "runtime" in refusal(with_shapes(model, inputs), inputs, numerics="xnnpack")
        with pytest.raises(UnsupportedOperatorError, match="multiplier 256"):
            run_ours(model, inputs, "xnnpack")


@pytest.mark.parametrize("window", [(1, 1), (1, 2), (2, 1), (3, 3)])
def test_xnnpack_finds_no_input_where_padding_would_be_negative(window: tuple[int, int]) -> None:
    rng = np.random.default_rng(13)
    for form in ("int8", "float32"):
        for stride in ((1, 2), (3, 2), (5, 1), (5, 5)):
            options = conv_options(stride, (1, 1), "SAME")
            model = build(OP, form, (1, 4, 6, 3), (9, *window, 3), options, rng=rng)
            check_first(model, [sample(model, rng)], "xnnpack")


def test_what_xnnpack_declines() -> None:
    """The optimized kernels run it: a filter or bias computed at run time, a bias without a scale."""
    rng = np.random.default_rng(14)
    model = build(OP, "int8", (1, 5, 5, 6), (18, 3, 3, 6), PLAIN, rng=rng, constant_filter=False)
    check_first(model, [sample(model, rng)], "xnnpack")
    w = const(np.ones((3, 2, 2, 2), np.int8), 0.5)
    declined = small(w=w, b=const(np.full(3, -1, np.int32)), y=tensor((), "int8", 2.0))
    (y,) = check(declined, [np.zeros((1, 4, 4, 2), np.int8)], numerics="xnnpack")
    assert not y.any()


def test_tflite_micro_needs_no_bias() -> None:
    rng = np.random.default_rng(15)
    check(small(b=None), [rng.integers(-128, 128, (1, 4, 4, 2)).astype(np.int8)], numerics="tflm")


@pytest.mark.parametrize("numerics", ["reference", "optimized", "tflm"])
@pytest.mark.parametrize("bias_dtype", ["int64", "int32"])
def test_int16_sums_on_rounding_boundaries(bias_dtype: str, numerics: str) -> None:
    rng = np.random.default_rng(16)
    options = PLAIN | ({"quantized_bias_type": "INT32"} if bias_dtype == "int32" else {})
    for exponent in (-20, -12, -6, -1, 2):
        channels = 512
        scales = (2.0 ** rng.uniform(-1, 1, channels)).astype(np.float32)
        scales[::2] = 1.0  # a power of two: true ties
        steps = rng.integers(-33000, 33000, channels) + 0.5
        bias = np.round(steps / (scales.astype(np.float64) * 2.0**exponent)) + rng.integers(-1, 2, channels)
        if bias_dtype == "int32":
            bias = np.clip(bias, -(2**31), 2**31 - 1)
        x = tensor((1, 1, 1, 1), "int16", 2.0**exponent)
        w = const(np.ones((channels, 1, 1, 1), np.int8), scales)
        operands = [x, w, const(bias.astype(bias_dtype), bias_scale(x, w))]
        model = op_model(OP, operands, [tensor((), "int16", 1.0)], options, version=8)
        (y,) = check(model, [np.zeros((1, 1, 1, 1), np.int16)], numerics=numerics)
        assert np.unique(y).size > 200


@pytest.mark.parametrize(
    ("bias", "options"),
    [
        (np.zeros(3, np.int32), {}),  # TFLite reads it as int64
        (np.zeros(3, np.int64), {"quantized_bias_type": "INT32"}),
        (np.zeros(3, np.float32), {}),
    ],
)
def test_int16_with_another_bias_than_the_option_says(bias: Any, options: dict[str, str]) -> None:
    w = const(np.ones((3, 2, 2, 2), np.int8), 0.5)
    operands = [tensor((1, 4, 4, 2), "int16", 0.5), w, const(bias, 0.25)]
    model = op_model(OP, operands, [tensor((), "int16", 1.0)], PLAIN | options, version=8)
    with pytest.raises(UnsupportedOperatorError):
        run_ours(model, [np.zeros((1, 4, 4, 2), np.int16)])


def test_ties_by_profile() -> None:
    """A multiplier of 1/8 and negative ties: away from zero, up, to even; groups as in the reference."""
    rows = {}
    for numerics in ("reference", "optimized", "xnnpack", "tflm"):
        rows[numerics] = []
        for acc in (-4, -12, 4, 12):
            model, x = tie_model(acc)
            (y,) = check(model, [x], numerics=numerics)
            rows[numerics] += y.ravel().tolist()
    assert rows["reference"] == rows["tflm"] == [-1, -2, 1, 2]
    assert rows["optimized"] == [0, -1, 1, 2]
    assert rows["xnnpack"] == [0, -2, 0, 2]
