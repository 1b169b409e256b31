"""TRANSPOSE_CONV."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels import _transpose_conv as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.padding import transposed_padding
from quantcore.numerics import FLOAT_PRODUCT, INT16_MULTIPLIER, SUMMED, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.convolution import (
    FORMS,
    accumulator_bound,
    bias_type,
    check_bias,
    check_bias_option,
    check_bias_scale,
    check_hybrid,
    check_quantization,
    check_symmetric_filter,
    output_multipliers,
    product_operands,
)
from quantcore.ops.shared.indices import int_values
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import float_bounds, fused_activation, make_requant, open_float_bounds
from quantcore.ops.shared.version_rules import dtype_of
from quantcore.ops.shared.xnnpack import VALUES, constant, delegable

TRANSPOSE_FORMS = {**FORMS, ("int16", "int8"): "int16"}
MAX_STRIDE = 2**15 - 1


def transpose_conv_shape(node: Node) -> ConvShape:
    """Return the geometry, by the output shape that the first input gives."""
    w, x = node.input(1), node.input(2)
    sizes = int_values(node, 0)
    if len(x.shape) != 4 or len(w.shape) != 4 or len(sizes) != 4:
        raise node.refuse(
            f"input and filter have shapes {x.shape} and {w.shape}, the output {tuple(sizes)}; expected four "
            "dimensions each"
        )
    if min(*x.shape[1:], *w.shape, *sizes[1:]) < 1:
        raise node.refuse(
            f"input and filter have shapes {x.shape} and {w.shape}, the output {tuple(sizes)}; expected no "
            "dimension below 1"
        )
    if x.shape[3] != w.shape[3] or sizes[0] != x.shape[0] or sizes[3] != w.shape[0]:
        raise node.refuse(
            f"an input of shape {x.shape} and a filter of shape {w.shape} do not make an output of shape "
            f"{tuple(sizes)}"
        )
    stride = (node.options["stride_h"], node.options["stride_w"])
    if not all(1 <= s <= MAX_STRIDE for s in stride):
        raise node.refuse(f"strides are {stride}; expected 1 to {MAX_STRIDE}")
    pads = [transpose_padding(node, sizes[1 + d], w.shape[1 + d], stride[d]) for d in range(2)]
    values = (*x.shape, *w.shape[1:3], *sizes[1:3], w.shape[0], *stride, 1, 1, *pads)
    return ConvShape._make(values)


def transpose_padding(node: Node, output: int, filter_size: int, stride: int) -> int:
    """Return the padding before: that of the convolution which makes the input of the output."""
    try:
        return transposed_padding(output, filter_size, stride, node.options["padding"])
    except KernelError as error:
        raise node.refuse(str(error)) from None


def transpose_conv_macs(node: Node) -> int:
    """Return the multiply-accumulates: one filter per input element, even where it leaves the output."""
    return int(
        np.prod(node.input(2).shape, dtype=np.int64) * np.prod(node.input(1).shape[:3], dtype=np.int64)
    )


def transpose_conv_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input * s_filter / s_output}`` of the quantized forms, else nothing."""
    return output_multipliers(node, 2)


