"""Functions of one element: ABS, NEG, SQUARE, SQRT, RSQRT, EXP, LOG, SIN, COS, FLOOR, CEIL, ROUND, SIGN."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import unary as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.knots import on_arrays
from quantcore.numerics import APPROXIMATE, FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.function_table import lower_function, lower_table
from quantcore.ops.shared.operands import check_scales, per_tensor, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE, OWN_SCALE_INT8
from quantcore.ops.shared.requant import make_requant, quotient
from quantcore.ops.shared.version_rules import by_dtype
from quantcore.ops.shared.xnnpack import float32_alone

QUANTIZED = ("int8", "int16")


@operator(
    "SQUARE",
    "FLOOR",
    "CEIL",
    dtypes=("float32",),
    max_version=1,
    rules={"optimized": {"float32": Rule()}, "tflm": {"float32": Rule()}},
)
@operator(
    "ROUND",
    dtypes=("float32",),
    max_version=1,
    page="square",
    rules={
        "optimized": {"float32": Rule()},
        "xnnpack": {"float32": Rule(form="rint")},
        "tflm": {"float32": Rule()},
    },
    xnnpack=float32_alone,
)
@operator(
    "SIN",
    "COS",
    dtypes=("float32",),
    max_version=1,
    page="exp",
    rules={
        "optimized": {"float32": Rule()},
        "xnnpack": {"float32": APPROXIMATE},
        "tflm": {"float32": Rule()},
    },
    xnnpack=float32_alone,
)
@operator(
    "SIGN",
    dtypes=("float32", "int32"),
    max_version=2,
    version=by_dtype(int32=2),
    page="abs",
    rules={"optimized": {"float32, int32": Rule()}},
)
@operator(
    "NEG",
    dtypes=("float32", "int8", "int16", "int32", "int64"),
    max_version=1,
    page="abs",
    rules={"optimized": {"float32, int8, int16, int32, int64": Rule()}, "tflm": {"float32": Rule()}},
)
def lower_exactly(node: Node) -> KernelCall:
    """Lower a function of stored values, whatever the scales.

    ROUND in the form ``rint`` keeps the sign of what is rounded to zero.
    """
    x, _, dtype = unary_operands(node)
    return kernels.unary_call("RINT" if node.rule.form == "rint" else node.op.op, dtype, count=x.count)


def abs_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}``."""
    if node.output.dtype not in QUANTIZED or not node.input(0).quantized:
        return {}
    return {"output": quotient(node, node.input(0).scale, node.output.scale)}


@operator(
    "ABS",
    dtypes=("float32", "int8", "int16", "int32"),
    max_version=5,
    registered={"BUILTIN_REF": 3},
    version=by_dtype(int8=2, uint8=2, int16=3, int32=5),
    int16x8_version=2,
    rules={
        "reference": {"int8, int16": FLOAT32_QUOTIENT},
        "optimized": {"float32, int32": Rule(), "int8, int16": FLOAT32_QUOTIENT},
        "tflm": {"float32, int8, int16": Rule()},
    },
    multipliers=abs_multipliers,
    quantization=OWN_SCALE,
)
def lower_abs(node: Node) -> KernelCall:
    """Lower ABS: with scales, or on stored values (float32, int32, int16 without a scale)."""
    x, y, dtype = unary_operands(node)
    if dtype not in QUANTIZED or (dtype == "int16" and not x.quantized):
        return kernels.unary_call("ABS", dtype, count=x.count)
    check_scales(node, x, y)
    return kernels.abs_call(
        dtype,
        count=x.count,
        input_offset=-x.zero_point,
        requant=make_requant(node, abs_multipliers(node)["output"], y),
    )


