"""QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import affine as kernels
from quantcore.kernels._core import KernelCall
from quantcore.layout import channel_view
from quantcore.numerics import Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_dtypes, check_packed, check_symmetric
from quantcore.ops.shared.requant import make_requant, type_bounds
from quantcore.ops.shared.version_rules import dtype_of, per_channel
from quantcore.ops.shared.xnnpack import VALUES, delegable
from quantcore.requantization import QUANTIZE_RULES, requantize_delegated, requantize_multiplier

# output dtypes by input dtype, as in TFLite kernels/quantize.cc (Prepare and Eval)
QUANTIZE_OUTPUTS = {
    "float32": ("int8", "uint8", "int16"),
    "int8": ("int8", "uint8"),
    "uint8": ("int8", "uint8"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}
# arithmetics other than the definition's, see docs/numerics/quantize.md and dequantize.md
BODY_FORMS = ("reciprocal", "saturating", "terms")
SCALE_MIN = 2.0**-126  # the least normal float; XNNPACK does not compute with smaller ones
_INT32 = np.iinfo(np.int32)


def channel_sizes(node: Node, operand: Operand) -> tuple[int, int]:
    """Return ``(outer, inner)``: `operand` as an array of ``(outer, channels, inner)`` elements."""
    channels = operand.scales.size
    if channels == 1:
        return 1, operand.count
    quantization = operand.tensor.quantization
    axis = quantization.quantized_dimension if quantization is not None else 0
    if not 0 <= axis < len(operand.shape) or operand.shape[axis] != channels:
        raise node.refuse(
            f"tensor {operand.index} has {channels} scales along dimension {axis}, "
            f"but its shape is {operand.shape}"
        )
    outer, _, inner = channel_view(operand.shape, axis)
    return outer, inner


def zero_points(node: Node, operand: Operand) -> np.ndarray:
    """Return one zero point per scale, int32; a single stored one holds for all channels."""
    quantization = operand.tensor.quantization
    stored = np.zeros(1, np.int64) if quantization is None else np.asarray(quantization.zero_point)
    if stored.size not in (1, operand.scales.size):
        raise node.refuse(
            f"tensor {operand.index} has {stored.size} zero points for {operand.scales.size} scales; "
            "expected one, or one per scale"
        )
    if stored.min() < _INT32.min or stored.max() > _INT32.max:
        raise node.refuse(
            f"tensor {operand.index} has zero points from {stored.min()} to {stored.max()}; expected int32"
        )
    return np.broadcast_to(stored, operand.scales.shape).astype(np.int32)


def quantize_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}`` where the input is quantized too."""
    if node.input(0).dtype == "float32":
        return {}
    real = requantize_multiplier(node.rule, node.input(0).scale, node.output.scale)
    return {"output": np.array([real])}


def lower_requantize(node: Node, x: Operand, y: Operand) -> KernelCall:
    """Lower the QUANTIZE whose input is quantized already: other parameters, or another dtype."""
    if x.dtype == y.dtype:
        check_symmetric(node, x, y)
    return kernels.requantize_call(
        x.dtype,
        y.dtype,
        count=x.count,
        input_zero_point=int(zero_points(node, x)[0]),
        requant=make_requant(node, quantize_multipliers(node)["output"], y, length=x.count),
    )


def quantize_delegated(node: Node) -> bool:
    """Whether XNNPACK takes QUANTIZE: from float32 to 8 bits, or between scales of one 8-bit dtype."""
    x, y = node.input(0), node.output
    if not delegable(VALUES, x) or not delegable(("int8", "uint8"), y):
        return False
    return x.dtype == "float32" or requantize_delegated(x.dtype, y.dtype, x.scale, y.scale)


def dequantize_delegated(node: Node) -> bool:
    """Whether XNNPACK takes DEQUANTIZE: of 8 bits with one scale."""
    return delegable(("int8", "uint8"), node.input(0)) and node.output.dtype == "float32"


def goes_by_body(node: Node, quantized: Operand) -> bool:
    """Whether a form of the profile's own computes it: that of one scale. Several go by the definition."""
    if node.rule.form == "per_tensor" and quantized.scales.size > 1:
        raise node.refuse(
            f"tensor {quantized.index} has {quantized.scales.size} scales; the kernels of the profile "
            f"{node.profile.name!r} know one only"
        )
    return node.rule.form in BODY_FORMS and quantized.scales.size == 1


def body(node: Node) -> int:
    """Return how many leading elements of the input the profile's vector code takes."""
    count = node.input(0).count
    blocks = node.rule.body(count)
    return count if blocks is None else blocks


