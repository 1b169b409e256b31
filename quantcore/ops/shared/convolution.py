"""What convolutions and FULLY_CONNECTED have in common: dtypes, scales, zero points, bias, geometry.

Sources: TFLite ``kernels/conv.cc``, ``depthwise_conv.cc``, ``fully_connected.cc`` (Prepare) and
``kernels/kernel_util.cc`` (PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantcore.flatbuffer.constants import unpacked_int4
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.padding import Window
from quantcore.kernels.sum_bound import sum_bound
from quantcore.ops.node import Node, Operand
from quantcore.ops.shared.operands import check_operands, check_scales, check_zero_points
from quantcore.ops.shared.requant import FLOAT_BOUNDS, fused_activation, product_multiplier
from quantcore.ops.shared.windows import window_geometry
from quantcore.ops.shared.xnnpack import VALUES, delegable, delegable_bias, delegable_filter

__all__ = [
    "CONVOLUTION_FORMS",
    "FORMS",
    "accumulator_bound",
    "bias_type",
    "check_bias",
    "check_bias_option",
    "check_bias_scale",
    "check_filter_scales",
    "check_hybrid",
    "check_packed_filter",
    "check_quantization",
    "check_symmetric_filter",
    "conv_shape",
    "delegated_convolution",
    "filter_macs",
    "may_contain_minimum",
    "output_multipliers",
    "product_operands",
]

_QUANTIZED = ("int8", "uint8", "int16", "int16_wide")

_BIAS_DTYPE = {
    "int8": "int32",
    "uint8": "int32",
    "int16": "int32",
    "int16_wide": "int64",
    "float32": "float32",
    "hybrid": "float32",
}


# form by the dtypes of input and filter
FORMS = {
    ("int8", "int8"): "int8",
    ("uint8", "uint8"): "uint8",
    ("float32", "float32"): "float32",
    ("float32", "int8"): "hybrid",
}


# those of the convolutions
CONVOLUTION_FORMS = {**FORMS, ("int16", "int8"): "int16", ("int8", "int4"): "int8"}


def product_operands(
    node: Node, forms: Mapping[tuple[str, str], str] = FORMS, *, x: int = 0, bias: int = 2
) -> tuple[str, Operand, Operand, Operand | None]:
    """Return ``(form, input, filter, bias)``: the form by the dtypes of input and filter.

    The filter is the second operand, the bias the last and optional; `x` and `bias` are the positions of the
    others. The output has the dtype of the input.

    Raises
    ------
    UnsupportedOperatorError
        For other combinations of dtypes.
    """
    check_operands(node, (bias, bias + 1))
    given, w, y = node.input(x), node.input(1), node.output
    form = forms.get((given.dtype, w.dtype))
    if form is None or y.dtype != given.dtype:
        known = ", ".join(f"{a} with {b}" for a, b in forms)
        raise node.refuse(
            f"input, filter and output have dtypes {given.dtype}, {w.dtype} and {y.dtype}; supported inputs "
            f"and filters: {known}, and the input's dtype for the output"
        )
    if w.tensor.sparsity is not None:
        raise node.refuse("the filter is stored sparse; only dense filters are supported")
    return form, given, w, node.optional_input(bias)


def check_bias(
    node: Node, bias: Operand | None, form: str, channels: int, *, any_zero_point: bool = False
) -> None:
    """Refuse a bias, where there is one, of another dtype, length or zero point than the form takes."""
    if bias is None:
        return
    if bias.dtype != _BIAS_DTYPE[form]:
        raise node.refuse(f"bias has dtype {bias.dtype}; expected {_BIAS_DTYPE[form]}")
    if bias.count != channels:
        raise node.refuse(f"bias has {bias.count} elements; expected one per output channel, {channels}")
    if form in _QUANTIZED and not any_zero_point and bias.zero_point != 0:
        raise node.refuse(f"bias has zero point {bias.zero_point}; expected 0")


def check_bias_option(node: Node, bias: Operand | None) -> None:
    """Refuse a bias of int16 activations that TFLite does not take for what it is."""
    named = bias_type(node)
    if bias is not None and (named == "INT32") != (bias.dtype == "int32"):
        raise node.refuse(
            f"bias has dtype {bias.dtype}, but the option quantized_bias_type is {named}; expected INT32 for "
            "int32 alone"
        )


def bias_type(node: Node) -> str:
    """Return the option that names the dtype of the bias; FLOAT32 says nothing."""
    return str(node.options.get("quantized_bias_type", "FLOAT32"))  # DEPTHWISE_CONV_2D has none


def check_quantization(node: Node, x: Operand, w: Operand, channels: int, *, axes: tuple[int, ...]) -> None:
    """Check scales and zero points of a quantized form.

    Parameters
    ----------
    x, w : Operand
        Input and filter.
    channels : int
        Output channels.
    axes : tuple of int
        Axes of the filter that may carry the scales.
    """
    check_scales(node, x, node.output)
    if w.dtype == "int4":
        check_packed_filter(node, w)
    else:
        check_zero_points(node, w)
    check_filter_scales(node, w, channels, axes=axes)
    if x.dtype == "int16":
        check_symmetric_filter(node, w)


def check_hybrid(node: Node, w: Operand, shape: ConvShape, *, axes: tuple[int, ...]) -> None:
    """Check a hybrid convolution: the scales of the filter, and that there is an image to take a range of."""
    check_filter_scales(node, w, shape.output_channels, axes=axes)
    if shape.batches == 0:
        raise node.refuse("the batch is empty; the hybrid form needs at least one image")


def check_filter_scales(node: Node, w: Operand, channels: int, *, axes: tuple[int, ...]) -> None:
    """Check the filter's scales: one, or one per output channel along an axis of that length."""
    if w.scales.size not in (1, channels):
        raise node.refuse(f"filter has {w.scales.size} scales; expected 1, or one per channel, {channels}")
    if not (np.isfinite(w.scales).all() and (w.scales >= 0).all()):
        raise node.refuse(
            f"filter has scales from {w.scales.min()} to {w.scales.max()}; expected finite ones, at least 0"
        )
    if w.scales.size > 1:
        if w.dtype == "uint8":
            raise node.refuse("filter is uint8 with a scale per channel; expected one scale")
        axis = w.tensor.quantization.quantized_dimension if w.tensor.quantization is not None else 0
        if axis not in axes or w.shape[axis] != channels:
            raise node.refuse(
                f"filter of shape {w.shape} has its scales along axis {axis}; expected axis {axes[0]}"
            )


