"""REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ANY and REDUCE_ALL."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import reduce as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_scales, same_parameters
from quantcore.ops.shared.quantization_rule import OWN_SCALE, SAME_SCALE
from quantcore.ops.shared.reduction import (
    QUANTIZED,
    REDUCED,
    delegated_reduction,
    reduction_operands,
    starts_with_first,
)
from quantcore.ops.shared.requant import make_requant
from quantcore.ops.shared.version_rules import by_dtype


@operator(
    "REDUCE_MAX",
    "REDUCE_MIN",
    dtypes=REDUCED,
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    rules={
        "reference": {"float32": Rule(form="whole")},
        "optimized": {"float32": Rule(form="first"), "int8, uint8, int16, int32, int64": Rule()},
        "xnnpack": {"float32": APPROXIMATE, "int8, uint8": Rule()},
        "tflm": {"float32, int8": Rule()},
    },
    xnnpack=delegated_reduction,
    quantization=SAME_SCALE,
)
def lower_extreme(node: Node) -> KernelCall:
    """Lower REDUCE_MAX or REDUCE_MIN, which compare values as stored."""
    dtype, axes = reduction_operands(node)
    x, y = node.input(0), node.output
    if dtype in QUANTIZED:
        same_parameters(node, x, y)
    operation = "max" if node.op.op == "REDUCE_MAX" else "min"
    if dtype == "float32" and node.rule.form == "first":
        operation += "_later"
    first = dtype == "float32" and starts_with_first(node, axes)
    return kernels.reduce_call(dtype, operation, shape=x.shape, axes=axes, from_first=first)


def product_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"step": s_input / s_output ** (1 / elements)}`` of the quantized form."""
    x, y = node.input(0), node.output
    if x.dtype not in QUANTIZED or not x.quantized or not x.count or not y.count:
        return {}
    elements = x.count // y.count
    with np.errstate(all="ignore"):
        return {"step": np.array([float(x.scale) / float(y.scale) ** (1.0 / elements)])}


@operator(
    "REDUCE_PROD",
    dtypes=REDUCED,
    max_version=2,
    version=by_dtype(int8=2, int16=2),
    int16x8_version=2,
    rules={
        "reference": {"float32": Rule(form="whole")},
        "optimized": {"float32, int8, uint8, int16, int32, int64": Rule(form="first")},
    },
    multipliers=product_multipliers,
    quantization=OWN_SCALE,
)
def lower_product(node: Node) -> KernelCall:
    """Lower REDUCE_PROD; integers without scales wrap."""
    dtype, axes = reduction_operands(node)
    x, y = node.input(0), node.output
    if dtype not in QUANTIZED or not x.quantized:
        if dtype in QUANTIZED:
            same_parameters(node, x, y)
        first = dtype == "float32" and starts_with_first(node, axes)
        return kernels.reduce_call(dtype, "product", shape=x.shape, axes=axes, from_first=first)
    if dtype == "uint8":
        raise node.refuse("dtype is uint8 with a scale; TFLite takes int8 and int16 only")
    check_scales(node, x, y)
    if not x.count:
        raise node.refuse(
            f"input has shape {x.shape}; TFLite leaves a quantized product of nothing undefined"
        )
    if node.rule.form == "first" and all(x.shape[d] == 1 for d in axes):
        raise node.refuse(
            f"no dimension of {x.shape} is reduced; TFLite's optimized kernel reads outside its memory then"
        )
    step = product_multipliers(node)["step"]
    requant = make_requant(node, step, y, rounding="int16_multiplier")
    return kernels.scaled_product_call(
        dtype, shape=x.shape, axes=axes, input_zero_point=x.zero_point, requant=requant
    )


@operator(
    "REDUCE_ANY",
    "REDUCE_ALL",
    dtypes=("bool",),
    max_version=1,
    rules={
        "REDUCE_ANY": {"optimized": {"bool": Rule()}},
        "REDUCE_ALL": {"optimized": {"bool": Rule()}, "tflm": {"bool": Rule()}},
    },
)
def lower_logical(node: Node) -> KernelCall:
    """Lower REDUCE_ANY or REDUCE_ALL."""
    _, axes = reduction_operands(node)
    operation = "any" if node.op.op == "REDUCE_ANY" else "all"
    return kernels.reduce_call("bool", operation, shape=node.input(0).shape, axes=axes)
