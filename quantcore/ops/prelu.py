"""PRELU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.kernels import prelu as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import broadcast
from quantcore.ops.shared.operands import check_dtypes, check_operands, per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import fixed_point, product_multiplier, quotient

MAX_RANK = 4  # of slopes that broadcast, as in TFLite


def prelu_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``s_input / s_output`` and ``s_input * s_alpha / s_output``, in the precision of the rule."""
    if node.output.dtype == "float32":
        return {}
    x, alpha, y = node.input(0).scale, node.input(1).scale, node.output.scale
    return {"identity": quotient(node, x, y), "alpha": product_multiplier(node, x, alpha, y)}


@operator(
    "PRELU",
    dtypes=("int8", "uint8", "float32"),
    max_version=1,
    rules={
        "reference": {"int8, uint8": FLOAT32_QUOTIENT},
        "optimized": {"float32": Rule(), "int8, uint8": FLOAT32_QUOTIENT},
        "tflm": {"float32, int8": Rule()},
    },
    multipliers=prelu_multipliers,
    quantization=replace(OWN_SCALE_INT8, weights={1: None}),
)
def lower_prelu(node: Node) -> KernelCall:
    """Lower PRELU; the slopes broadcast to the shape of the input."""
    check_operands(node, 2)
    x, alpha, y = node.input(0), node.input(1), node.output
    dtype = check_dtypes(node, node.dtypes, x, alpha, y)
    if broadcast(node, MAX_RANK, x, alpha) != x.shape:
        raise node.refuse(f"slopes of shape {alpha.shape} do not broadcast to the input's shape {x.shape}")
    y.shape = x.shape
    if dtype == "float32":
        return kernels.prelu_f32_call(shape=x.shape, alpha_shape=alpha.shape)
    per_tensor(node, x, alpha, y)
    real = prelu_multipliers(node)
    identity_multiplier, identity_shift = fixed_point(node, real["identity"])
    alpha_multiplier, alpha_shift = fixed_point(node, real["alpha"])
    return kernels.prelu_call(
        dtype,
        shape=x.shape,
        alpha_shape=alpha.shape,
        input_offset=-x.zero_point,
        alpha_offset=-alpha.zero_point,
        output_offset=y.zero_point,
        identity_multiplier=identity_multiplier,
        identity_shift=identity_shift,
        alpha_multiplier=alpha_multiplier,
        alpha_shift=alpha_shift,
    )