def check_packed_filter(node: Node, w: Operand) -> None:
    """Refuse a filter of 4 bits that is computed at run time, or has a zero point other than 0."""
    if w.value is None:
        raise node.refuse("the int4 filter is computed at run time; expected a constant")
    check_symmetric_filter(node, w)


def check_symmetric_filter(node: Node, w: Operand) -> None:
    """Refuse a filter with a zero point other than 0."""
    quantization = w.tensor.quantization
    if quantization is not None and np.any(quantization.zero_point != 0):
        raise node.refuse(f"{w.dtype} filter has zero points {quantization.zero_point}; expected 0")


def check_bias_scale(node: Node, x: Operand, w: Operand, bias: Operand | None) -> None:
    """Refuse a bias whose scale is not ``input scale * filter scale``, as TFLite does for one filter scale.

    The difference may be 0.02 of the output scale. A bias without a scale counts as 0.
    """
    if bias is None:
        return
    product = float(x.scale) * float(w.scale)
    scale = float(bias.scale) if bias.quantized else 0.0
    if not abs(product - scale) / float(node.output.scale) <= 0.02:
        raise node.refuse(
            f"bias has scale {scale:g}; expected input scale times filter scale, {product:g}, within 0.02 of "
            f"the output scale {float(node.output.scale):g}"
        )


def may_contain_minimum(filter_operand: Operand) -> bool:
    """Return whether an int8 filter has, or may get at run time, an element of -128."""
    value = filter_operand.value
    return value is None or bool((value == -128).any())


