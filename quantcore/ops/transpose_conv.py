"""TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Operator, Tensor
from quantcore.kernels import _transpose_conv as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.padding import transposed_padding
from quantcore.numerics import FLOAT_PRODUCT, INT16_MULTIPLIER, SUMMED, Rule
from quantcore.ops.convolution import check_bias_scale, check_filter_scales, check_symmetric_filter
from quantcore.ops.delegate import constant, delegable
from quantcore.ops.integer_input import ShapeInput
from quantcore.ops.movement import int_values
from quantcore.ops.node import Node, Operand
from quantcore.ops.operands import check_zero_points, per_tensor
from quantcore.ops.quantization_rule import OWN_SCALE
from quantcore.ops.registry import operator
from quantcore.ops.requant import float_bounds, make_requant, open_float_bounds, product_multiplier
from quantcore.ops.version_rules import dtype_of

# dtypes of input, filter and bias
FORMS = {
    ("int8", "int8"): ("s8", ("int32",)),
    ("uint8", "uint8"): ("u8", ("int32",)),
    ("int16", "int8"): ("s16", ("int32", "int64")),
    ("float32", "float32"): ("f32", ("float32",)),
    ("float32", "int8"): ("hybrid", ("float32",)),
}
MAX_STRIDE = 2**15 - 1


def transpose_conv_form(node: Node) -> str:
    """Return ``s8``, ``u8``, ``s16`` (int32 accumulators), ``s16_wide`` (int64), ``f32`` or ``hybrid``."""
    if len(node.inputs) not in (3, 4) or len(node.outputs) != 1:
        raise node.refuse(
            f"has {len(node.inputs)} inputs and {len(node.outputs)} outputs; expected output shape, filter, "
            "input and perhaps bias, and one output"
        )
    w, x, bias, y = node.input(1), node.input(2), node.optional_input(3), node.output
    if (x.dtype, w.dtype) not in FORMS or y.dtype != x.dtype:
        known = ", ".join(f"{a} with {b}" for a, b in FORMS)
        raise node.refuse(
            f"input, filter and output have dtypes {x.dtype}, {w.dtype} and {y.dtype}; supported inputs and "
            f"filters: {known}, and the input's dtype for the output"
        )
    if w.tensor.sparsity is not None:
        raise node.refuse("the filter is stored sparse; only dense filters are supported")
    form, bias_dtypes = FORMS[x.dtype, w.dtype]
    if bias is not None and bias.dtype not in bias_dtypes:
        raise node.refuse(f"bias has dtype {bias.dtype}; expected {' or '.join(bias_dtypes)}")
    if form != "s16":
        return form
    narrow = str(node.options.get("quantized_bias_type", "FLOAT32")) == "INT32"
    if bias is not None and narrow != (bias.dtype == "int32"):
        raise node.refuse(
            f"bias has dtype {bias.dtype}, but the option quantized_bias_type is "
            f"{node.options.get('quantized_bias_type', 'FLOAT32')}; expected INT32 for int32 alone"
        )
    if narrow and node.rule.rounding == "int16_multiplier":  # the profile has wide accumulators only
        if bias is not None:
            raise node.refuse(
                f"bias has dtype int32; the profile {node.profile.name!r} expects int64 (it misreads others)"
            )
        narrow = False
    return "s16" if narrow else "s16_wide"


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
    stride = (int(node.options.get("stride_h", 0)), int(node.options.get("stride_w", 0)))
    if not all(1 <= s <= MAX_STRIDE for s in stride):
        raise node.refuse(f"strides are {stride}; expected 1 to {MAX_STRIDE}")
    pads = [
        transpose_padding(
            node, sizes[1 + d], w.shape[1 + d], stride[d], str(node.options.get("padding", "SAME"))
        )
        for d in range(2)
    ]
    values = (*x.shape, *w.shape[1:3], *sizes[1:3], w.shape[0], *stride, 1, 1, *pads)
    return ConvShape._make(values)


def transpose_padding(node: Node, output: int, filter_size: int, stride: int, padding: str) -> int:
    """Return the padding before: that of the convolution which makes the input of the output."""
    try:
        return transposed_padding(output, filter_size, stride, padding)
    except KernelError as error:
        raise node.refuse(str(error)) from None


def transpose_conv_macs(node: Node) -> int:
    """Return the multiply-accumulates: one filter per input element, even where it leaves the output."""
    return int(
        np.prod(node.input(2).shape, dtype=np.int64) * np.prod(node.input(1).shape[:3], dtype=np.int64)
    )


def transpose_conv_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input * s_filter / s_output}`` of the quantized forms, else nothing."""
    if node.output.dtype == "float32":
        return {}
    return {"output": product_multiplier(node, node.input(2).scale, node.input(1).scales, node.output.scale)}


