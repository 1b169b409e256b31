"""SOFTMAX."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import _softmax as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.knots import softmax_tables
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_fixed_output, check_operands, check_symmetric, per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import fixed_point
from quantcore.ops.shared.version_rules import by_dtype

__all__ = ["FRACTION_BITS", "rows_layout", "softmax_scaling"]

FORMS = {
    "int8": ("int8", "int16"),
    "uint8": ("uint8", "int16"),
    "int16": ("int16",),
    "float32": ("float32",),
}
OUTPUTS = {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}  # scale and zero point, where input is the like
INTEGER_BITS = 5  # scaled differences are Q5.26
FRACTION_BITS = 31 - INTEGER_BITS
MAX_MULTIPLIER = 2.0**31 - 1  # larger ones make every exp but that of the maximum 0, as this one does


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator: float32 with a beta of 1."""
    return node.output.dtype == "float32" and node.options["beta"] == 1.0


def softmax_scaling(real_multiplier: float) -> tuple[int, int, int]:
    """Return ``(multiplier, left_shift, diff_min)`` for ``beta * input scale * 2**26``.

    `diff_min` is the lowest difference to the maximum that fits Q5.26 after scaling
    (TFLite quantization_util.cc: PreprocessSoftmaxScaling, CalculateInputRadius).
    """
    multiplier, left_shift = quantize_multiplier(min(real_multiplier, MAX_MULTIPLIER))
    largest = (2**INTEGER_BITS - 1) * 2**FRACTION_BITS
    return int(multiplier), int(left_shift), -(largest >> int(left_shift))


def softmax_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the scale of differences of inputs: ``beta * s_input``, times 2**26, or 65535 / 10 for int16.

    Times 2**26 it is Q5.26; times 65535 / 10 a position in the table of exp.
    """
    x = node.input(0)
    if x.dtype == "float32" or (x.dtype != "int16" and node.rule.form == "table"):
        return {}
    beta, scale = np.float32(node.options["beta"]), np.float32(x.scale)
    with np.errstate(all="ignore"):
        if x.dtype != "int16":
            return {"input": np.array([np.float64(beta) * np.float64(scale) * 2.0**FRACTION_BITS])}
        double = node.rule.form == "float32_tables"
        product = np.float64(scale) * np.float64(beta) if double else np.float64(scale * beta)
        return {"input": np.array([product / (10.0 / 65535.0)])}


def check_output(node: Node) -> None:
    """Refuse scales and zero points of the output that TFLite refuses, or that have no meaning."""
    x, y = node.input(0), node.output
    per_tensor(node, x, y)
    if x.dtype != y.dtype or x.dtype == "uint8":
        return
    check_fixed_output(node, *OUTPUTS[y.dtype], tolerance=0.001)
    check_symmetric(node, x)


def rows_layout(node: Node) -> dict[str, int]:
    """Return the input as rows of the last dimension; refuse a scalar."""
    shape = node.input(0).shape
    if not shape:
        raise node.refuse("input is a scalar; expected at least one dimension")
    return {"rows": math.prod(shape[:-1]) if shape[-1] else 0, "depth": shape[-1]}


def check_depth(node: Node, depth: int) -> None:
    """Refuse rows whose sum of exps, for an int16 output, may not fit."""
    limit = kernels.MAX_SUMMANDS[node.input(0).dtype]
    if depth > limit:
        raise node.refuse(f"rows have {depth} values; with int16 at most {limit} are supported")


@operator(
    "SOFTMAX",
    dtypes=("int8", "uint8", "int16", "float32"),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    rules={
        "optimized": {"float32": APPROXIMATE, "int8, uint8, int16": Rule(form="table")},
        "xnnpack": {"float32": APPROXIMATE},
        "tflm": {"float32, int8": Rule(), "int16": Rule(form="float32_tables")},
    },
    multipliers=softmax_multipliers,
    xnnpack=delegated,
    quantization=replace(OWN_SCALE, fixed_output=OUTPUTS),
)
def lower_softmax(node: Node) -> KernelCall:
    """Lower SOFTMAX over the last dimension."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    if y.dtype not in FORMS.get(x.dtype, ()):
        known = ", ".join(f"{a} to {' or '.join(b)}" for a, b in FORMS.items())
        raise node.refuse(f"input and output have dtypes {x.dtype} and {y.dtype}; supported: {known}")
    y.shape = x.shape
    layout = rows_layout(node)
    beta = node.options["beta"]
    if x.dtype == "float32":
        return kernels.softmax_f32_call(**layout, beta=beta)
    check_output(node)
    if x.dtype == "int16":
        return lower_int16(node, layout)
    if node.rule.form == "table":
        return kernels.softmax_table_call(
            x.dtype,
            y.dtype,
            **layout,
            input_scale=x.scale,
            beta=beta,
            output_scale=y.scale,
            output_zero_point=y.zero_point,
        )
    return lower_fixed_point(node, layout)


def lower_fixed_point(node: Node, layout: dict[str, int]) -> KernelCall:
    """Lower the reference form on 8 bits, whose exps are fixed point."""
    x, y = node.input(0), node.output
    if y.dtype == "int16":
        check_depth(node, layout["depth"])
    (real_multiplier,) = softmax_multipliers(node)["input"]
    if not real_multiplier > 1:
        raise node.refuse(
            f"beta * input scale is {real_multiplier / 2.0**FRACTION_BITS:g}; expected more than 2**-26 "
            "(TFLite aborts otherwise)"
        )
    multiplier, left_shift, diff_min = softmax_scaling(float(real_multiplier))
    return kernels.softmax_call(
        x.dtype, y.dtype, **layout, multiplier=multiplier, left_shift=left_shift, diff_min=diff_min
    )


def lower_int16(node: Node, layout: dict[str, int]) -> KernelCall:
    """Lower the form on int16, which is the same in every profile."""
    check_depth(node, layout["depth"])
    multiplier, shift = fixed_point(node, softmax_multipliers(node)["input"])
    kind = np.float32 if node.rule.form == "float32_tables" else np.float64
    exps, reciprocals = softmax_tables(kind)
    return kernels.softmax_s16_call(
        **layout,
        multiplier=multiplier,
        shift=shift,
        exp_table=exps,
        reciprocal_table=reciprocals,
    )