def quantize_version(node: Node) -> int:
    """Return 4 for int4, 3 for scales per channel, 2 for int16 outputs."""
    if "int4" in (dtype_of(node, 0), node.output.dtype):
        return 4
    if has_channel_scales(node.output):
        return 3
    return 2 if node.output.dtype == "int16" else 1


def dequantize_version(node: Node) -> int:
    """Return the version for the dtype; 5 for int8 with scales per channel."""
    dtype = dtype_of(node, 0)
    if dtype == "int8" and has_channel_scales(node.input(0)):
        return 5
    return {"int2": 7, "int4": 6, "int16": 3, "float16": 3, "int8": 2}.get(dtype, 1)


def has_channel_scales(operand: Operand) -> bool:
    """Whether there is one scale for each element along the quantized dimension, and more than one."""
    quantization = operand.tensor.quantization
    if quantization is None:
        return False
    return quantization.per_channel and per_channel(operand, quantization.quantized_dimension)


@operator(
    "QUANTIZE",
    dtypes=("int8", "uint8", "int16", "int32"),
    max_version=6,
    version=quantize_version,
    int16x8_version=2,
    rules=QUANTIZE_RULES,
    converts=True,
    multipliers=quantize_multipliers,
    xnnpack=quantize_delegated,
    in_place=(0,),
)
def lower_quantize(node: Node) -> KernelCall:
    """Lower float32 to a quantized dtype, per tensor or per channel, or one quantized dtype to another."""
    x, y = node.input(0), node.output
    y.shape = x.shape
    check_dtypes(node, QUANTIZE_OUTPUTS, x)
    listed = node.profile.default is None  # and has a rule: TFLite Micro has more pairs
    if y.dtype not in QUANTIZE_OUTPUTS[x.dtype] and not listed:
        known = ", ".join(QUANTIZE_OUTPUTS[x.dtype])
        raise node.refuse(f"{x.dtype} to {y.dtype} is not supported; {x.dtype} goes to {known}")
    zero_point = zero_points(node, y)
    if x.dtype != "float32":
        return lower_requantize(node, x, y)
    outer, inner = channel_sizes(node, y)
    qmin, qmax = type_bounds(y.dtype)
    if goes_by_body(node, y):
        if node.rule.form == "saturating" and not SCALE_MIN <= y.scale <= 1 / SCALE_MIN:
            raise node.refuse(f"output has scale {y.scale}; XNNPACK needs 2**-126 to 2**126")
        return kernels.quantize_body_call(
            node.rule.form,
            y.dtype,
            count=x.count,
            body=body(node),
            scale=y.scale,
            zero_point=int(zero_point[0]),
            qmin=qmin,
            qmax=qmax,
        )
    return kernels.quantize_call(
        y.dtype, outer=outer, inner=inner, scale=y.scales, zero_point=zero_point, qmin=qmin, qmax=qmax
    )


@operator(
    "DEQUANTIZE",
    dtypes=("int4", "int8", "uint8", "int16", "float16"),
    max_version=9,
    version=dequantize_version,
    int16x8_version=2,
    rules={
        "optimized": {
            "int8_to_float32, uint8_to_float32, int4_to_float32": Rule(form="terms", block=8),
            "int16_to_float32, float16_to_float32": Rule(),
        },
        "xnnpack": {"int8_to_float32, uint8_to_float32": Rule()},
        "tflm": {"int8_to_float32, uint8_to_float32, int16_to_float32": Rule(form="per_tensor")},
    },
    converts=True,
    xnnpack=dequantize_delegated,
)
def lower_dequantize(node: Node) -> KernelCall:
    """Lower a quantized dtype (per tensor or per channel), or float16, to float32."""
    x, y = node.input(0), node.output
    y.shape = x.shape
    check_dtypes(node, ("float32",), y)
    if check_dtypes(node, node.dtypes, x) == "float16":
        return kernels.dequantize_f16_call(count=x.count)
    if x.dtype == "int4":
        check_packed(node, x)
    zero_point = zero_points(node, x)
    if x.dtype == "int16" and x.scales.size > 1:
        raise node.refuse("int16 with a scale per channel is not supported, as in TFLite")
    check_symmetric(node, x)
    outer, inner = channel_sizes(node, x)
    if goes_by_body(node, x):
        return kernels.dequantize_body_call(
            node.rule.form,
            x.dtype,
            count=x.count,
            body=body(node),
            scale=x.scale,
            zero_point=int(zero_point[0]),
        )
    return kernels.dequantize_call(x.dtype, outer=outer, inner=inner, scale=x.scales, zero_point=zero_point)
