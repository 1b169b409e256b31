"""FULLY_CONNECTED: every form and shape, tails of vectors, rounding ties, overflow and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.bounds import check_within_bounds
from tests.ops.convolutions import (
    ACTIVATIONS,
    FORMS,
    boundary_sums,
    build,
    check_both_refuse,
    check_first,
    sample,
)
from tests.ops.harness import (
    assert_same_bits,
    bias_scale,
    check,
    const,
    covers,
    op_model,
    packed,
    random_floats,
    random_scale,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

OP = "FULLY_CONNECTED"


def options(activation: str = "NONE", **more: Any) -> dict[str, Any]:
    return {"fused_activation_function": activation} | more


def cases(*forms: str) -> list[Any]:
    """Return each form with each profile in which its bits are defined."""
    return [(form, profile) for form in forms for profile in PROFILES_OF[form.split()[0]]]


PROFILES_OF = {
    "int8": ("reference", "optimized", "xnnpack", "tflm"),
    "uint8": ("reference", "optimized", "xnnpack"),
    "float32": ("reference", "tflm"),
    "hybrid": ("reference", "optimized", "xnnpack"),
}
INT8 = ("int8", "int8 per tensor", "uint8")


@pytest.mark.parametrize(("form", "profile"), cases(*FORMS))
def test_sizes_around_vector_widths(form: str, profile: str) -> None:
    rng = np.random.default_rng(1)
    depths, units = (1, 3, 4, 5, 15, 16, 33, 100), (1, 7, 8, 15, 16, 17, 31, 63, 64, 65, 130)
    for number in range(len(units)):
        shape, rows = (units[number], depths[number % len(depths)]), (1, 2, 5, 7)[number % 4]
        model = build(OP, form, (rows, shape[1]), shape, options(), rng=rng, bias=number % 5 != 4)
        check_first(model, [sample(model, rng)], profile)


@pytest.mark.parametrize("form", FORMS)
def test_many_rows_and_deep_ones(form: str) -> None:
    rng = np.random.default_rng(2)
    for rows, depth, units in ((200, 40, 20), (3, 5000, 10), (14, 11000, 3)):
        model = build(OP, form, (rows, depth), (units, depth), options(), rng=rng)
        check_first(model, [sample(model, rng)])


SHAPES: list[Any] = [
    ((24,), False, (4, 5)),
    ((2, 3, 4), False, (4, 5)),
    ((2, 3, 6), False, (6, 5)),
    ((2, 3, 6), True, (2, 3, 5)),
    ((1, 2, 2, 6), True, (1, 2, 2, 5)),
    ((6,), True, (5,)),
    ((2, 7), False, (2, 5)),  # the last two elements are ignored
    ((0, 6), False, (0, 5)),
]


@pytest.mark.parametrize(("form", "profile"), cases(*FORMS))
def test_shapes(form: str, profile: str) -> None:
    rng = np.random.default_rng(3)
    for shape, keep, expected in SHAPES:
        if profile != "reference" and shape in ((2, 7), (0, 6)):
            continue
        model = build(OP, form, shape, (5, 6), options(keep_num_dims=keep), rng=rng)
        (y,) = check_first(model, [sample(model, rng)], profile)
        assert y.shape == expected


@pytest.mark.parametrize(("form", "profile"), cases(*FORMS))
def test_activations_and_zero_points(form: str, profile: str) -> None:
    rng = np.random.default_rng(4)
    for number, zero_points in enumerate(
        [(-128, -128, -128), (127, 127, 127), (0, 0, 0), (-128, 127, 127), (127, -128, -128)]
    ):
        for activation in ACTIVATIONS if number < 3 else ("NONE", "RELU6"):
            model = build(OP, form, (40, 30), (37, 30), options(activation), rng=rng, zero_points=zero_points)
            (y,) = check_first(model, [sample(model, rng)], profile)
            if activation == "NONE" and zero_points == (0, 0, 0) and y.dtype != np.float32:
                covers(y)


@pytest.mark.parametrize(("form", "profile"), cases(*INT8))
def test_sums_on_rounding_boundaries(form: str, profile: str) -> None:
    """The input is its zero point: the accumulators are the biases, next to every step of the output."""
    rng = np.random.default_rng(5)
    for exponent in (-23, -21, -19, -17, -12, -8, -5, -3, -1, 0, 4):
        units = 1023
        filter_scale = np.full(units if form == "int8" else 1, 1.0, np.float32)
        input_scale, output_scale = np.float32(2.0**exponent), np.float32(1)
        if exponent % 2 == 0 or exponent < -16:  # else many accumulators are ties
            filter_scale = (2.0 ** rng.uniform(-1, 1, filter_scale.size)).astype(np.float32)
            input_scale *= np.float32(rng.uniform(0.5, 1))
            output_scale *= np.float32(rng.uniform(0.5, 1))
        dtype = form.split()[0]
        zero_point = 128 if dtype == "uint8" else 0
        x = tensor((1, 1), dtype, input_scale, zero_point)
        w = const(np.full((units, 1), 7, dtype), filter_scale, zero_point)
        real = np.float64(input_scale) * filter_scale / np.float64(output_scale)
        bias = boundary_sums(rng, np.broadcast_to(real, units))
        bias[:4] = [2**31 - 1, -(2**31), 2**31 - 2, -(2**31) + 1]
        inputs = [x, w, const(bias, bias_scale(x, w))]
        y = tensor((), dtype, output_scale, zero_point)
        model = op_model(OP, inputs, [y], options(), version=4)
        check_first(model, [[np.full((1, 1), zero_point, dtype)]], profile)


def product_model(
    rng: np.random.Generator,
    dtypes: tuple[str, str],
    shape: tuple[int, int, int],
    *,
    per_unit: bool,
    bias: str | None = None,
    activation: str = "NONE",
    **more: Any,
) -> tuple[Model, list[np.ndarray]]:
    """Return a product of rows, depth, units, and an input; `bias` is its dtype."""
    rows, depth, units = shape
    x_dtype, w_dtype = dtypes
    low = -8 if w_dtype == "int4" else -128
    values = random_values(rng, (units, depth), "int8", low=low, high=-low - 1)
    scales = random_scale(rng, size=units if per_unit else None)
    data = packed(values) if w_dtype == "int4" else values
    w = tensor((units, depth), w_dtype, scales, data=data)
    o = options(activation, **more)
    if x_dtype == "float32":
        x = rng.normal(0, 1, (rows, depth)).astype(np.float32)
        b = const(rng.normal(0, 1, units).astype(np.float32))
        return op_model(OP, [tensor(x.shape, x_dtype), w, b], [tensor((), x_dtype)], o, version=9), [x]
    zero_points = (0, 0) if x_dtype == "int16" else (3, -5)
    x = random_values(rng, (rows, depth), x_dtype)
    t = tensor(x.shape, x_dtype, random_scale(rng), zero_points[0])
    assert t.quantization is not None
    output_scale = t.quantization.scale[0] * np.median(scales) * np.sqrt(depth) * (-low) * rng.uniform(0.3, 1)
    b = None if bias is None else const(rng.integers(-1000, 1000, units).astype(bias), bias_scale(t, w))
    y = tensor((), x_dtype, output_scale, zero_points[1])
    return op_model(OP, [t, w, b], [y], o, version=13), [x]


# dtype of the bias, option quantized_bias_type
INT16_BIASES: list[tuple[str | None, str]] = [
    (None, "FLOAT32"),
    (None, "INT32"),
    (None, "INT64"),
    ("int32", "INT32"),
    ("int64", "FLOAT32"),
    ("int64", "INT64"),
]


@pytest.mark.parametrize("per_unit", [False, True])
@pytest.mark.parametrize("profile", PROFILES_OF["int8"])
def test_int16_activations(profile: str, per_unit: bool) -> None:
    rng = np.random.default_rng(20)
    for number, (bias, option) in enumerate(INT16_BIASES):
        for w_dtype in ("int8",) if profile == "tflm" else ("int8", "int4"):
            model, inputs = product_model(
                rng, ("int16", w_dtype), ((3, 37, 19), (2, 64, 33))[number % 2], per_unit=per_unit, bias=bias,
                activation=ACTIVATIONS[number % 4], quantized_bias_type=option,
            )  # fmt: skip
            check(model, inputs, numerics=profile)
    model, inputs = product_model(rng, ("int16", "int8"), (9, 300, 20), per_unit=per_unit)
    covers(check(model, inputs, numerics=profile)[0])


@pytest.mark.parametrize("profile", PROFILES_OF["int8"])
@pytest.mark.parametrize("per_unit", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_int16_sums_on_rounding_boundaries(profile: str, per_unit: bool, wide: bool) -> None:
    rng = np.random.default_rng(21)
    for exponent in (-16, -15, -12, -8, -3, 0):
        units = 1023
        filter_scale = np.full(units if per_unit else 1, 1.0, np.float32)
        input_scale = np.float32(2.0**exponent)
        if exponent != -12:  # where many accumulators are ties
            filter_scale = (2.0 ** rng.uniform(-1, 1, filter_scale.size)).astype(np.float32)
            input_scale *= np.float32(rng.uniform(0.5, 1))
        x, w = tensor((1, 1), "int16", input_scale), const(np.full((units, 1), 7, np.int8), filter_scale)
        sums = boundary_sums(rng, np.broadcast_to(np.float64(input_scale) * filter_scale / 64, units))
        bias = const(sums.astype(np.int64 if wide else np.int32), bias_scale(x, w))
        o = options(quantized_bias_type="INT64" if wide else "INT32")
        model = op_model(OP, [x, w, bias], [tensor((), "int16", 64.0)], o, version=13)
        check(model, [np.zeros((1, 1), np.int16)], numerics=profile)


@pytest.mark.parametrize("profile", PROFILES_OF["int8"])
def test_int4_filter(profile: str) -> None:
    """XNNPACK takes those with a scale per unit and an even depth."""
    rng = np.random.default_rng(22)
    for number, shape in enumerate([(3, 37, 19), (2, 64, 33), (5, 2, 16), (4, 1, 3), (1, 38, 7)]):
        for per_unit in (False,) if profile == "tflm" else (False, True):
            activation = ACTIVATIONS[number % 4]
            bias = "int32" if number % 2 else None
            model, inputs = product_model(
                rng, ("int8", "int4"), shape, per_unit=per_unit, bias=bias, activation=activation
            )
            check(model, inputs, numerics=profile)


@pytest.mark.parametrize("profile", PROFILES_OF["hybrid"])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_hybrid_int4_filter(profile: str, asymmetric: bool) -> None:
    rng = np.random.default_rng(23)
    for number, shape in enumerate([(3, 37, 19), (2, 30, 33), (5, 64, 3), (4, 64, 16)]):
        for per_unit in (False, True):
            model, inputs = product_model(
                rng, ("float32", "int4"), shape, per_unit=per_unit, activation=ACTIVATIONS[number % 4],
                asymmetric_quantize_inputs=asymmetric,
            )  # fmt: skip
            if shape == (4, 64, 16) and (profile == "optimized" or (profile == "xnnpack" and not per_unit)):
                with pytest.raises(UnsupportedOperatorError, match="code of their own"):
                    run_ours(model, inputs, profile)
            else:
                check(model, inputs, numerics=profile)


@pytest.mark.parametrize("profile", PROFILES_OF["int8"])
def test_products_beyond_int32(profile: str) -> None:
    x = np.array([[127, -128, 1]], np.int8)
    w = const(np.array([[127, 0, 0], [-127, 0, 0], [0, 0, 1]], np.int8), 1.0)
    for zero_point in (-128, -1, 0, 5, 127):
        for scale in (1e-6, 1e-8):
            y = tensor((), "int8", scale, zero_point)
            model = op_model(OP, [tensor((1, 3), "int8", 1.0), w], [y], options(), version=4)
            if profile == "xnnpack":
                with pytest.raises(UnsupportedOperatorError, match="256"):
                    run_ours(with_shapes(model, [x]), [x], profile)
                continue
            check_first(model, [[x]], profile)


@pytest.mark.parametrize(("form", "profile"), cases(*FORMS))
def test_filter_computed_at_run_time(form: str, profile: str) -> None:
    """XNNPACK declines it: the optimized kernels run."""
    rng = np.random.default_rng(6)
    model = build(OP, form, (3, 37), (21, 37), options(), rng=rng, constant_filter=False, low=-128)
    check_first(model, [sample(model, rng), sample(model, rng)], profile)


@pytest.mark.parametrize(("dtype", "profile"), cases("int8", "uint8"))
def test_zero_point_of_the_filter(dtype: str, profile: str) -> None:
    """Applied with one scale, but not by XNNPACK to int8; ignored with a scale per unit (int8 only)."""
    rng = np.random.default_rng(7)
    info = np.iinfo(dtype)
    data = rng.integers(info.min, info.max, (9, 20), endpoint=True).astype(dtype)
    scales: list[Any] = [0.02] if dtype == "uint8" else [0.02, np.linspace(0.01, 0.03, 9)]
    for scale in scales:
        for zero_point in (info.min, info.max, 3):
            inputs = [tensor((4, 20), dtype, 0.05, 3), const(data, scale, zero_point)]
            model = op_model(OP, inputs, [tensor((4, 9), dtype, 1.3, 7)], options(), version=4)
            x = sample(model, rng)
            if profile == "xnnpack" and np.size(scale) > 1:
                assert refusal(model, x, numerics=profile)
                with pytest.raises(UnsupportedOperatorError, match="zero points"):
                    run_ours(model, x, profile)
            else:
                check_first(model, [x], profile)


@pytest.mark.parametrize("profile", PROFILES_OF["float32"])
def test_float_infinities_and_order_of_the_sum(profile: str) -> None:
    rng = np.random.default_rng(8)
    for activation in ACTIVATIONS:
        for bias in (True, False):
            inputs = [
                tensor((7, 50), "float32"),
                const(random_floats(rng, (33, 50), special=activation == "RELU")),
            ]
            if bias:
                inputs.append(const(random_floats(rng, (33,), special=True)))
            model = op_model(OP, inputs, [tensor((), "float32")], options(activation))
            samples = [[random_floats(rng, (7, 50), special=special)] for special in (True, False)]
            check_first(model, samples, profile)


@pytest.mark.parametrize(("form", "profile"), cases("hybrid", "hybrid per tensor"))
@pytest.mark.parametrize("asymmetric", [False, True])
def test_hybrid_ranges(form: str, profile: str, asymmetric: bool) -> None:
    """Rows of zeros, of one sign, of tiny and huge numbers, of ties; weights of -128."""
    rng = np.random.default_rng(9)
    for activation in ACTIVATIONS:
        o = options(activation, asymmetric_quantize_inputs=asymmetric)
        for low, bias in ((-127, True), (-128, False)):
            model = build(OP, form, (5, 43), (18, 43), o, rng=rng, low=low, bias=bias)
            (x,) = sample(model, rng)
            special = x.copy()
            special[0] = 0
            special[1] = np.abs(special[1]) + 1
            special[2] = rng.integers(-127, 127, 43) + 0.5
            special[2, 0] = 127
            special[3] = np.where(rng.random(43) < 0.5, np.float32(0.49999997), np.float32(-0.49999997))
            special[3, 0] = 127
            samples = [
                x,
                special,
                -np.abs(x) - 1,
                x * np.float32(1e-39),
                np.clip(x, -10, 10) * np.float32(1e-37),
                x / np.abs(x).max() * np.float32(3e38),
            ]
            check_first(model, [[s.astype(np.float32)] for s in [*samples, np.zeros_like(x)]], profile)


def test_hybrid_without_input_is_the_activation_of_the_bias() -> None:
    for activation in ACTIVATIONS:
        bias = const(np.array([-0.0, 2.0, -7.5, np.inf, -np.inf], np.float32))
        w = const(np.ones((5, 16), np.int8), 0.1)
        model = op_model(OP, [tensor((2, 16), "float32"), w, bias], [tensor((), "float32")],
                         options(activation), version=9)  # fmt: skip
        check_first(model, [[np.zeros((2, 16), np.float32)], [np.full((2, 16), -0.0, np.float32)]])


# Pages and properties -------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "profile"), cases(*INT8))
def test_page(form: str, profile: str) -> None:
    page = run_page("fully_connected")
    rng = np.random.default_rng(10)
    for _ in range(3):
        model = build(OP, form, (20, 30), (9, 30), options(), rng=rng)
        (x,) = sample(model, rng)
        (y,) = check(model, [x], numerics=profile)
        t = model.subgraphs[0].tensors
        q: Any = [t[i].quantization for i in (0, 1, 3)]
        scales, zero_points = [v.scale for v in q], [int(v.zero_point[0]) for v in q]
        ours = page["fully_connected"](x, t[1].data, t[2].data, scales, zero_points, profile)
        assert_same_bits(ours, y, f"page fully_connected, {form} {profile}")


def test_page_float32() -> None:
    page = run_page("fully_connected")
    rng = np.random.default_rng(10)
    model = build(OP, "float32", (20, 30), (9, 30), options(), rng=rng)
    (x,) = sample(model, rng)
    (y,) = check(model, [x])
    t = model.subgraphs[0].tensors
    assert_same_bits(page["fully_connected_float32"](x, t[1].data, t[2].data), y)


@pytest.mark.parametrize("profile", PROFILES_OF["int8"])
def test_page_ties(profile: str) -> None:
    accs, expected = zip(*run_page("fully_connected")["TIES"][profile], strict=True)
    x, w = tensor((1, 1), "int8", 0.5), const(np.ones((len(accs), 1), np.int8), 0.25)
    bias = const(np.array(accs, np.int32), bias_scale(x, w))
    model = op_model(OP, [x, w, bias], [tensor((), "int8", 1.0)], options(), version=4)
    (y,) = check_first(model, [[np.zeros((1, 1), np.int8)]], profile)
    assert y.ravel().tolist() == list(expected)


def test_page_of_the_hybrid_form_by_xnnpack() -> None:
    page = run_page("hybrid")
    rng = np.random.default_rng(13)
    for form in ("hybrid", "hybrid per tensor"):
        model = build(OP, form, (6, 45), (9, 45), options(), rng=rng)
        x = rng.normal(0.5, 1, size=(6, 45)).astype(np.float32)
        (y,) = check(model, [x], numerics="xnnpack")
        t = model.subgraphs[0].tensors
        assert t[1].quantization is not None
        ours = page["xnnpack_fully_connected"](x, t[1].data, t[2].data, t[1].quantization.scale)
        assert_same_bits(ours, y)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_page_of_the_hybrid_form(asymmetric: bool) -> None:
    page = run_page("hybrid")
    rng = np.random.default_rng(11)
    for form in ("hybrid", "hybrid per tensor"):
        for _ in range(10):
            o = options(asymmetric_quantize_inputs=asymmetric)
            model = build(OP, form, (6, 45), (9, 45), o, rng=rng)
            x = rng.normal(size=(6, 45)).astype(np.float32)
            (y,) = check(model, [x])
            t = model.subgraphs[0].tensors
            assert t[1].quantization is not None
            ours = page["hybrid_fully_connected"](
                x, t[1].data, t[2].data, t[1].quantization.scale, asymmetric
            )
            assert_same_bits(ours, y)


@settings(max_examples=60, derandomize=True)
@given(st.data())
def test_random_products(data: st.DataObject) -> None:
    draw = data.draw
    form, profile = draw(st.sampled_from(cases(*FORMS)))
    depth, units, rows = draw(st.integers(1, 90)), draw(st.integers(2, 90)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    o = options(draw(st.sampled_from(ACTIVATIONS)), asymmetric_quantize_inputs=draw(st.booleans()))
    bias = draw(st.booleans())
    model = build(OP, form, (rows, depth), (units, depth), o, rng=rng, bias=bias, low=-128)
    check_first(model, [sample(model, rng)], profile)


# Refusals -------------------------------------------------------------------------------------------


def small(**changes: Any) -> Model:
    """Return an int8 product of (2, 4) with (3, 4), changed."""
    at: dict[str, Any] = {
        "x": tensor((2, 4), "int8", 0.5),
        "w": const(np.ones((3, 4), np.int8), 0.5),
        "b": const(np.zeros(3, np.int32), 0.25),
        "y": tensor((2, 3), "int8", 1.0),
        "options": {},
    } | changes
    return op_model(OP, [at["x"], at["w"], at["b"]], [at["y"]], options() | at["options"], version=4)


def graph_inputs(model: Model) -> list[Any]:
    graph = model.subgraphs[0]
    return [graph.tensors[t] for t in graph.inputs]


ONES = np.ones((3, 4), np.int8)
BOTH_REFUSE = {
    "bias of another length": {"b": const(np.zeros(4, np.int32), 0.25)},
    "bias of another dtype": {"b": const(np.zeros(3, np.float32))},
    "bias with another scale": {"b": const(np.zeros(3, np.int32), 0.2801)},
    "bias without a scale": {"b": const(np.zeros(3, np.int32))},
    "filter of rank 1": {"w": const(np.ones(4, np.int8), 0.5)},
    "filter of rank 3": {"w": const(np.ones((3, 4, 1), np.int8), 0.5)},
    "filter without a scale": {"w": const(ONES)},
    "two scales for three units": {"w": const(ONES, [0.5, 0.25])},
    "output of another dtype": {"y": tensor((2, 3), "float32")},
    "keep_num_dims with another depth": {
        "x": tensor((2, 2, 2), "int8", 0.5),
        "options": {"keep_num_dims": True},
    },
    "shuffled weights": {"options": {"weights_format": "SHUFFLED4x16INT8"}},
    "a fused activation": {"options": {"fused_activation_function": "TANH"}},
}
INT16 = tensor((2, 4), "int16", 0.5)
WE_REFUSE = {
    "int16 with a zero point": {"x": tensor((2, 4), "int16", 0.5, 1), "y": tensor((2, 3), "int16", 1.0)},
    "int16 with an int32 bias that is read as int64": {"x": INT16, "y": tensor((2, 3), "int16", 1.0)},
    "another bias than the option names": {
        "x": INT16,
        "y": tensor((2, 3), "int16", 1.0),
        "options": {"quantized_bias_type": "INT64"},
    },
    "an int4 filter with a zero point": {"w": tensor((3, 4), "int4", 0.5, 1, data=np.ones(6, np.uint8))},
    "an int4 filter computed at run time": {"w": tensor((3, 4), "int4", 0.5)},
    "scales along the depth": {"w": const(np.ones((3, 4), np.int8), [0.5] * 4, axis=1)},
    "a depth of 0": {"w": const(np.ones((3, 0), np.int8), 0.5)},
    "an output of uint8": {"y": tensor((2, 3), "uint8", 1.0, 128)},
    "a zero point outside the dtype": {"x": tensor((2, 4), "int8", 0.5, 128)},
    "an output scale of 0": {"y": tensor((2, 3), "int8", 0.0), "b": None},
}


@pytest.mark.parametrize("reason", BOTH_REFUSE)
def test_refused_by_both(reason: str) -> None:
    check_both_refuse(small(**BOTH_REFUSE[reason]))


@pytest.mark.parametrize("reason", WE_REFUSE)
def test_refused(reason: str) -> None:
    model = small(**WE_REFUSE[reason])
    inputs = [np.zeros(t.shape, t.dtype if t.dtype != "int4" else np.int8) for t in graph_inputs(model)]
    with pytest.raises(UnsupportedOperatorError):
        run_ours(model, inputs)


def test_refused_by_xnnpack() -> None:
    """XNNPACK does not decline these: it fails."""
    w = const(ONES, 1.0)
    for model in (
        small(x=tensor((2, 4), "int8", 256.0), w=w, b=None),
        small(x=tensor((1, 1, 1, 1, 1, 2, 4), "int8", 0.5), b=None),
        small(x=tensor((3, 3), "int8", 0.5), b=None),
    ):
        inputs = [np.zeros(model.subgraphs[0].tensors[0].shape, np.int8)]
        assert refusal(model, inputs, numerics="xnnpack")
        with pytest.raises(UnsupportedOperatorError, match="XNNPACK"):
            run_ours(model, inputs, "xnnpack")


@pytest.mark.parametrize("profile", ["optimized", "xnnpack"])
def test_float_sums_of_backends_with_an_order_of_their_own(profile: str) -> None:
    rng = np.random.default_rng(12)
    for activation in ACTIVATIONS:
        x, w, b = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((7, 50), (33, 50), (33,)))
        inputs = [tensor((7, 50), "float32"), const(w), const(b)]
        model = op_model(OP, inputs, [tensor((7, 33), "float32")], options(activation))
        check_within_bounds(model, [x], profile, rtol=1e-5, atol=1e-5)


def test_the_small_model_itself_runs_with_any_spelling_of_no_bias() -> None:
    x = [np.ones((2, 4), np.int8)]
    check(small(), x)
    check(small(b=None), x)
    inputs = [tensor((2, 4), "int8", 0.5), const(ONES, 0.5)]
    check(op_model(OP, inputs, [tensor((), "int8", 1.0)], options(), version=4), x)