def accumulates_widely(node: Node) -> bool:
    """Whether products of int16 are summed in int64; a profile whose rule is for those alone has no other."""
    return bias_type(node) != "INT32" or node.rule.rounding == "int16_multiplier"


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator.

    It wants a constant shape, filter and bias, and no int16; with SAME padding the input that a convolution
    makes of the output, and no filter smaller than the stride; with VALID no filter larger than the output.
    """
    w, x, sizes = node.input(1), node.input(2), node.input(0).value
    if (
        not all(constant(node.optional_input(k)) for k in (0, 1, 3))
        or not delegable(VALUES, x, node.output)
        or (w.dtype == "int8" and w.zero_point != 0)
        or not len(w.shape) == len(x.shape) == 4
        or sizes is None
        or sizes.size != 4
    ):
        return False
    output = [int(n) for n in sizes.reshape(-1)[1:3]]
    stride = [node.options[name] for name in ("stride_h", "stride_w")]
    if node.options["padding"] == "VALID":
        return all(f <= n for f, n in zip(w.shape[1:3], output, strict=True))
    return all(
        s >= 1 and f >= s and -(-n // s) == i
        for i, f, n, s in zip(x.shape[1:3], w.shape[1:3], output, stride, strict=True)
    )


def check_implied_input(node: Node, shape: ConvShape) -> None:
    """Refuse an input of another size than a convolution would make of the output.

    For kernels that count the input's rows by the output: TFLite's optimized ones, which then read the wrong
    elements, and XNNPACK's, whose output then has another shape.
    """
    same = node.options["padding"] == "SAME"
    for i, f, n, s in (
        (shape.input_height, shape.filter_height, shape.output_height, shape.stride_height),
        (shape.input_width, shape.filter_width, shape.output_width, shape.stride_width),
    ):
        implied = -(-n // s) if same else (n - f) // s + 1
        if i != implied:
            raise node.refuse(
                f"the input has {i} rows or columns, an output of {n} implies {implied}: the kernels of the "
                f"profile {node.profile.name!r} do not handle it"
            )


def transpose_conv_version(node: Node) -> int:
    """Return the version of TRANSPOSE_CONV: 4 with a fused activation, 3 with a bias, 2 for int8 weights."""
    if fused_activation(node) != "NONE":
        return 4
    if len(node.inputs) == 4 and node.inputs[3] is not None:
        return 3
    return 2 if dtype_of(node, 1) == "int8" else 1


@operator(
    "TRANSPOSE_CONV",
    dtypes=("int8", "uint8", "int16", "float32", "hybrid"),
    max_version=5,
    version=transpose_conv_version,
    int16x8_version=3,
    rules={
        "reference": {"uint8": FLOAT_PRODUCT},
        "optimized": {
            "float32": SUMMED,
            "hybrid": Rule(),
            "int8, int16": Rule("ruy", form="col2im", block=8),
            "uint8": Rule("ruy", "float_product", form="col2im", block=16),
        },
        "xnnpack": {
            "float32": SUMMED,
            "hybrid": Rule(form="fma"),
            "int8, uint8": Rule("float32", "float32", form="col2im", bounds="xnnpack"),
        },
        "tflm": {"float32, int8": Rule(), "int16": INT16_MULTIPLIER},
    },
    macs=transpose_conv_macs,
    multipliers=transpose_conv_multipliers,
    xnnpack=delegated,
    quantization=replace(OWN_SCALE, weights={1: 0}, bias=(3, 2, 1), dynamic_weights={1: 0}),
    integer_inputs={0: ShapeInput(lambda x, y: y, data=2)},
)
def lower_transpose_conv(node: Node) -> KernelCall:
    """Lower TRANSPOSE_CONV; the output shape must be known before running."""
    form, x, w, bias = product_operands(node, TRANSPOSE_FORMS, x=2, bias=3)
    if form == "int16" and accumulates_widely(node):
        form = "int16_wide"
    shape = transpose_conv_shape(node)
    y, channels = node.output, shape.output_channels
    if form != "int16_wide" and node.rule.form in ("col2im", "summed", "fma"):
        check_implied_input(node, shape)
    if x.dtype == "int16":
        check_bias_option(node, bias)
    check_bias(node, bias, form, channels, any_zero_point=form == "uint8")
    y.shape = (shape.batches, shape.output_height, shape.output_width, channels)
    layout = {"inputs": len(node.inputs), "has_bias": bias is not None}
    if x.dtype == "float32":
        return lower_float(node, form, shape, layout)
    check_quantization(node, x, w, channels, axes=(0, 1, 2, 3))
    if form == "uint8":
        check_bias_scale(node, x, w, bias)
    else:
        check_symmetric_filter(node, w)
    return kernels.transpose_conv_call(
        form,
        shape,
        **layout,
        input_offset=-x.zero_point,
        filter_offset=-w.zero_point,
        flat=form == "uint8",
        filter=w.value,
        sum_bound=accumulator_bound(x, w, bias, axis=0, filter_offset=-w.zero_point),
        requant=make_requant(
            node,
            transpose_conv_multipliers(node)["output"],
            y,
            fused_activation(node),
            length=y.count if form == "uint8" else channels,
            rounding="int16_multiplier" if form == "int16_wide" else None,
        ),
    )


def lower_float(node: Node, form: str, shape: ConvShape, layout: dict[str, int]) -> KernelCall:
    """Lower the form on float32, or the hybrid one (float32 input, int8 filter)."""
    fma = node.rule.form == "fma"
    low, high = open_float_bounds(node) if fma else float_bounds(node)
    scales = None
    if form == "hybrid":
        check_hybrid(node, node.input(1), shape, axes=(0, 1, 2, 3))
        scales = np.broadcast_to(node.input(1).scales, (shape.output_channels,))
    return kernels.transpose_conv_f32_call(
        shape,
        **layout,
        activation_min=low,
        activation_max=high,
        filter_scale=scales,
        fma=fma,
        filter=node.input(1).value if form == "float32" else None,
    )
