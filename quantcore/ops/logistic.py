"""LOGISTIC and TANH."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import logistic as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.lookup import lookup_call
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_scales, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import power_of_two
from quantcore.ops.shared.version_rules import by_dtype
from quantcore.ops.shared.xnnpack import VALUES, delegable

# int16 inputs that need no other factor than 3 for the table: Q3.12, and for TANH one bit more
SHIFTS = {"logistic": (0,), "tanh": (0, 1)}
TABLE_STEPS = 3 * 4096  # of qc_sigmoid_table in 1.0


def fixed_table(node: Node, function: str, x: Operand, y: Operand) -> np.ndarray:
    """Return TFLite Micro's int8 table: the input becomes a Q4.27 number, 15 and beyond saturate."""
    if function == "logistic" and y.zero_point != -128:
        raise node.refuse(f"output has zero point {y.zero_point}; expected -128, as in TFLite Micro")
    multiplier, left_shift = quantize_multiplier(np.float64(x.scale) * 2**27)
    if not 0 <= left_shift <= 62:
        raise node.refuse(f"input has scale {x.scale}; expected 2**-28 to 2**35, beyond which C is undefined")
    table: np.ndarray = kernels.fixed_function_table(
        function,
        input_zero_point=x.zero_point,
        multiplier=multiplier,
        left_shift=left_shift,
        radius=15 * 2**27 // 2 ** int(left_shift),
    )
    return table


def lower_int16(node: Node, function: str, x: Operand, y: Operand) -> KernelCall:
    """Lower the int16 form: by interpolation in a table, or in fixed point (form ``fixed``)."""
    if power_of_two(y.scale) != -15:
        raise node.refuse(f"output has scale {y.scale}; expected 2**-15, as TFLite does")
    exponent = power_of_two(x.scale)
    shift = None if exponent is None else exponent + 12
    if shift in SHIFTS[function]:
        if node.rule.form == "fixed":
            return kernels.sigmoid_fixed_call(function, count=x.count, left_shift=shift)
        return kernels.sigmoid_s16_call(function, count=x.count, multiplier=3 << shift, right_shift=0)
    multiplier, right_shift = float(x.scale) * TABLE_STEPS, 0
    while multiplier <= 32767 / 2 and right_shift <= 30:
        multiplier, right_shift = 2 * multiplier, right_shift + 1
    if multiplier >= 32768:
        raise node.refuse(f"input has scale {x.scale}; expected less than 2.667, beyond which C is undefined")
    return kernels.sigmoid_s16_call(
        function, count=x.count, multiplier=int(multiplier), right_shift=right_shift
    )


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator: float32, or 8 bits with one scale."""
    return delegable(VALUES, node.input(0), node.output)


@operator(
    "LOGISTIC",
    "TANH",
    dtypes=("int8", "uint8", "int16", "float32"),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    page={"LOGISTIC": "logistic", "TANH": "tanh"},
    rules={
        "optimized": {"float32": Rule(form="eigen"), "int8, uint8": Rule(), "int16": Rule(form="fixed")},
        "xnnpack": {"float32": APPROXIMATE, "int8, uint8": Rule(form="xnnpack")},
        "tflm": {"float32, int16": Rule(), "int8": Rule(form="fixed31")},
    },
    xnnpack=delegated,
    in_place=(0,),
    quantization={
        "LOGISTIC": replace(OWN_SCALE, fixed_output={"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}),
        "TANH": replace(OWN_SCALE, fixed_output={"int8": (1 / 128, 0), "int16": (1 / 32768, 0)}),
    },
)
def lower_logistic(node: Node) -> KernelCall:
    """Lower LOGISTIC and TANH."""
    function = node.op.op.lower()
    x, y, dtype = unary_operands(node)
    if dtype == "float32":
        eigen = node.rule.form in ("eigen", "approximate")  # which is also close to XNNPACK
        return kernels.function_f32_call(f"{function}_eigen" if eigen else function, count=x.count)
    check_scales(node, x, y)
    if dtype == "int16":
        return lower_int16(node, function, x, y)
    if function == "logistic" and y.scale != 1 / 256:
        raise node.refuse(f"output has scale {y.scale}; expected 1/256, as TFLite does")
    if node.rule.form == "fixed31":
        return lookup_call(count=x.count, table=fixed_table(node, function, x, y))
    if y.scale < 2**-30:
        raise node.refuse(f"output has scale {y.scale}; expected at least 2**-30, below which C is undefined")
    table = kernels.function_table(
        function,
        dtype,
        input_scale=x.scale,
        input_zero_point=x.zero_point,
        output_scale=y.scale,
        output_zero_point=y.zero_point,
        xnnpack=node.rule.form == "xnnpack",
    )
    return lookup_call(count=x.count, table=table)