def filter_macs(node: Node) -> int:
    """Return the multiply-accumulates: one filter per output element."""
    return int(np.prod(node.output.shape, dtype=np.int64) * np.prod(node.input(1).shape[1:], dtype=np.int64))


def output_multipliers(node: Node, x: int = 0) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input * s_filter / s_output}`` of the quantized forms, else nothing.

    `x` is the position of the input.
    """
    given = node.input(x)
    if given.dtype not in _QUANTIZED:
        return {}
    return {"output": product_multiplier(node, given.scale, node.input(1).scales, node.output.scale)}


def filter_codes(w: Operand) -> np.ndarray | None:
    """Return the elements of a constant filter, those of int4 one in an int8, or None."""
    if w.value is None or w.dtype != "int4":
        return w.value
    return unpacked_int4(w.value.reshape(-1), w.shape)


def accumulator_bound(
    x: Operand, w: Operand, bias: Operand | None, *, axis: int, filter_offset: int
) -> int | None:
    """Return what the accumulators do not exceed, or None where that is not known before running.

    Parameters
    ----------
    axis : int
        That of the filter with the output channels.
    filter_offset : int
        What is added to the elements of the filter.
    """
    if bias is not None and bias.value is None:
        return None
    known = None if bias is None else bias.value
    return sum_bound(
        x.dtype, filter_codes(w), known, axis=axis, input_offset=-x.zero_point, filter_offset=filter_offset
    )


def conv_shape(node: Node, output_channels: int) -> ConvShape:
    """Return the geometry of a two-dimensional convolution by its options and shapes.

    Raises
    ------
    UnsupportedOperatorError
        Where a rank, a size, a stride or a dilation is unusable.
    """
    x, w = node.input(0), node.input(1)
    if len(x.shape) != 4 or len(w.shape) != 4:
        raise node.refuse(f"input and filter have shapes {x.shape} and {w.shape}; expected rank 4")
    if min(x.shape[1:]) < 1 or min(w.shape) < 1 or output_channels < 1:
        raise node.refuse(f"input and filter have shapes {x.shape} and {w.shape}; expected no zero")
    dilation = (node.options["dilation_h_factor"], node.options["dilation_w_factor"])
    window = window_geometry(node, x.shape[1:3], w.shape[1:3], dilation)
    if node.delegated and negative_padding(node, window, dilation):
        # XNNPACK's padding underflows: all places of all windows are outside.
        window = window._replace(pad_top=x.shape[1], pad_left=x.shape[2])
    return ConvShape(
        *x.shape,
        *w.shape[1:3],
        window.output_height,
        window.output_width,
        output_channels,
        node.options["stride_h"],
        node.options["stride_w"],
        *dilation,
        window.pad_top,
        window.pad_left,
    )


def negative_padding(node: Node, window: Window, dilation: tuple[int, int]) -> bool:
    """Whether SAME padding would be negative along an axis: strides skip what is left of the input.

    A filter of one element needs no padding.
    """
    x, w = node.input(0), node.input(1)
    if w.shape[1:3] == (1, 1) or node.options["padding"] != "SAME":
        return False
    axes = (
        (x.shape[1], w.shape[1], window.output_height, node.options["stride_h"], dilation[0]),
        (x.shape[2], w.shape[2], window.output_width, node.options["stride_w"], dilation[1]),
    )
    return any((output - 1) * s + (taps - 1) * d + 1 < size for size, taps, output, s, d in axes)


def delegated_convolution(node: Node, axis: int) -> bool:
    """Whether XNNPACK takes a two-dimensional convolution whose filter has its channels along `axis`."""
    if len(node.inputs) != 3 or len(node.outputs) != 1:
        return False
    x, w, y = node.input(0), node.input(1), node.output
    same = x.dtype == w.dtype == y.dtype
    hybrid = node.op.op == "CONV_2D" and (x.dtype, w.dtype, y.dtype) == ("float32", "int8", "float32")
    return (
        (same or hybrid)
        and len(x.shape) == len(w.shape) == 4
        and delegable(VALUES, x, y)
        and delegable_filter(w, axis)
        and delegable_bias(node.optional_input(2))
        and fused_activation(node) in FLOAT_BOUNDS
    )
