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
from quantcore.ops.registry import Node, operator
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
    return kernels.fully_connected_call(
        form,
        filter=w.value,
        **size,
        input_offset=-x.zero_point,
        # With a scale per channel, zero points of the filter, which should be 0, are ignored by TFLite.
        filter_offset=-w.zero_point if per_tensor else 0,
        requant=make_requant(node, output_multipliers(node)["output"], y, activation),
    )
