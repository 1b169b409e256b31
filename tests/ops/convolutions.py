"""What the tests of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: forms, data, instruction sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from quantcore.verification.rules import inexact, make_node
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    assert_same_bits,
    bias_scale,
    check,
    check_samples,
    const,
    op_model,
    packed,
    random_floats,
    random_scale,
    random_values,
    refusal,
    run_ours,
    tensor,
    with_shapes,
)

# form: dtypes of input and filter, scale of the filter
FORMS = ("int8", "int8 per tensor", "uint8", "float32", "hybrid", "hybrid per tensor")
# int16 activations, by the dtype of the sum: CONV_2D has both, DEPTHWISE_CONV_2D the first
INT16_FORMS = ("int16", "int16 int32_bias")
# forms of the convolutions by profile
FORMS_OF = {
    "reference": FORMS + INT16_FORMS,
    "optimized": FORMS + INT16_FORMS,
    "xnnpack": FORMS + INT16_FORMS,
    "tflm": ("int8", "int8 per tensor", "float32", *INT16_FORMS),
}
PAIRS = [(numerics, form) for numerics, forms in FORMS_OF.items() for form in forms]
INTEGER_PAIRS = [(numerics, form) for numerics, form in PAIRS if form.split()[0] in ("int8", "uint8")]
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
# zero points of input, filter and output, see `build`
ZERO_POINTS = [(127, -128, -128), (0, 0, 0), (-128, -128, -128), (127, 127, 127), (-128, 127, 127)]
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
VERSION = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 9}
# size, filter size, stride, dilation, each (height, width); padding
GEOMETRIES: list[tuple[Any, Any, Any, Any, str]] = [
    ((5, 6), (3, 3), (1, 1), (1, 1), "SAME"),
    ((5, 6), (3, 3), (1, 1), (1, 1), "VALID"),
    ((9, 8), (3, 2), (2, 2), (1, 1), "SAME"),
    ((9, 8), (2, 3), (3, 2), (1, 1), "VALID"),
    ((7, 7), (1, 1), (1, 1), (1, 1), "VALID"),
    ((7, 6), (1, 1), (2, 3), (1, 1), "SAME"),
    ((8, 9), (3, 3), (1, 1), (2, 3), "SAME"),
    ((8, 9), (3, 2), (2, 1), (3, 2), "VALID"),
    ((4, 4), (5, 7), (1, 1), (1, 1), "SAME"),  # larger than the image
    ((4, 3), (4, 3), (1, 1), (1, 1), "VALID"),  # exactly the image
    ((1, 20), (1, 5), (1, 2), (1, 1), "SAME"),
    ((20, 1), (7, 1), (3, 1), (2, 1), "SAME"),
    ((3, 3), (2, 2), (5, 5), (1, 1), "SAME"),  # strides beyond the image
    ((12, 11), (4, 4), (2, 2), (1, 1), "SAME"),
]


def check_first(
    model: Model, samples: Sequence[Sequence[np.ndarray]], numerics: str = "reference"
) -> list[np.ndarray]:
    """Compare with the oracle; return the first output of each sample.

    Float sums whose order the backend does not define are compared within what two orders can differ by.
    """
    if numerics in ("xnnpack", "tflm"):
        model = with_shapes(model, samples[0])
    if inexact(make_node(model, 0, 0, {}, numerics)) is not None:
        return [check_sum(model, given, numerics) for given in samples]
    expected = check_samples(model, samples, numerics=numerics)
    return [outputs[0] for outputs in expected]


def check_sum(model: Model, given: Sequence[np.ndarray], numerics: str) -> np.ndarray:
    """Compare a float operator within what two orders of summation can differ by; return the output.

    Inputs are bounded, so that no order overflows; subnormal products lose more than the bound allows for.
    """
    given = [np.clip(v, -1e4, 1e4) for v in given]
    return check_within_bounds(model, given, numerics)[0]


def check_batches(model: Model, rng: np.random.Generator) -> None:
    """Run two images together and one after the other."""
    (x,) = sample(model, rng)
    one_by_one = np.concatenate([run_ours(model, [v])[0] for v in (x, x[:, ::-1].copy())])
    (together,) = run_ours(model, [np.concatenate([x, x[:, ::-1]])])
    assert_same_bits(together, one_by_one)


def check_page(
    page: dict[str, Any], name: str, model: Model, x: np.ndarray, form: str, **geometry: Any
) -> None:
    """Compare the function `name` of a page with the oracle, in every profile that has a rule of its own."""
    (y,) = check(model, [x])
    t = model.subgraphs[0].tensors
    if form == "float32":
        assert_same_bits(page[f"{name}_float32"](x, t[1].data, t[2].data, **geometry), y)
        return
    q: Any = [v.quantization for v in t]
    scales, zero_points = [v.scale for v in q], [int(v.zero_point[0]) for v in q]
    for numerics, of_dtype in INTEGER_PAIRS:
        if of_dtype == form:
            (y,) = check(model, [x], numerics=numerics)
            ours = page[name](x, t[1].data, t[2].data, scales, zero_points, **geometry, profile=numerics)
            assert_same_bits(ours, y, f"page, {numerics}")


def check_both_refuse(model: Model) -> None:
    """Assert that the oracle refuses a model that reads one tensor, and we do."""
    x = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    inputs = [np.zeros(x.shape, x.dtype)]
    assert refusal(model, inputs)
    with pytest.raises(UnsupportedOperatorError):
        run_ours(model, inputs)


def conv_options(stride: Any, dilation: Any, padding: str, activation: str = "NONE") -> dict[str, Any]:
    """Return the options that both convolutions have."""
    return {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "fused_activation_function": activation,
    }


PLAIN = conv_options((1, 1), (1, 1), "SAME")


def build(
    op: str,
    form: str,
    input_shape: Sequence[int],
    filter_shape: Sequence[int],
    options: dict[str, Any],
    *,
    rng: np.random.Generator,
    zero_points: tuple[int, int, int] | None = None,
    bias: Any = True,
    constant_filter: bool = True,
    low: int = -127,
) -> Model:
    """Return a model of one operator with random data, whose outputs use the whole range of the dtype.

    Parameters
    ----------
    zero_points : (int, int, int), optional
        Of input, filter (uint8 only) and output, as if all were int8; random by default.
    bias : bool or ndarray
        Whether there is one; or its value.
    constant_filter : bool
        False makes the filter a second input of the model.
    low : int
        Smallest element of an int8 filter.
    """
    channels = filter_shape[CHANNEL_AXIS[op]]
    dtype = form.split()[0]
    z = zero_points or tuple(int(v) for v in rng.integers(-128, 128, 3))
    if form in INT16_FORMS:
        z = (0, 0, 0)
    if form == "int16 int32_bias":
        options = options | {"quantized_bias_type": "INT32"}
    x, w, y = _operands(op, form, input_shape, filter_shape, z, rng, low)
    inputs: list[Tensor | None] = [x, w]
    if bias is not False:
        value = rng.integers(-3000, 3000, channels).astype(np.int32) if bias is True else bias
        if dtype in ("float32", "hybrid"):
            inputs.append(const(random_floats(rng, (channels,)) if bias is True else bias))
        else:
            inputs.append(const(value.astype("int64" if form == "int16" else "int32"), bias_scale(x, w)))
    if not constant_filter:
        w.data = None
    return op_model(op, inputs, [y], options, version=VERSION[op])


def _operands(
    op: str, form: str, input_shape: Any, filter_shape: Any, z: Any, rng: np.random.Generator, low: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return input, filter and output."""
    axis = CHANNEL_AXIS[op]
    channels = filter_shape[axis]
    if form == "float32":
        return tensor(input_shape, "float32"), const(random_floats(rng, filter_shape)), tensor((), "float32")
    several = None if form in ("int8 per tensor", "uint8", "hybrid per tensor") else channels
    scales = random_scale(rng, size=several)
    if form == "uint8":
        filter_data, zero_point = random_values(rng, filter_shape, "uint8"), z[1] + 128
    else:
        filter_data, zero_point = random_values(rng, filter_shape, "int8", low=low), 0
    w = const(filter_data, scales, zero_point, axis=0 if several is None else axis)
    if form.startswith("hybrid"):
        return tensor(input_shape, "float32"), w, tensor((), "float32")
    shift = 128 if form == "uint8" else 0
    dtype = form.split()[0]
    input_scale = random_scale(rng)
    terms = np.prod(filter_shape) / channels
    largest = 75 * 256 if dtype == "int16" else 75
    spread = np.sqrt(terms) * largest * 75 * float(input_scale) * float(np.median(scales))
    output_scale = np.float32(spread / rng.uniform(40, 120) / (256 if dtype == "int16" else 1))
    return (
        tensor(input_shape, dtype, input_scale, z[0] + shift),
        w,
        tensor((), dtype, output_scale, z[2] + shift),
    )


def with_four_bits(model: Model) -> Model:
    """Make the constant int8 filter of a model an int4 one of about the same real values."""
    w = model.subgraphs[0].tensors[1]
    assert w.data is not None
    assert w.quantization is not None
    w.dtype, w.data = "int4", packed(w.data >> 4)
    w.quantization = replace(w.quantization, scale=w.quantization.scale * np.float32(16))
    return model


def sample(model: Model, rng: np.random.Generator, **bounds: Any) -> list[np.ndarray]:
    """Return random values for the inputs of a model."""
    tensors = [model.subgraphs[0].tensors[t] for t in model.subgraphs[0].inputs]
    return [random_values(rng, t.shape, t.dtype, **bounds) for t in tensors]


def boundary_sums(rng: np.random.Generator, multipliers: np.ndarray) -> np.ndarray:
    """Return int32 accumulators at, or next to, the places where the output steps up for each multiplier."""
    steps = rng.integers(-300, 300, multipliers.size) + 0.5
    places = np.round(steps / multipliers) + rng.integers(-2, 3, multipliers.size)
    return np.clip(places, -(2**31), 2**31 - 1).astype(np.int64).astype(np.int32)
