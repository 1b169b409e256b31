"""MEAN and SUM."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import reduce as kernels
from quantcore.kernels._core import KernelCall, Requant
from quantcore.numerics import SUMMED, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_scales
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.reduction import (
    FROM_FIRST,
    QUANTIZED,
    REDUCED,
    delegated_reduction,
    reduction_operands,
    starts_with_first,
)
from quantcore.ops.shared.requant import make_requant, type_bounds
from quantcore.ops.shared.version_rules import by_dtype


def mean_multiplier(multiplier: int, shift: int, elements: int) -> tuple[int, int]:
    """Divide a fixed-point multiplier by the number of elements.

    The quotient keeps its precision by a shift to the left, as far as the shift that remains allows
    (TFLite reference/reduce.h, QuantizedMeanOrSum).
    """
    left = min(elements.bit_length() - 1, 32, 31 + shift)
    return (multiplier << left) // elements, shift - left


def mean_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}`` (float64 division), not yet divided by the element count."""
    if node.output.dtype not in QUANTIZED:
        return {}
    with np.errstate(all="ignore"):
        return {"output": np.array([np.float64(node.input(0).scale) / np.float64(node.output.scale)])}


def mean_requant(node: Node, elements: int) -> Requant:
    """Return the requantization from a sum to the mean: double rounding, `elements` in the multiplier."""
    y = node.output
    (real,) = mean_multipliers(node)["output"]
    if not real < 2.0**31:
        raise node.refuse(f"the ratio of the scales is {real:g}; expected less than 2**31")
    multiplier, shift = quantize_multiplier(real)
    multiplier, shift = mean_multiplier(int(multiplier), int(shift), max(elements, 1))
    if shift > 31:
        raise node.refuse(f"the ratio of the scales is {real:g}; expected less than 2**31")
    low, high = type_bounds(y.dtype)
    return Requant(
        "double_rounding",
        multiplier,
        shift,
        output_offset=y.zero_point,
        activation_min=low,
        activation_max=high,
    )


def is_image_mean(node: Node) -> bool:
    """Whether TFLite's optimized kernel for means of whole images takes the operator.

    It wants ``keep_dims`` and the axes counted from the front.
    """
    axes = node.known_value(1).reshape(-1).tolist()
    return len(node.input(0).shape) == 4 and node.options["keep_dims"] and sorted(axes) == [1, 2]


def lower_image_mean(node: Node, axes: set[int], elements: int) -> KernelCall:
    """Lower the mean of whole images by the optimized kernel, which moves the zero points into one offset."""
    x, y = node.input(0), node.output
    f32 = np.float32
    with np.errstate(all="ignore"):
        shifted = f32(x.zero_point) * x.scale / y.scale
        real = x.scale / (f32(elements) * y.scale)
    if not (abs(shifted) < 2**31 - 512 and np.isfinite(real)):
        raise node.refuse(f"the scales are {x.scale} and {y.scale}; expected a ratio below 2**31")
    offset = y.zero_point - int(shifted + f32(0.5) if shifted > 0 else shifted - f32(0.5))
    channels = x.shape[3]
    requant = make_requant(node, np.array([real], np.float64), y, length=channels, offset=offset)
    return kernels.mean_call(
        x.dtype, shape=x.shape, axes=axes, input_zero_point=0, requant=requant, channels=max(channels, 1)
    )


def lower_scaled(node: Node, axes: set[int], scale: np.float32, bias: np.float32) -> KernelCall:
    """Lower a sum that is rescaled in float32; XNNPACK's saturates, and its bias holds the zero point."""
    x, y = node.input(0), node.output
    if not (np.isfinite(scale) and np.isfinite(bias)):
        raise node.refuse(f"the scales are {x.scale} and {y.scale}; expected a finite ratio")
    low, high = type_bounds(y.dtype)
    xnnpack = node.rule.form == "scaled"
    return kernels.scaled_sum_call(
        x.dtype,
        shape=x.shape,
        axes=axes,
        scale=scale,
        bias=bias,
        saturate=xnnpack,
        output_offset=0 if xnnpack else y.zero_point,
        lowest=low,
        highest=high,
    )


