"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED check alike: dtypes, scales, zero points, bias.

Sources: TFLite ``kernels/conv.cc``, ``depthwise_conv.cc``, ``fully_connected.cc`` (Prepare) and
``kernels/kernel_util.cc`` (PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantcore.ops.node import Node, Operand
from quantcore.ops.operands import check_zero_points, per_tensor
from quantcore.ops.requant import product_multiplier

__all__ = [
    "CONVOLUTION_FORMS",
    "FORMS",
    "check_bias_scale",
    "check_filter_scales",
    "check_int16",
    "check_packed_filter",
    "check_quantization",
    "check_symmetric_filter",
    "conv_form",
    "may_contain_minimum",
    "optional_bias",
    "output_multipliers",
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


def conv_form(node: Node, forms: Mapping[tuple[str, str], str] = FORMS) -> str:
    """Return the form by the dtypes of input and filter; the output has the dtype of the input.

    Raises
    ------
    UnsupportedOperatorError
        For other combinations of dtypes.
    """
    if len(node.inputs) not in (2, 3) or len(node.outputs) != 1:
        raise node.refuse(
            f"has {len(node.inputs)} inputs and {len(node.outputs)} outputs; expected input, filter and "
            "perhaps bias, and one output"
        )
    x, w, y = node.input(0), node.input(1), node.output
    form = forms.get((x.dtype, w.dtype))
    if form is None or y.dtype != x.dtype:
        known = ", ".join(f"{a} with {b}" for a, b in forms)
        raise node.refuse(
            f"input, filter and output have dtypes {x.dtype}, {w.dtype} and {y.dtype}; supported inputs and "
            f"filters: {known}, and the input's dtype for the output"
        )
    if w.tensor.sparsity is not None:
        raise node.refuse("the filter is stored sparse; only dense filters are supported")
    return form


def optional_bias(node: Node, form: str, channels: int) -> Operand | None:
    """Return the checked bias, or None where there is none."""
    bias = node.optional_input(2)
    if bias is None:
        return None
    if bias.dtype != _BIAS_DTYPE[form]:
        raise node.refuse(f"bias has dtype {bias.dtype}; expected {_BIAS_DTYPE[form]}")
    if bias.count != channels:
        raise node.refuse(f"bias has {bias.count} elements; expected one per output channel, {channels}")
    if form in _QUANTIZED and bias.zero_point != 0:
        raise node.refuse(f"bias has zero point {bias.zero_point}; expected 0")
    return bias


def check_quantization(node: Node, channels: int, *, axes: tuple[int, ...]) -> None:
    """Check scales and zero points of a quantized form.

    Parameters
    ----------
    channels : int
        Output channels.
    axes : tuple of int
        Axes of the filter that may carry the scales.
    """
    per_tensor(node, node.input(0), node.output)
    if node.input(1).dtype == "int4":
        check_packed_filter(node)
    else:
        check_zero_points(node, node.input(1))
    check_filter_scales(node, channels, axes=axes)


def check_filter_scales(node: Node, channels: int, *, axes: tuple[int, ...]) -> None:
    """Check the filter's scales: one, or one per output channel along an axis of that length."""
    w = node.input(1)
    if w.scales.size not in (1, channels):
        raise node.refuse(f"filter has {w.scales.size} scales; expected 1, or one per channel, {channels}")
    if not (np.isfinite(w.scales).all() and (w.scales >= 0).all()):
        raise node.refuse("filter has a scale that is negative or not finite")
    if w.scales.size > 1:
        if w.dtype == "uint8":
            raise node.refuse("filter is uint8 with a scale per channel; expected one scale")
        axis = w.tensor.quantization.quantized_dimension if w.tensor.quantization is not None else 0
        if axis not in axes or w.shape[axis] != channels:
            raise node.refuse(
                f"filter of shape {w.shape} has its scales along axis {axis}; expected axis {axes[0]}"
            )


def check_packed_filter(node: Node) -> None:
    """Refuse a filter of 4 bits that is computed at run time, or has a zero point other than 0."""
    if node.input(1).value is None:
        raise node.refuse("the int4 filter is computed at run time; expected a constant")
    check_symmetric_filter(node)


def check_symmetric_filter(node: Node) -> None:
    """Refuse a filter with a zero point other than 0."""
    w = node.input(1)
    quantization = w.tensor.quantization
    if quantization is not None and np.any(quantization.zero_point != 0):
        raise node.refuse(f"{w.dtype} filter has zero points {quantization.zero_point}; expected 0")


def check_int16(node: Node, bias: Operand | None) -> None:
    """Check zero points of a 16x8 form, and that TFLite takes the bias for what it is."""
    x, y = node.input(0), node.output
    if x.zero_point or y.zero_point:
        raise node.refuse(f"int16 zero points are {x.zero_point} and {y.zero_point}; expected 0")
    check_symmetric_filter(node)
    named = str(node.options.get("quantized_bias_type", "FLOAT32"))
    if bias is not None and not node.profile.micro and (named == "INT32") != (bias.dtype == "int32"):
        raise node.refuse(
            f"bias has dtype {bias.dtype}, but the option quantized_bias_type is {named}; expected INT32 for "
            "int32 alone"
        )


def check_bias_scale(node: Node, bias: Operand | None, x: Operand | None = None) -> None:
    """Refuse a bias whose scale is not ``input scale * filter scale``, as TFLite does for one filter scale.

    `x` is the input where it is not the operator's first operand.
    The difference may be 0.02 of the output scale. A bias without a scale counts as 0.
    """
    if bias is None:
        return
    product = float((x or node.input(0)).scale) * float(node.input(1).scale)
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


def output_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input * s_filter / s_output}`` of the quantized forms, else nothing."""
    if node.input(0).dtype not in _QUANTIZED:
        return {}
    return {"output": product_multiplier(node, node.input(0).scale, node.input(1).scales, node.output.scale)}
