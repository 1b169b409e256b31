"""CONV_2D."""

from __future__ import annotations

from dataclasses import replace

from quantcore.kernels import conv as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels._fully_connected import fully_connected_hybrid_call
from quantcore.kernels.conv_shape import ConvShape
from quantcore.numerics import FLOAT32_STORE, FLOAT_PRODUCT, INT16_MULTIPLIER, SUMMED, Rule
from quantcore.ops.node import Node
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
    filter_macs,
    may_contain_minimum,
    output_multipliers,
    product_operands,
)
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import float_bounds, fused_activation, make_requant, open_float_bounds
from quantcore.ops.shared.version_rules import (
    CONVOLUTION_VERSIONS,
    dtype_of,
    has_bias_type,
    is_hybrid,
    per_channel,
)
from quantcore.ops.shared.xnnpack import check_requantization_scale


def conv_groups(node: Node) -> int:
    """Return the number of groups: the input's channels over those of the filter."""
    channels, filters, depth = node.input(0).shape[3], node.input(1).shape[0], node.input(1).shape[3]
    if channels % depth != 0 or filters % (channels // depth) != 0:
        raise node.refuse(
            f"input has {channels} channels, the filter takes {depth} and makes {filters}; expected the "
            "first to be a multiple of the second, and the third of their quotient (the number of groups)"
        )
    return channels // depth


def conv_variant(node: Node) -> str:
    """Return ``grouped``, ``int32_bias`` (of int16), both, or "".

    TFLite's optimized code does not group, and int16 activations have int64 sums by default.
    """
    x, w, bias = node.input(0), node.input(1), node.optional_input(2)
    narrow = x.dtype == "int16" and bias is not None and bias.dtype == "int32"
    grouped = x.shape[-1:] != w.shape[-1:]
    return "_".join(("int32_bias",) * narrow + ("grouped",) * grouped)


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the node."""
    return delegated_convolution(node, 0)


def is_fully_connected(shape: ConvShape, groups: int) -> bool:
    """Whether XNNPACK makes a FULLY_CONNECTED of the convolution, whose rows are the pixels."""
    ones = (shape.filter_height, shape.filter_width, shape.stride_height, shape.stride_width, groups)
    return set(ones) == {1} and shape.input_channels + shape.output_channels > 2


def lower_hybrid(node: Node, shape: ConvShape, groups: int) -> KernelCall:
    """Lower the hybrid form."""
    w = node.input(1)
    check_hybrid(node, w, shape, axes=(0, 1, 2, 3))
    if node.profile.fallback is not None and w.scales.size > 1:
        check_symmetric_filter(node, w)  # XNNPACK neither takes nor declines other zero points: it fails
    if node.rule.form == "fma":
        return lower_hybrid_fma(node, shape, groups)
    scales = w.scales
    if (scales == scales[0]).all():  # they count as one, as in TFLite
        scales = scales[:1]
        if groups != 1:
            raise node.refuse(
                f"float32 input, int8 filter with one scale and {groups} groups; expected a scale per "
                "channel (TFLite reads past the scale)"
            )
    low, high = float_bounds(node)
    return kernels.conv_hybrid_call(
        shape,
        filter=w.value,
        groups=groups,
        sign_overflow=may_contain_minimum(w),
        filter_scale=scales,
        activation_min=low,
        activation_max=high,
        form=node.rule.form or "reference",
    )


def lower_hybrid_fma(node: Node, shape: ConvShape, groups: int) -> KernelCall:
    """Lower the hybrid form as XNNPACK has it: images are quantized, or pixels where they are rows."""
    low, high = open_float_bounds(node)
    common = {
        "filter_scale": node.input(1).scales,
        "sign_overflow": False,
        "activation_min": low,
        "activation_max": high,
    }
    if is_fully_connected(shape, groups):
        return fully_connected_hybrid_call(
            batches=shape.batches * shape.input_height * shape.input_width,
            depth=shape.input_channels,
            units=shape.output_channels,
            asymmetric=True,
            fma=True,
            **common,
        )
    return kernels.conv_hybrid_call(shape, groups=groups, form="fma", **common)


def conv_2d_version(node: Node) -> int:
    """Return the version of CONV_2D: 6 for groups, 5 and 2 for hybrid with and without channels."""
    x, weights = node.input(0), node.input(1)
    if has_bias_type(node):
        return 8
    if x.shape and x.shape[-1] != weights.shape[-1]:
        return 6
    if is_hybrid(node):
        return 5 if per_channel(weights, 0) else 2
    return CONVOLUTION_VERSIONS.get((dtype_of(node, 0), dtype_of(node, 1)), 1)


@operator(
    "CONV_2D",
    dtypes=("int8", "uint8", "int16", "float32", "hybrid"),
    max_version=8,
    version=conv_2d_version,
    int16x8_version=3,
    rules={
        "reference": {
            "uint8": FLOAT_PRODUCT,
            "int16": INT16_MULTIPLIER,
            "int16 int32_bias, int16 int32_bias_grouped": Rule(),
        },
        "optimized": {
            "float32": SUMMED,
            "float32 grouped, hybrid grouped, int8 grouped, int16 int32_bias_grouped": Rule(),
            "hybrid": Rule(form="optimized"),
            "int8, int16 int32_bias": Rule("ruy"),
            "uint8": Rule("ruy", "float_product"),
            "uint8 grouped": FLOAT_PRODUCT,
            "int16": INT16_MULTIPLIER,
        },
        "xnnpack": {"float32": SUMMED, "hybrid": Rule(form="fma"), "int8, uint8": FLOAT32_STORE},
        "tflm": {
            "float32, int8, int16 int32_bias, int16 int32_bias_grouped": Rule(),
            "int16": INT16_MULTIPLIER,
        },
        "calibration": {"float32": Rule(form="fused")},
    },
    macs=filter_macs,
    multipliers=output_multipliers,
    xnnpack=delegated,
    takes_padding=True,
    variant=conv_variant,
    quantization=replace(
        OWN_SCALE, weights={1: 0}, four_bit_weights={1: 0}, bias=(2, 0, 1), dynamic_weights={1: 0}
    ),
)
def lower_conv_2d(node: Node) -> KernelCall:
    """Lower CONV_2D: one filter per output channel, of ``shape[0]`` of the filter."""
    form, x, w, bias = product_operands(node, CONVOLUTION_FORMS)
    if form == "int16" and node.rule.rounding == "int16_multiplier":
        form = "int16_wide"
    y = node.output
    shape = conv_shape(node, w.shape[0] if w.shape else 0)
    groups = conv_groups(node)
    check_bias(node, bias, form, shape.output_channels)
    if bias is None and (not node.profile.micro or x.dtype == "int16"):
        raise node.refuse("there is no bias; expected one")
    y.shape = (shape.batches, shape.output_height, shape.output_width, shape.output_channels)
    if form == "float32":
        low, high = float_bounds(node)
        return kernels.conv_f32_call(
            shape,
            filter=w.value,
            groups=groups,
            activation_min=low,
            activation_max=high,
            fused=node.rule.form == "fused",
        )
    if form == "hybrid":
        return lower_hybrid(node, shape, groups)
    check_quantization(node, x, w, shape.output_channels, axes=(0, 1, 2, 3))
    if form == "uint8":
        check_bias_scale(node, x, w, bias)
    else:
        check_symmetric_filter(node, w)
    if x.dtype == "int16" and not node.profile.micro:
        check_bias_option(node, bias)
    multiplier = output_multipliers(node)["output"]
    check_requantization_scale(node, multiplier)
    return kernels.conv_call(
        form,
        shape,
        filter=filter_codes(w),
        four_bits=w.dtype == "int4",
        groups=groups,
        input_offset=-x.zero_point,
        filter_offset=-w.zero_point,
        sum_bound=accumulator_bound(x, w, bias, axis=0, filter_offset=-w.zero_point),
        requant=make_requant(node, multiplier, y, fused_activation(node)),
    )
