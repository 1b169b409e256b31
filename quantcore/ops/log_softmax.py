"""LOG_SOFTMAX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import log_softmax as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_fixed_output, per_tensor, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.version_rules import by_dtype
from quantcore.ops.softmax import FRACTION_BITS, rows_layout, softmax_scaling

OUTPUTS = {"int8": (1 / 16, 127), "uint8": (1 / 16, 255)}  # scale and zero point
MAX_DEPTH = 4095  # as many exps of 1 fit the sum of Q12.19
MAX_SCALE = 1e34  # times 255 and 16 it is still a float32
LEAST_MULTIPLIER = 2.0  # TFLite forms its inverse as a fixed-point number below 1


def log_softmax_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"input": s_input * 2**26}``, which makes a difference of inputs a Q5.26 number."""
    if node.output.dtype == "float32" or node.rule.form == "table":
        return {}
    return {"input": np.array([np.float64(node.input(0).scale) * 2.0**FRACTION_BITS])}


@operator(
    "LOG_SOFTMAX",
    dtypes=("int8", "uint8", "float32"),
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    rules={
        "optimized": {"float32": APPROXIMATE, "int8, uint8": Rule(form="table")},
        "tflm": {"float32, int8": Rule()},
    },
    multipliers=log_softmax_multipliers,
    quantization=replace(OWN_SCALE_INT8, fixed_output={"int8": OUTPUTS["int8"]}),
)
def lower_log_softmax(node: Node) -> KernelCall:
    """Lower LOG_SOFTMAX over the last dimension."""
    x, y, dtype = unary_operands(node)
    layout = rows_layout(node)
    if dtype == "float32":
        return kernels.log_softmax_f32_call(**layout)
    per_tensor(node, x, y)
    check_fixed_output(node, *OUTPUTS[dtype])
    if node.rule.form == "table":
        if not x.scale < MAX_SCALE:
            raise node.refuse(f"the input's scale is {x.scale}; expected less than {MAX_SCALE:g}")
        return kernels.log_softmax_table_call(
            dtype, **layout, input_scale=x.scale, output_scale=y.scale, output_zero_point=y.zero_point
        )
    return lower_fixed_point(node, layout)


def lower_fixed_point(node: Node, layout: dict[str, int]) -> KernelCall:
    """Lower the reference form on 8 bits."""
    if layout["depth"] > MAX_DEPTH:
        raise node.refuse(f"rows have {layout['depth']} values; at most {MAX_DEPTH} are supported")
    (real,) = log_softmax_multipliers(node)["input"]
    if not real >= LEAST_MULTIPLIER:
        raise node.refuse(f"the input's scale is {node.input(0).scale}; expected at least 2**-25")
    multiplier, left_shift, diff_min = softmax_scaling(float(real))
    reverse, reverse_shift = quantize_multiplier(2.0 ** (31 - left_shift) / multiplier)
    return kernels.log_softmax_call(
        node.output.dtype,
        **layout,
        multiplier=multiplier,
        left_shift=left_shift,
        diff_min=diff_min,
        reverse_multiplier=int(reverse),
        reverse_shift=int(reverse_shift),
    )