def xnnpack_scaling(node: Node, elements: int, divisor: int) -> tuple[np.float32, np.float32]:
    """Return scale and bias of XNNPACK's sums (`divisor` 1) and means (`divisor` is `elements`)."""
    x, y = node.input(0), node.output
    f32 = np.float32
    with np.errstate(all="ignore"):
        scale = x.scale / y.scale * (f32(1) / f32(divisor))
        return scale, f32(y.zero_point) - f32(elements * x.zero_point) * scale


def optimized_sum_scaling(node: Node, elements: int) -> tuple[np.float32, np.float32]:
    """Return scale and bias of the optimized kernel's sums, without the output's zero point."""
    x, y = node.input(0), node.output
    with np.errstate(all="ignore"):
        scale = x.scale / y.scale
        return scale, np.float32(-x.zero_point) * scale * np.float32(elements)


@operator(
    "MEAN",
    dtypes=REDUCED,
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    rules={
        "optimized": {
            "float32": SUMMED,
            "int8, uint8": Rule("ruy", "float32", form="image", block=16),
            "int16, int32, int64": Rule(),
        },
        "xnnpack": {"float32": SUMMED, "int8, uint8": Rule(form="scaled")},
        "tflm": {"float32, int8, int16": Rule()},
    },
    multipliers=mean_multipliers,
    xnnpack=delegated_reduction,
    quantization=OWN_SCALE,
)
def lower_mean(node: Node) -> KernelCall:
    """Lower MEAN; the axes must be known before running."""
    dtype, axes = reduction_operands(node)
    x = node.input(0)
    if dtype not in QUANTIZED:
        first = node.rule.form in FROM_FIRST
        return kernels.mean_plain_call(dtype, shape=x.shape, axes=axes, from_first=first)
    check_scales(node, x, node.output)
    elements = math.prod(x.shape[d] for d in axes)
    if x.count and node.rule.form == "image" and is_image_mean(node):
        return lower_image_mean(node, axes, elements)
    if x.count and node.rule.form == "scaled":
        return lower_scaled(node, axes, *xnnpack_scaling(node, elements, elements))
    return kernels.mean_call(
        dtype, shape=x.shape, axes=axes, input_zero_point=x.zero_point, requant=mean_requant(node, elements)
    )


@operator(
    "SUM",
    dtypes=REDUCED,
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    rules={
        "reference": {"float32": Rule(form="whole"), "int8, int16": Rule(form="bytes")},
        "optimized": {
            "float32": Rule(form="first"),
            "int8, uint8, int16": Rule(form="scaled_sum"),
            "int32, int64": Rule(),
        },
        "xnnpack": {"float32": SUMMED, "int8, uint8": Rule(form="scaled")},
        "tflm": {"float32, int8, int16": Rule()},
    },
    multipliers=mean_multipliers,
    xnnpack=delegated_reduction,
    quantization=replace(OWN_SCALE, same_scale_int16="output"),
)
def lower_sum(node: Node) -> KernelCall:
    """Lower SUM; the axes must be known before running."""
    dtype, axes = reduction_operands(node)
    x, y = node.input(0), node.output
    if dtype not in QUANTIZED:
        first = starts_with_first(node, axes)
        return kernels.reduce_call(dtype, "sum", shape=x.shape, axes=axes, from_first=first)
    check_scales(node, x, y)
    if not x.count:
        raise node.refuse(f"input has shape {x.shape}; TFLite leaves a quantized sum of nothing undefined")
    elements = math.prod(x.shape[d] for d in axes)
    form = node.rule.form
    if form == "scaled":
        return lower_scaled(node, axes, *xnnpack_scaling(node, elements, 1))
    if form == "scaled_sum":
        return lower_scaled(node, axes, *optimized_sum_scaling(node, elements))
    if form == "bytes" and dtype == "int16":
        raise node.refuse("TFLite's reference kernel takes int16 for bytes, and writes half of the output")
    # its bytes are taken for uint8
    stored = replace(y, tensor=replace(y.tensor, dtype="uint8")) if form == "bytes" else y
    return kernels.mean_call(
        stored.dtype,
        shape=x.shape,
        axes=axes,
        input_zero_point=x.zero_point,
        requant=make_requant(node, mean_multipliers(node)["output"], stored),
    )