def check_bias(node: Node, form: str, bias: Operand | None, channels: int) -> None:
    """Check the length, zero point and scale of the bias."""
    if bias is None:
        return
    if bias.count != channels:
        raise node.refuse(f"bias has {bias.count} elements; expected one per output channel, {channels}")
    if form != "u8" and bias.dtype != "float32" and bias.zero_point != 0:
        raise node.refuse(f"bias has zero point {bias.zero_point}; expected 0")
    if form == "u8":
        check_bias_scale(node, bias, node.input(2))


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator.

    It wants a constant shape, filter and bias, and no int16; with SAME padding the input that a convolution
    makes of the output, and no filter smaller than the stride; with VALID no filter larger than the output.
    """
    w, x, sizes = node.input(1), node.input(2), node.input(0).value
    if (
        not all(constant(node.optional_input(k)) for k in (0, 1, 3))
        or not all(delegable(o, ("float32", "int8", "uint8")) for o in (x, node.output))
        or (w.dtype == "int8" and w.zero_point != 0)
        or not len(w.shape) == len(x.shape) == 4
        or sizes is None
        or sizes.size != 4
    ):
        return False
    output = [int(n) for n in sizes.reshape(-1)[1:3]]
    stride = [int(node.options.get(name, 0)) for name in ("stride_h", "stride_w")]
    if str(node.options.get("padding", "SAME")) == "VALID":
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
    same = str(node.options.get("padding", "SAME")) == "SAME"
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


def transpose_conv_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of TRANSPOSE_CONV: 4 with a fused activation, 3 with a bias, 2 for int8 weights."""
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        return 4
    if len(inputs) == 4 and inputs[3] is not None:
        return 3
    return 2 if dtype_of(inputs, 1) == "int8" else 1


@operator(
    "TRANSPOSE_CONV",
    dtypes=("int8", "uint8", "int16", "float32", "hybrid"),
    max_version=5,
    version=transpose_conv_version,
    int16x8_version=3,
    page="transpose_conv",
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
    form = transpose_conv_form(node)
    shape = transpose_conv_shape(node)
    w, x, bias, y = node.input(1), node.input(2), node.optional_input(3), node.output
    channels = shape.output_channels
    if form != "s16_wide" and node.rule.form in ("col2im", "summed", "fma"):
        check_implied_input(node, shape)
    check_bias(node, form, bias, channels)
    y.shape = (shape.batches, shape.output_height, shape.output_width, channels)
    activation = str(node.options.get("fused_activation_function", "NONE"))
    layout = {"inputs": len(node.inputs), "has_bias": bias is not None}
    if form in ("f32", "hybrid"):
        return lower_float(node, form, shape, activation, layout)
    per_tensor(node, x, y)
    check_zero_points(node, w)
    check_filter_scales(node, channels, axes=(0, 1, 2, 3))
    if form != "u8":
        check_symmetric_filter(node)
    if x.dtype == "int16" and (x.zero_point or y.zero_point):
        raise node.refuse(f"int16 zero points are {x.zero_point} and {y.zero_point}; expected 0")
    return kernels.transpose_conv_call(
        "int16_wide" if form == "s16_wide" else x.dtype,
        shape,
        **layout,
        input_offset=-x.zero_point,
        filter_offset=-w.zero_point,
        flat=form == "u8",
        requant=make_requant(
            node,
            transpose_conv_multipliers(node)["output"],
            y,
            activation,
            length=y.count if form == "u8" else channels,
            rounding="int16_multiplier" if form == "s16_wide" else None,
        ),
    )


def lower_float(
    node: Node, form: str, shape: ConvShape, activation: str, layout: dict[str, int]
) -> KernelCall:
    """Lower the form on float32, or the hybrid one (float32 input, int8 filter)."""
    fma = node.rule.form == "fma"
    low, high = open_float_bounds(node, activation) if fma else float_bounds(node, activation)
    scales = None
    if form == "hybrid":
        if shape.batches == 0:
            raise node.refuse("the batch is empty; the hybrid form needs at least one image")
        check_filter_scales(node, shape.output_channels, axes=(0, 1, 2, 3))
        scales = np.broadcast_to(node.input(1).scales, (shape.output_channels,))
    return kernels.transpose_conv_f32_call(
        shape,
        **layout,
        activation_min=low,
        activation_max=high,
        filter_scale=scales,
        fma=fma,
    )
