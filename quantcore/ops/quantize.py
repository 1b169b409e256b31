"""QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import affine as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.registry import Node, Operand, operator
from quantcore.ops.requant import make_requant, type_bounds

# output dtypes by input dtype, as in TFLite kernels/quantize.cc (Prepare and Eval)
QUANTIZE_OUTPUTS = {
    "float32": ("int8", "uint8", "int16"),
    "int8": ("int8", "uint8", "int16"),
    "uint8": ("int8", "uint8", "int16"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}
_INT32 = np.iinfo(np.int32)


def channel_view(node: Node, operand: Operand) -> tuple[int, int]:
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
    outer = int(np.prod(operand.shape[:axis], dtype=np.int64))
    return outer, int(np.prod(operand.shape[axis + 1 :], dtype=np.int64))


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
        raise node.refuse(f"a zero point of tensor {operand.index} is outside the int32 range")
    return np.broadcast_to(stored, operand.scales.shape).astype(np.int32)


def quantize_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}`` (float64 division) where the input is quantized too."""
    if node.input(0).dtype == "float32":
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):  # a scale of 0 is refused by make_requant
        return {"output": np.array([np.float64(node.input(0).scale) / np.float64(node.output.scale)])}


def lower_requantize(node: Node, x: Operand, y: Operand) -> KernelCall:
    """Lower the QUANTIZE whose input is quantized already: other parameters, or another dtype."""
    if x.dtype == y.dtype == "int16" and (x.zero_point or y.zero_point):
        raise node.refuse(
            f"int16 zero points are {x.zero_point} and {y.zero_point}; expected 0, as TFLite does"
        )
    return kernels.requantize_call(
        x.dtype,
        y.dtype,
        count=x.count,
        input_zero_point=int(zero_points(node, x)[0]),
        requant=make_requant(node, quantize_multipliers(node)["output"], y),
    )


@operator("QUANTIZE", dtypes=("int8", "uint8", "int16", "int32"), max_version=6, page="quantize",
          multipliers=quantize_multipliers)  # fmt: skip
def lower_quantize(node: Node) -> KernelCall:
    """Lower float32 to a quantized dtype, per tensor or per channel, or one quantized dtype to another."""
    x, y = node.input(0), node.output
    y.shape = x.shape
    if x.dtype not in QUANTIZE_OUTPUTS:
        raise node.refuse(f"input dtype is {x.dtype}; supported: {', '.join(QUANTIZE_OUTPUTS)}")
    if y.dtype not in QUANTIZE_OUTPUTS[x.dtype]:
        known = ", ".join(QUANTIZE_OUTPUTS[x.dtype])
        raise node.refuse(f"{x.dtype} to {y.dtype} is not supported; {x.dtype} goes to {known}")
    zero_point = zero_points(node, y)
    if x.dtype != "float32":
        return lower_requantize(node, x, y)
    outer, inner = channel_view(node, y)
    qmin, qmax = type_bounds(y.dtype)
    return kernels.quantize_call(
        y.dtype, outer=outer, inner=inner, scale=y.scales, zero_point=zero_point, qmin=qmin, qmax=qmax
    )


@operator("DEQUANTIZE", dtypes=("int8", "uint8", "int16", "float16"), max_version=9, page="dequantize")
def lower_dequantize(node: Node) -> KernelCall:
    """Lower a quantized dtype (per tensor or per channel), or float16, to float32."""
    x, y = node.input(0), node.output
    y.shape = x.shape
    if y.dtype != "float32":
        raise node.refuse(f"output dtype is {y.dtype}; expected float32")
    if x.dtype == "float16":
        return kernels.dequantize_f16_call(count=x.count)
    if x.dtype not in ("int8", "uint8", "int16"):
        raise node.refuse(f"input dtype is {x.dtype}; supported: int8, uint8, int16, float16")
    zero_point = zero_points(node, x)
    if x.dtype == "int16":
        if zero_point.any():
            raise node.refuse(f"the int16 zero point is {zero_point[0]}; expected 0, as TFLite does")
        if x.scales.size > 1:
            raise node.refuse("int16 with a scale per channel is not supported, as in TFLite")
    outer, inner = channel_view(node, x)
    return kernels.dequantize_call(x.dtype, outer=outer, inner=inner, scale=x.scales, zero_point=zero_point)
