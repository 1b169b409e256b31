"""RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1, LEAKY_RELU, HARD_SWISH."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import activation as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.lookup import lookup_call, tabulate
from quantcore.numerics import FIXED8, FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_scales, unary_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE, OWN_SCALE_INT8
from quantcore.ops.shared.requant import FLOAT_BOUNDS, fixed_point, make_requant, quotient
from quantcore.ops.shared.version_rules import by_dtype, dtype_of
from quantcore.ops.shared.xnnpack import VALUES, delegable, float32_alone
from quantcore.requantization import in_delegate_range, to_fixed8

DTYPES = ("int8", "uint8", "float32")
DTYPES_WITH_INT16 = ("int8", "uint8", "int16", "float32")


def relu_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}``, divided in the precision of the profile's rule.

    TFLite activations.cc (ReluPrepare) divides in float32, TFLite Micro in float64.
    """
    if node.output.dtype == "float32" or node.rule.form == "unscaled":
        return {}
    return {"output": quotient(node, node.input(0).scale, node.output.scale)}


def activation_operands(node: Node) -> tuple[Operand, Operand, str]:
    """Check the operands and their scales, set the output's shape, and return ``(input, output, dtype)``."""
    x, y, dtype = unary_operands(node)
    if dtype != "float32":
        check_scales(node, x, y)
    return x, y, dtype


def relu_version(node: Node) -> int:
    """Return 3 for int16, 2 for int8, and, RELU alone, for uint8."""
    versions = {"int16": 3, "int8": 2, "uint8": 2 if node.op.op == "RELU" else 1}
    return versions.get(dtype_of(node, 0), 1)


@operator(
    "RELU",
    "RELU6",
    dtypes=DTYPES_WITH_INT16,
    max_version=3,
    version=relu_version,
    int16x8_version=2,
    rules={
        "RELU": {
            "reference": {"int8, uint8, int16": FLOAT32_QUOTIENT},
            "optimized": {"float32": Rule(), "int8, uint8, int16": FLOAT32_QUOTIENT},
            "tflm": {"float32, int8, int16": Rule()},
        },
        "RELU6": {
            "reference": {"int8, uint8, int16": FLOAT32_QUOTIENT},
            "optimized": {"float32": Rule(), "int8, uint8, int16": FLOAT32_QUOTIENT},
            "tflm": {"float32": Rule(), "int8, int16": Rule(form="unscaled")},
        },
    },
    multipliers=relu_multipliers,
    quantization=OWN_SCALE,
    in_place=(0,),
)
@operator(
    "RELU_N1_TO_1",
    "RELU_0_TO_1",
    dtypes=DTYPES,
    max_version=1,
    page="relu",
    rules={
        "reference": {"int8, uint8": FLOAT32_QUOTIENT},
        "optimized": {"float32": Rule(), "int8, uint8": FLOAT32_QUOTIENT},
    },
    multipliers=relu_multipliers,
    quantization=OWN_SCALE_INT8,
    in_place=(0,),
)
def lower_relu(node: Node) -> KernelCall:
    """Lower an unfused RELU: the bounds of the activation are those of the fused form."""
    x, y, dtype = activation_operands(node)
    if dtype == "float32":
        low, high = FLOAT_BOUNDS[node.op.op]
        unbounded = node.op.op == "RELU"
        return kernels.relu_f32_call(
            count=x.count, activation_min=low, activation_max=np.inf if unbounded else high
        )
    if node.rule.form == "unscaled":  # TFLite Micro's RELU6: stored values, clamped on the input's scale
        requant = make_requant(node, np.ones(1), x, node.op.op)
    else:
        requant = make_requant(node, relu_multipliers(node)["output"], y, node.op.op)
    if dtype == "int16":
        return kernels.relu_call(dtype, count=x.count, input_offset=0, requant=requant)
    definition = kernels.relu_call(dtype, count=256, input_offset=-x.zero_point, requant=requant)
    return lookup_call(count=x.count, table=tabulate(definition))


