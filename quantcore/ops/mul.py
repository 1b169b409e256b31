"""MUL: two inputs that broadcast, and a fused activation."""

from __future__ import annotations

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import elementwise as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import FLOAT32_QUOTIENT, FLOAT32_STORE, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.broadcasting import walked_in_rows
from quantcore.ops.shared.elementwise import broadcast_operands, delegable_pair, lower_arithmetic
from quantcore.ops.shared.operands import check_scales
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import fused_activation, make_requant, product_multiplier
from quantcore.ops.shared.version_rules import dtype_of

__all__ = ["mul_multipliers"]

QUANTIZED = ("int8", "uint8", "int16")
DELEGATED_RATIOS = (2.0**-16, 2.0**8)  # XNNPACK: at least, below
NARROWED = {"int8": "saturated", "uint8": "wrapped"}  # in vector code for rows in which one input repeats


def mul_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_1 * s_2 / s_output}``."""
    if node.output.dtype not in QUANTIZED:
        return {}
    return {"output": product_multiplier(node, node.input(0).scale, node.input(1).scale, node.output.scale)}


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator: float32, or 8 bits with a multiplier within its limits."""
    if not delegable_pair(node, ("float32", "int8", "uint8")):
        return False
    if node.output.dtype == "float32":
        return True
    with np.errstate(all="ignore"):  # the delegate declines what is not finite
        ratio = node.input(0).scale * node.input(1).scale / node.output.scale
    return bool(DELEGATED_RATIOS[0] <= ratio < DELEGATED_RATIOS[1])


def mul_version(node: Node) -> int:
    """Return the version for the dtype; 3 where the product of the input scales reaches the output's."""
    versions = {"uint32": 7, "complex64": 6, "int64": 5, "int16": 4}
    dtype = dtype_of(node, 0)
    if dtype in versions:
        return versions[dtype]
    found = [x.tensor.quantization for x in (*node.inputs[:2], *node.outputs) if x is not None]
    scales = [q.scale[0] for q in found if q is not None and q.scale.size]
    if len(scales) == 3 and 0 not in scales and scales[0] * scales[1] / scales[2] >= 1:
        return 3
    return 2 if dtype == "int8" else 1


@operator(
    "MUL",
    dtypes=(*QUANTIZED, "float32", "int32", "int64"),
    max_version=7,
    version=mul_version,
    int16x8_version=2,
    rules={
        "reference": {"int8, uint8, int16": FLOAT32_QUOTIENT},
        "optimized": {
            "float32, int32, int64": Rule(),
            "int8": Rule(product="float32", block=16),
            "uint8": Rule(product="float32", block=8),
            "int16": FLOAT32_QUOTIENT,
        },
        "xnnpack": {"float32": Rule(form="flushed"), "int8, uint8": FLOAT32_STORE},
        "tflm": {"float32, int8, int16, int32": Rule()},
    },
    multipliers=mul_multipliers,
    xnnpack=delegated,
    quantization=OWN_SCALE,
    in_place=(0, 1),
)
def lower_mul(node: Node) -> KernelCall:
    """Lower MUL."""
    a, b, y, dtype = broadcast_operands(node)
    if dtype not in QUANTIZED:
        return lower_arithmetic(node, "mul", a, b, dtype)
    check_scales(node, a, b, y)
    real = mul_multipliers(node)["output"]
    requant = make_requant(node, real, y, fused_activation(node), modulo=True)
    # C leaves a shift by 32 or more undefined: scalar x86 code takes it modulo 32, vector code gives 0.
    vanished = int(quantize_multiplier(real[0])[1]) > 31
    block = node.rule.block if walked_in_rows(a.shape, b.shape) else 0
    return kernels.mul_call(
        dtype,
        shape1=a.shape,
        shape2=b.shape,
        input1_offset=-a.zero_point,
        input2_offset=-b.zero_point,
        requant=requant,
        body=(block, "vanished" if vanished else "saturated") if block else None,
        repeated_body=(block, "vanished" if vanished else NARROWED[dtype]) if block else None,
    )
