"""FULLY_CONNECTED."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import _fully_connected as kernels
from quantcore.kernels._core import KernelCall
from quantcore.ops.convolution import (
    check_bias_scale,
    check_filter_scales,
    check_quantization,
    conv_form,
    may_contain_minimum,
    optional_bias,
    output_multipliers,
)
from quantcore.ops.delegate import constant, delegable
from quantcore.ops.registry import Node, Operand, operator
from quantcore.ops.requant import float_bounds, make_requant

__all__ = ["lower_fully_connected"]


def fully_connected_macs(node: Node) -> int:
    """Return the multiply-accumulates: one row of the filter per output element."""
    return int(np.prod(node.output.shape, dtype=np.int64) * np.prod(node.input(1).shape[1:], dtype=np.int64))


def output_shape(node: Node) -> tuple[int, ...]:
    """Return the shape of the output: the input flattened to rows of the filter's depth, or its rank kept.

    Elements that do not fill a row are ignored, as TFLite does.
    """
    x, w = node.input(0), node.input(1)
    if len(w.shape) != 2 or w.shape[1] < 1:
        raise node.refuse(f"filter has shape {w.shape}; expected (units, depth) with a depth of at least 1")
    units, depth = w.shape
    if not node.options.get("keep_num_dims", False):
        return (x.count // depth, units)
    if not x.shape or x.shape[-1] != depth:
        raise node.refuse(f"input has shape {x.shape}; with keep_num_dims its last dimension must be {depth}")
    return (*x.shape[:-1], units)


XNNPACK_VALUES = ("float32", "int8", "uint8")
XNNPACK_MAX_RANK = 6
XNNPACK_MULTIPLIER_LIMIT = 256
XNNPACK_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator.

    It wants a filter and a bias that are stored in the file (float32 ones may be computed), and a bias with a
    scale.
    """
    if len(node.inputs) not in (2, 3) or len(node.outputs) != 1 or node.op.version == 8:
        return False
    x, w, bias, y = node.input(0), node.input(1), node.optional_input(2), node.output
    return (
        delegable(x, XNNPACK_VALUES)
        and delegable(y, (x.dtype,))
        and delegable_filter(x, w)
        and (bias is None or delegable_bias(bias, w))
        and node.options.get("weights_format", "DEFAULT") == "DEFAULT"
        and node.options.get("fused_activation_function", "NONE") in XNNPACK_ACTIVATIONS
    )


def delegable_filter(x: Operand, w: Operand) -> bool:
    """Whether XNNPACK takes the filter `w` with inputs `x`."""
    if len(w.shape) != 2:
        return False
    if w.dtype == "float32":
        return x.dtype == "float32"
    quantization = w.tensor.quantization
    return (
        constant(w)
        and w.quantized
        and quantization is not None
        and w.dtype == ("int8" if x.dtype == "float32" else x.dtype)
        and (quantization.quantized_dimension == 0 or (w.dtype == "int8" and w.scales.size == 1))
    )


def delegable_bias(bias: Operand, w: Operand) -> bool:
    """Whether XNNPACK takes the bias with filter `w`."""
    if bias.dtype == "float32":
        return w.dtype in ("float32", "int8")
    quantization = bias.tensor.quantization
    return (
        bias.dtype == "int32"
        and constant(bias)
        and bias.quantized
        and quantization is not None
        and quantization.quantized_dimension == 0
        and bias.zero_point == 0
    )


def check_delegated_shape(node: Node) -> None:
    """Refuse shapes that XNNPACK takes and then cannot run: it is an error then, and not declined."""
    x, w = node.input(0), node.input(1)
    if len(x.shape) > XNNPACK_MAX_RANK:
        raise node.refuse(f"input has shape {x.shape}; XNNPACK has {XNNPACK_MAX_RANK} dimensions at most")
    if x.count % w.shape[1] != 0:
        raise node.refuse(f"input has {x.count} elements; XNNPACK expects rows of {w.shape[1]}, and no rest")


def check_delegated_quantization(node: Node, multipliers: np.ndarray) -> None:
    """Refuse quantization that XNNPACK takes and then cannot run."""
    if not (multipliers < XNNPACK_MULTIPLIER_LIMIT).all():
        raise node.refuse(
            f"the scales give the multiplier {multipliers.max():g}; XNNPACK expects less than "
            f"{XNNPACK_MULTIPLIER_LIMIT}"
        )
    w = node.input(1)
    quantization = w.tensor.quantization
    if w.scales.size > 1 and quantization is not None and np.any(quantization.zero_point != 0):
        raise node.refuse(f"filter has zero points {quantization.zero_point}; XNNPACK expects 0")


def lower_hybrid(node: Node, size: dict[str, int]) -> KernelCall:
    """Lower the hybrid form; its activation, NONE included, does not bound infinities."""
    check_filter_scales(node, size["units"], axes=(0, 1))
    activation = node.options.get("fused_activation_function", "NONE")
    low, high = float_bounds(node, activation)
    if activation == "NONE":
        low = -np.inf
    if activation in ("NONE", "RELU"):
        high = np.inf
    return kernels.fully_connected_hybrid_call(
        filter=node.input(1).value,
        **size,
        asymmetric=node.options.get("asymmetric_quantize_inputs", False),
        sign_overflow=may_contain_minimum(node.input(1)),
        filter_scale=node.input(1).scales,
        activation_min=low,
        activation_max=high,
    )


@operator(
    "FULLY_CONNECTED",
    dtypes=("int8", "uint8", "float32", "hybrid"),
    max_version=13,
    page="fully_connected",
    macs=fully_connected_macs,
    multipliers=output_multipliers,
    xnnpack=delegated,
)
def lower_fully_connected(node: Node) -> KernelCall:
    """Lower FULLY_CONNECTED: every output is the product of a row of the input and a row of the filter."""
    if node.options.get("weights_format", "DEFAULT") != "DEFAULT":
        raise node.refuse(f"weights_format is {node.options['weights_format']}; supported: DEFAULT")
    form = conv_form(node)
    x, w, y = node.input(0), node.input(1), node.output
    y.shape = output_shape(node)
    units, depth = w.shape
    size = {"batches": int(np.prod(y.shape[:-1], dtype=np.int64)), "depth": depth, "units": units}
    bias = optional_bias(node, form, units)
    activation = node.options.get("fused_activation_function", "NONE")
    by_delegate = node.profile.fallback is not None and delegated(node)
    if by_delegate:
        check_delegated_shape(node)
    if form == "float32":
        low, high = float_bounds(node, activation)
        return kernels.fully_connected_f32_call(
            filter=w.value, **size, activation_min=low, activation_max=high
        )
    if form == "hybrid":
        return lower_hybrid(node, size)
    check_quantization(node, units, axes=(0,))
    per_tensor = w.scales.size == 1
    if per_tensor:
        check_bias_scale(node, bias)
    multipliers = output_multipliers(node)["output"]
    if by_delegate:
        check_delegated_quantization(node, multipliers)
    return kernels.fully_connected_call(
        form,
        filter=w.value,
        **size,
        input_offset=-x.zero_point,
        # With a scale per channel, zero points of the filter, which should be 0, are ignored by TFLite; by
        # XNNPACK those of int8 filters always.
        filter_offset=-w.zero_point if per_tensor and node.rule.form != "symmetric_filter" else 0,
        requant=make_requant(node, multipliers, y, activation),
    )