def leaky_relu_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the multipliers of both halves, in float32; that of alpha may be negative."""
    if node.output.dtype == "float32":
        return {}
    x, y = np.float32(node.input(0).scale), np.float32(node.output.scale)
    slope = np.float32(node.options["alpha"])
    with np.errstate(all="ignore"):
        if node.rule.form == "fixed8":
            identity, alpha = to_fixed8(x / y), to_fixed8(x / y * slope)
        elif node.rule.form == "wide":  # TFLite Micro: in float64
            wide = np.float64(x)
            identity, alpha = wide / np.float64(y), wide * np.float64(slope) / np.float64(y)
        else:
            identity, alpha = np.float64(x / y), np.float64(x * slope / y)
    return {"identity": np.array([identity]), "alpha": np.array([alpha])}


def leaky_relu_delegated(node: Node) -> bool:
    """Whether XNNPACK takes LEAKY_RELU: float32, or 8 bits with both multipliers in its range."""
    x, y = node.input(0), node.output
    if not delegable(VALUES, x, y):
        return False
    if x.dtype == "float32":
        return bool(np.isfinite(node.options["alpha"]))
    with np.errstate(all="ignore"):
        ratio = np.float32(x.scale) / np.float32(y.scale)
        alpha = ratio * np.float32(node.options["alpha"])
    return in_delegate_range(ratio) and in_delegate_range(abs(alpha))


@operator(
    "LEAKY_RELU",
    dtypes=DTYPES_WITH_INT16,
    max_version=2,
    version=by_dtype(int16=2),
    int16x8_version=2,
    rules={
        "optimized": {"float32, int8, uint8, int16": Rule()},
        "xnnpack": {"float32": Rule(form="keeps_zeros"), "int8, uint8": FIXED8},
        "tflm": {"float32": Rule(), "int8, int16": Rule(form="wide")},
    },
    multipliers=leaky_relu_multipliers,
    xnnpack=leaky_relu_delegated,
    quantization=OWN_SCALE,
    in_place=(0,),
)
def lower_leaky_relu(node: Node) -> KernelCall:
    """Lower LEAKY_RELU."""
    x, y, dtype = activation_operands(node)
    if dtype == "float32":
        keeps_zeros = node.rule.form == "keeps_zeros"
        return kernels.leaky_relu_f32_call(
            count=x.count, alpha=node.options["alpha"], keeps_zeros=keeps_zeros
        )
    real = leaky_relu_multipliers(node)
    identity_multiplier, identity_shift = fixed_point(node, real["identity"])
    size, alpha_shift = fixed_point(node, np.abs(real["alpha"]))
    negative, wide = real["alpha"][0] < 0, node.rule.form == "wide"
    alpha_multiplier = -size if negative and not wide else size

    def call(count: int) -> KernelCall:
        return kernels.leaky_relu_call(
            dtype,
            count=count,
            input_offset=-x.zero_point,
            output_offset=y.zero_point,
            identity_multiplier=identity_multiplier,
            identity_shift=identity_shift,
            alpha_multiplier=alpha_multiplier,
            alpha_shift=alpha_shift,
            rounding=node.rule.rounding,
            negates_alpha=negative and wide,
        )

    return call(x.count) if dtype == "int16" else lookup_call(count=x.count, table=tabulate(call(256)))


def hard_swish_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the multipliers of x, to the output's scale, and of the factor, x / 3 in units of 1 / 32768."""
    if node.output.dtype == "float32":
        return {}
    with np.errstate(all="ignore"):
        fine = np.float32(1 / 128) * np.float32(node.input(0).scale)  # the scale of x with 7 more bits
        output = fine / np.float32(node.output.scale)
        factor = fine / (np.float32(3) / np.float32(32768))
    return {"output": np.array([np.float64(output)]), "factor": np.array([np.float64(factor)])}


def sixteen_bits(multiplier: int) -> int:
    """Round a 32-bit fixed-point multiplier to 16 bits, saturated."""
    return min((multiplier + (1 << 15)) >> 16, 32767)


@operator(
    "HARD_SWISH",
    dtypes=DTYPES,
    max_version=1,
    rules={
        "optimized": {"float32": Rule(form="product"), "int8, uint8": Rule()},
        "xnnpack": {"float32": Rule(form="fused")},
        "tflm": {"float32, int8": Rule()},
    },
    multipliers=hard_swish_multipliers,
    xnnpack=float32_alone,
    quantization=OWN_SCALE_INT8,
    in_place=(0,),
)
def lower_hard_swish(node: Node) -> KernelCall:
    """Lower HARD_SWISH."""
    x, y, dtype = activation_operands(node)
    if dtype == "float32":
        return kernels.hard_swish_f32_call(count=x.count, form=node.rule.form)
    real = hard_swish_multipliers(node)
    output_multiplier, output_shift = fixed_point(node, real["output"])
    factor_multiplier, factor_shift = fixed_point(node, real["factor"])
    if output_shift > 0:
        raise node.refuse(
            f"input scale / output scale is {128 * real['output'][0]:g}; expected less than 128, as in TFLite"
        )
    definition = kernels.hard_swish_call(
        dtype,
        count=256,
        input_offset=-x.zero_point,
        output_offset=y.zero_point,
        output_multiplier=sixteen_bits(output_multiplier),
        output_shift=output_shift,
        reluish_multiplier=sixteen_bits(factor_multiplier),
        reluish_shift=factor_shift,
    )
    return lookup_call(count=x.count, table=tabulate(definition))