@operator(
    "SQRT",
    dtypes=("float32", *QUANTIZED),
    max_version=2,
    version=by_dtype(int8=2, int16=2),
    rules={
        "optimized": {"float32, int8, int16": Rule()},
        "xnnpack": {"float32": APPROXIMATE},
        "tflm": {"float32": Rule()},
    },
    xnnpack=float32_alone,
    quantization=OWN_SCALE_INT8,
)
def lower_sqrt(node: Node) -> KernelCall:
    """Lower SQRT."""
    x, y, dtype = unary_operands(node)
    if dtype == "float32":
        return kernels.unary_call("SQRT", dtype, count=x.count)
    per_tensor(node, x, y)
    return kernels.sqrt_call(
        dtype,
        count=x.count,
        input_scale=x.scale,
        input_zero_point=x.zero_point,
        output_scale=y.scale,
        output_zero_point=y.zero_point,
    )


RSQRT_BITS = 20  # that 1 / sqrt(integer) keeps below the point


def rsqrt_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": 1 / (sqrt(s_input) * s_output)}``; the reciprocal is in float64."""
    if node.output.dtype not in QUANTIZED:
        return {}
    precision = np.float32 if node.rule.product == "float32" else np.float64
    product = np.sqrt(precision(node.input(0).scale)) * precision(node.output.scale)
    with np.errstate(all="ignore"):
        return {"output": np.array([1 / np.float64(product)])}


@operator(
    "RSQRT",
    dtypes=("float32", *QUANTIZED),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    rules={
        "reference": {"int8, int16": FLOAT32_QUOTIENT},
        "optimized": {"float32": Rule(), "int8, int16": FLOAT32_QUOTIENT},
        "xnnpack": {"float32": APPROXIMATE},
        "tflm": {"float32, int8": Rule(), "int16": Rule(form="newton")},
    },
    multipliers=rsqrt_multipliers,
    xnnpack=float32_alone,
    quantization=OWN_SCALE,
)
def lower_rsqrt(node: Node) -> KernelCall:
    """Lower RSQRT; int16 by a table, or by the rule of int8 where the profile names form ``newton``."""
    x, y, dtype = unary_operands(node)
    if dtype == "float32":
        return kernels.unary_call("RSQRT", dtype, count=x.count)
    check_scales(node, x, y)
    if dtype == "int16" and node.rule.form != "newton":
        largest = np.float32(32767) * np.float32(y.scale)
        rsqrt = on_arrays("RSQRT")
        return lower_table(node, lambda v: np.where(v <= 0, largest, rsqrt(np.maximum(v, 0))), lowest=0)
    real = rsqrt_multipliers(node)["output"]
    return kernels.rsqrt_call(
        dtype, count=x.count, input_offset=-x.zero_point, requant=make_requant(node, real / 2**RSQRT_BITS, y)
    )


@operator(
    "EXP",
    dtypes=("float32", *QUANTIZED),
    max_version=2,
    version=by_dtype(int8=2, int16=2),
    int16x8_version=2,
    rules={
        "optimized": {"float32, int8, int16": Rule()},
        "xnnpack": {"float32": APPROXIMATE},
        "tflm": {"float32": Rule()},
    },
    xnnpack=float32_alone,
    quantization=OWN_SCALE,
)
def lower_exp(node: Node) -> KernelCall:
    """Lower EXP."""
    return lower_function(node, "EXP")


@operator(
    "LOG",
    dtypes=("float32", *QUANTIZED),
    max_version=2,
    version=by_dtype(int8=2, int16=2),
    int16x8_version=2,
    page="exp",
    rules={"optimized": {"float32, int8, int16": Rule()}, "tflm": {"float32": Rule()}},
    quantization=OWN_SCALE,
)
def lower_log(node: Node) -> KernelCall:
    """Lower LOG; quantized, the logarithm of 0 and below is the least value of the output."""
    x, y, dtype = unary_operands(node)
    if dtype == "float32":
        return kernels.unary_call("LOG", dtype, count=x.count)
    check_scales(node, x, y)
    log = on_arrays("LOG")
    least = np.float32(np.iinfo(dtype).min - y.zero_point) * np.float32(y.scale)
    return lower_table(node, lambda v: np.where(v <= 0, least, log(np.where(v <= 0, 1, v))))
