"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.kernels import depthwise_conv as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.conv_shape import ConvShape
from quantcore.numerics import FLOAT32_STORE, FLOAT_PRODUCT, INT16_MULTIPLIER, SUMMED, Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.convolution import (
    CONVOLUTION_FORMS,
    accumulator_bound,
    check_bias,
    check_bias_option,
    check_bias_scale,
    check_hybrid,
    check_quantization,
    check_symmetric_filter,
    conv_shape,
    delegated_convolution,
    filter_codes,
    output_multipliers,
    product_operands,
)
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import float_bounds, fused_activation, make_requant
from quantcore.ops.shared.version_rules import CONVOLUTION_VERSIONS, dtype_of, is_hybrid, per_channel
from quantcore.ops.shared.xnnpack import check_requantization_scale


def depthwise_macs(node: Node) -> int:
    """Return the multiply-accumulates: one filter plane per output element."""
    return int(np.prod(node.output.shape, dtype=np.int64) * np.prod(node.input(1).shape[1:3], dtype=np.int64))


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the node."""
    multiplier = node.options["depth_multiplier"]
    return delegated_convolution(node, 3) and multiplier > 0 and node.input(1).shape[3] % multiplier == 0


def check_profile_limits(node: Node, shape: ConvShape, bias: Operand | None) -> None:
    """Refuse what the backend of a profile computes wrongly or crashes on, unlike the reference kernels."""
    if bias is None and node.profile.name in ("optimized", "xnnpack"):
        raise node.refuse("there is no bias; expected one, without which TFLite's optimized kernels crash")
    if node.delegated or node.profile.micro:
        check_multiplier(node, shape)
    w = node.input(1)
    if node.delegated and w.dtype == "int8":
        check_symmetric_filter(node, w)  # XNNPACK takes other zero points, and then fails


def check_multiplier(node: Node, shape: ConvShape) -> None:
    """Refuse an option depth_multiplier that the shapes do not have, where the backend goes by the option."""
    multiplier, expected = node.options["depth_multiplier"], shape.output_channels // shape.input_channels
    if multiplier != expected:
        raise node.refuse(
            f"depth_multiplier is {multiplier} for {shape.input_channels} input and {shape.output_channels} "
            f"output channels; expected {expected}"
        )


def lower_hybrid(node: Node, shape: ConvShape) -> KernelCall:
    """Lower the hybrid form, which takes the depth multiplier from the options."""
    channels, w = shape.output_channels, node.input(1)
    check_hybrid(node, w, shape, axes=(3, 2, 1, 0))
    if w.scales.size != channels:
        raise node.refuse(
            f"float32 input, int8 filter with one scale for {channels} channels; expected a scale per "
            "channel (TFLite reads past the scale)"
        )
    check_multiplier(node, shape)
    low, high = float_bounds(node)
    return kernels.depthwise_conv_hybrid_call(
        shape,
        filter=w.value,
        filter_scale=w.scales,
        activation_min=low,
        activation_max=high,
        form=node.rule.form or "reference",
    )


def constants(w: Operand, bias: Operand | None) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return filter and bias where both are known (a bias that is left out is)."""
    value, filter = None if bias is None else bias.value, filter_codes(w)
    return None if filter is None or (bias is not None and value is None) else (filter, value)


def depthwise_conv_2d_version(node: Node) -> int:
    """Return the version of DEPTHWISE_CONV_2D: 2 for dilation in float32."""
    if is_hybrid(node):
        return 6 if per_channel(node.input(1), 3) else 4
    dilated = any(node.options[f"dilation_{side}_factor"] != 1 for side in "wh")
    return CONVOLUTION_VERSIONS.get((dtype_of(node, 0), dtype_of(node, 1)), 2 if dilated else 1)


@operator(
    "DEPTHWISE_CONV_2D",
    dtypes=("int8", "uint8", "int16", "float32", "hybrid"),
    max_version=7,
    registered={"BUILTIN_REF": 6},
    version=depthwise_conv_2d_version,
    int16x8_version=3,
    rules={
        "reference": {"uint8": FLOAT_PRODUCT, "int16": INT16_MULTIPLIER},
        "optimized": {
            "float32": SUMMED,
            "hybrid": Rule(form="optimized"),
            "int8": Rule("ruy", block=8),
            "uint8": FLOAT_PRODUCT,
            "int16": INT16_MULTIPLIER,
        },
        "xnnpack": {"float32": SUMMED, "int8, uint8": FLOAT32_STORE},
        "tflm": {"float32, int8": Rule(), "int16": INT16_MULTIPLIER},
        "calibration": {"float32": Rule(form="fused")},
    },
    macs=depthwise_macs,
    multipliers=output_multipliers,
    xnnpack=delegated,
    takes_padding=True,
    quantization=replace(
        OWN_SCALE, weights={1: 3}, four_bit_weights={1: 3}, bias=(2, 0, 1), dynamic_weights={1: 3}
    ),
)
def lower_depthwise_conv_2d(node: Node) -> KernelCall:
    """Lower DEPTHWISE_CONV_2D; the depth multiplier follows from the shapes, as in TFLite."""
    form, x, w, bias = product_operands(node, CONVOLUTION_FORMS)
    if form == "int16":
        form = "int16_wide"
    y = node.output
    channels = w.shape[-1] if w.shape else 0
    shape = conv_shape(node, channels)
    if w.shape[0] != 1 or channels % shape.input_channels != 0:
        raise node.refuse(
            f"filter has shape {w.shape}, the input {shape.input_channels} channels; expected (1, height, "
            "width, channels) with a multiple of the input's channels"
        )
    check_bias(node, bias, form, channels)
    check_profile_limits(node, shape, bias)
    y.shape = (shape.batches, shape.output_height, shape.output_width, channels)
    if form == "float32":
        low, high = float_bounds(node)
        fused = node.rule.form == "fused"
        return kernels.depthwise_conv_f32_call(shape, activation_min=low, activation_max=high, fused=fused)
    if form == "hybrid":
        return lower_hybrid(node, shape)
    check_quantization(node, x, w, channels, axes=(3, 2, 1, 0))
    if form == "uint8":
        check_bias_scale(node, x, w, bias)
    if x.dtype == "int16" and not node.profile.micro:
        check_bias_option(node, bias)
    multiplier = output_multipliers(node)["output"]
    check_requantization_scale(node, multiplier)
    # An int8 filter's zero point, which should be 0, is ignored by TFLite.
    filter_offset = -w.zero_point if form == "uint8" else 0
    return kernels.depthwise_conv_call(
        form,
        shape,
        constants=constants(w, bias),
        four_bits=w.dtype == "int4",
        input_offset=-x.zero_point,
        filter_offset=filter_offset,
        sum_bound=accumulator_bound(x, w, bias, axis=3, filter_offset=filter_offset),
        requant=make_requant(node, multiplier, y, fused_activation(node), length=channels),
    )
