"""SVDF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.kernels import _svdf as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.convolution import may_contain_minimum
from quantcore.ops.shared.operands import check_dtypes, check_operands, check_variable, per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import fused_activation, make_requant, open_float_bounds
from quantcore.ops.shared.version_rules import dtype_of, hybrid_version

Shape = tuple[int, int, int, int, int]  # batches, inputs, filters, memory, rank


def svdf_macs(node: Node) -> int:
    """Return the multiply-accumulates: those of the features, and those over time."""
    batches, inputs, filters, memory, _ = svdf_shape(node)
    return batches * filters * (inputs + memory)


def svdf_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the factors from the sum over the features to the state, and over time to the output.

    All steps are rounded to float32.
    """
    if node.input(0).dtype != "int8":
        return {}
    x, features, times, state = (node.input(k).scale for k in (0, 1, 2, 4))
    with np.errstate(all="ignore"):
        factors = {"state": x * features / state, "output": state * times / node.output.scale}
    return {role: np.array([factor], np.float64) for role, factor in factors.items()}


def svdf_shape(node: Node) -> Shape:
    """Return the sizes, after checking that the operands agree on them."""
    x, features, times, state = (node.input(k) for k in (0, 1, 2, 4))
    for role, operand in (
        ("input", x),
        ("feature weights", features),
        ("time weights", times),
        ("state", state),
    ):
        if len(operand.shape) != 2 or 0 in operand.shape:
            raise node.refuse(f"{role} has shape {operand.shape}; expected two dimensions of at least 1")
    batches, inputs = x.shape
    filters, memory = times.shape
    rank = node.options["rank"]
    if rank < 1 or filters % rank:
        raise node.refuse(f"rank is {rank}; expected a divisor of the {filters} filters")
    for role, operand, expected in (
        ("feature weights", features, (filters, inputs)),
        ("state", state, (batches, filters * memory)),
    ):
        if operand.shape != expected:
            raise node.refuse(f"{role} has shape {operand.shape}; expected {expected}")
    bias = node.optional_input(3)
    if bias is not None and bias.shape != (filters // rank,):
        raise node.refuse(f"bias has shape {bias.shape}; expected {(filters // rank,)}")
    return batches, inputs, filters, memory, rank


def lower_quantized(node: Node, shape: Shape) -> KernelCall:
    """Lower int8 SVDF. The activation is ignored, as TFLite and TFLite Micro do."""
    x, features, times, state = (node.input(k) for k in (0, 1, 2, 4))
    check_dtypes(node, ("int8",), x, features, node.output)
    dtype = check_dtypes(node, ("int8", "int16"), times, state)
    check_bias_dtype(node, "int32")
    per_tensor(node, x, state, node.output)
    factors = svdf_multipliers(node)
    # An int8 state is TFLite Micro's: TFLite reads it as int16. An int16 state is symmetric for TFLite.
    offset = state.zero_point if dtype == "int8" or node.rule.form == "tflm" else 0
    return kernels.svdf_call(
        dtype,
        shape,
        input_offset=-x.zero_point,
        state_offset=offset,
        # clamped before its zero point is added
        to_state=make_requant(node, factors["state"], state, offset=0),
        output=make_requant(node, factors["output"], node.output),
        features=features.value,
    )


def lower_float(node: Node, shape: Shape) -> KernelCall:
    """Lower float32 SVDF, or the hybrid form with int8 weights."""
    x, features, times, state = (node.input(k) for k in (0, 1, 2, 4))
    check_dtypes(node, ("float32",), x, state, node.output)
    hybrid = check_dtypes(node, ("float32", "int8"), features, times) == "int8"
    check_bias_dtype(node, "float32")
    micro = node.rule.form == "tflm"
    tanh = fused_activation(node) == "TANH"
    low, high = (0, 0) if tanh else open_float_bounds(node)
    sizes = {"micro": micro, "tanh": tanh, "activation_min": low, "activation_max": high}
    if not hybrid:
        return kernels.svdf_f32_call(shape, **sizes)
    per_tensor(node, features, times)
    return kernels.svdf_f32_call(
        shape,
        **sizes,
        hybrid=True,
        asymmetric=node.options["asymmetric_quantize_inputs"],
        sign_overflow=may_contain_minimum(features),
        feature_scale=features.scale,
        time_scale=times.scale,
    )


def check_bias_dtype(node: Node, dtype: str) -> None:
    """Refuse a bias of another dtype."""
    bias = node.optional_input(3)
    if bias is not None:
        check_dtypes(node, (dtype,), bias)


def svdf_version(node: Node) -> int:
    """Return the version of SVDF: 3 for int8, 4 and 2 for hybrid weights."""
    if dtype_of(node, 0) == "int8":
        return 3
    version = hybrid_version(node, 1)
    return 4 if version == 3 else version


@operator(
    "SVDF",
    dtypes=("int8", "float32", "hybrid"),
    max_version=4,
    version=svdf_version,
    int16x8_version=3,
    rules={
        "reference": {"int8": FLOAT32_QUOTIENT},
        "optimized": {"float32, hybrid": Rule(), "int8": FLOAT32_QUOTIENT},
        "tflm": {"float32": Rule(form="tflm"), "int8": Rule(product="float32", form="tflm")},
    },
    macs=svdf_macs,
    multipliers=svdf_multipliers,
    quantization=replace(
        OWN_SCALE_INT8,
        weights={1: None},
        int16_weights={2: 2**9},
        bias=(3, 2, 4),
        state={4: "int16"},
        dynamic_weights={1: None, 2: None},
        asymmetric_quantize_inputs=True,
    ),
)
def lower_svdf(node: Node) -> KernelCall:
    """Lower SVDF: feature products enter a queue, whose products over time are summed over the rank."""
    check_operands(node, 5)
    shape = svdf_shape(node)
    check_variable(node, node.input(4))
    node.output.shape = (shape[0], shape[2] // shape[4])
    return (lower_float if node.input(0).dtype == "float32" else lower_quantized)(node, shape)
