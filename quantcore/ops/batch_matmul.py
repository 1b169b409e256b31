"""BATCH_MATMUL."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels import _batch_matmul as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.matmul_shape import MatmulShape, matmul_shape
from quantcore.numerics import FLOAT_PRODUCT, SUMMED, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_operands, check_scales
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import make_requant, product_multiplier
from quantcore.ops.shared.version_rules import dtype_of, is_hybrid
from quantcore.ops.shared.xnnpack import delegable

# dtypes of both inputs and the output
FORMS = {
    ("int8", "int8", "int8"): "s8",
    ("int16", "int16", "int16"): "s16",
    ("int8", "int8", "int32"): "s8_s32",
    ("float32", "float32", "float32"): "f32",
    ("float32", "int8", "float32"): "hybrid",
}


def matmul_geometry(node: Node) -> MatmulShape:
    """Check the shapes, set the output's, and return the geometry."""
    a, b = node.input(0).shape, node.input(1).shape
    try:
        shape, node.output.shape = matmul_shape(a, b, node.options["adj_x"], node.options["adj_y"])
    except KernelError as error:
        raise node.refuse(str(error)) from None
    return shape


def matmul_form(node: Node) -> str:
    """Return ``s8``, ``s16``, ``s8_s32``, ``f32`` or ``hybrid``, by the dtypes of the operands."""
    check_operands(node, 2)
    found = (node.input(0).dtype, node.input(1).dtype, node.output.dtype)
    if found not in FORMS:
        known = "; ".join(" * ".join(form[:2]) + " to " + form[2] for form in FORMS)
        raise node.refuse(f"operands are {found[0]} * {found[1]} to {found[2]}; supported: {known}")
    return FORMS[found]


def matmul_macs(node: Node) -> int:
    """Return the multiply-accumulates."""
    a = node.input(0).shape
    return math.prod(node.output.shape) * (a[-2] if node.options["adj_x"] else a[-1])


def matmul_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_1 * s_2 / s_output}`` of the quantized forms, else nothing."""
    if node.output.dtype not in ("int8", "int16"):
        return {}
    return {"output": product_multiplier(node, node.input(0).scale, node.input(1).scale, node.output.scale)}


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator: all float32, all int8, or float32 with constant int8 weights."""
    a, b, y = node.input(0), node.input(1), node.output
    if a.dtype == "float32" and b.dtype == "int8":
        return b.tensor.data is not None and y.dtype == "float32"
    return len({a.dtype, b.dtype, y.dtype}) == 1 and delegable(("float32", "int8"), a, b, y)


def batch_matmul_version(node: Node) -> int:
    """Return the version of BATCH_MATMUL: 4 where inputs are quantized asymmetrically at run time."""
    if is_hybrid(node) and node.options["asymmetric_quantize_inputs"]:
        return 4
    return {"int16": 3, "int8": 2}.get(dtype_of(node, 0), 1)


@operator(
    "BATCH_MATMUL",
    dtypes=("int8", "int16", "float32", "hybrid"),
    max_version=4,
    version=batch_matmul_version,
    int16x8_version=2,
    rules={
        "reference": {"int8, int16": FLOAT_PRODUCT},
        "optimized": {"float32": SUMMED, "hybrid, int32": Rule(), "int8, int16": FLOAT_PRODUCT},
        "xnnpack": {
            "float32": SUMMED,
            "hybrid": Rule(form="fma"),
            "int8": Rule("float32", "float32", form="symmetric_rhs"),
        },
        "tflm": {"float32, int8, int16": Rule()},
    },
    macs=matmul_macs,
    multipliers=matmul_multipliers,
    xnnpack=delegated,
    quantization=replace(OWN_SCALE, dynamic_weights={1: None}, asymmetric_quantize_inputs=True),
)
def lower_batch_matmul(node: Node) -> KernelCall:
    """Lower BATCH_MATMUL."""
    form = matmul_form(node)
    geometry = matmul_geometry(node)
    a, b, y = node.input(0), node.input(1), node.output
    if form in ("f32", "s8_s32"):
        return kernels.batch_matmul_call(a.dtype, geometry)
    if form == "hybrid":
        return lower_hybrid(node, geometry)
    check_scales(node, a, b, y)
    real = matmul_multipliers(node)["output"]
    return kernels.batch_matmul_call(
        a.dtype,
        geometry,
        lhs_offset=-a.zero_point,
        rhs_offset=0 if node.rule.form == "symmetric_rhs" else -b.zero_point,
        requant=make_requant(node, real, y, rounding="int16_multiplier" if form == "s16" else None),
    )


def lower_hybrid(node: Node, geometry: MatmulShape) -> KernelCall:
    """Lower float32 times int8 weights."""
    w = node.input(1)
    columns = node.output.shape[-1]
    if w.scales.size not in (1, columns) or not (np.isfinite(w.scales).all() and (w.scales > 0).all()):
        raise node.refuse(
            f"the weights have {w.scales.size} scales; expected one, or one per column ({columns}), positive"
        )
    asymmetric = node.options["asymmetric_quantize_inputs"]
    if asymmetric and node.rule.form != "fma" and math.prod(w.shape[:-2]) != 1:
        raise node.refuse(
            f"asymmetric_quantize_inputs is set, and the weights have shape {w.shape}; expected a single "
            "matrix (TFLite takes the sums of another one)"
        )
    return kernels.batch_matmul_hybrid_call(
        geometry, asymmetric=asymmetric, weight_scale=w.scales, fma=node.rule.form == "fma"
    )
