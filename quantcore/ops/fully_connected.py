"""FULLY_CONNECTED."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.kernels import _fully_connected as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import FLOAT32_STORE, SUMMED, Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.convolution import (
    FORMS,
    accumulator_bound,
    bias_type,
    check_bias,
    check_bias_scale,
    check_filter_scales,
    check_packed_filter,
    check_quantization,
    check_symmetric_filter,
    filter_codes,
    filter_macs,
    may_contain_minimum,
    output_multipliers,
    product_operands,
)
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.requant import (
    FLOAT_BOUNDS,
    float_bounds,
    fused_activation,
    make_requant,
    open_float_bounds,
    product_multiplier,
)
from quantcore.ops.shared.version_rules import dtype_of, has_bias_type, is_hybrid, per_channel
from quantcore.ops.shared.xnnpack import (
    MAX_DELEGATED_RANK,
    VALUES,
    check_requantization_scale,
    constant,
    delegable,
)

FULLY_CONNECTED_FORMS = {
    **FORMS,
    ("int16", "int8"): "int16",
    ("int8", "int4"): "int8",
    ("int16", "int4"): "int16",
    ("float32", "int4"): "hybrid",
}


def output_shape(node: Node) -> tuple[int, ...]:
    """Return the shape of the output: the input flattened to rows of the filter's depth, or its rank kept.

    Elements that do not fill a row are ignored, as TFLite does.
    """
    x, w = node.input(0), node.input(1)
    if len(w.shape) != 2 or w.shape[1] < 1:
        raise node.refuse(f"filter has shape {w.shape}; expected (units, depth) with a depth of at least 1")
    units, depth = w.shape
    if not node.options["keep_num_dims"]:
        return (x.count // depth, units)
    if not x.shape or x.shape[-1] != depth:
        raise node.refuse(f"input has shape {x.shape}; with keep_num_dims its last dimension must be {depth}")
    return (*x.shape[:-1], units)


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the operator.

    It wants a filter and a bias that are stored in the file (float32 ones may be computed), and a bias with a
    scale.
    """
    if len(node.inputs) not in (2, 3) or len(node.outputs) != 1 or node.op.version == 8:
        return False
    x, w, bias, y = node.input(0), node.input(1), node.optional_input(2), node.output
    return (
        delegable(VALUES, x)
        and delegable((x.dtype,), y)
        and takes_filter(x, w)
        and (bias is None or takes_bias(bias, w))
        and node.options["weights_format"] == "DEFAULT"
        and fused_activation(node) in FLOAT_BOUNDS
    )


def takes_filter(x: Operand, w: Operand) -> bool:
    """Whether XNNPACK takes the filter `w` with inputs `x`."""
    if len(w.shape) != 2:
        return False
    if w.dtype == "float32":
        return x.dtype == "float32"
    quantization = w.tensor.quantization
    if w.dtype == "int4":
        per_unit = w.quantized and w.scales.size == w.shape[0]
        return constant(w) and x.dtype in ("int8", "float32") and per_unit and w.shape[1] % 2 == 0
    return (
        constant(w)
        and w.quantized
        and quantization is not None
        and w.dtype == ("int8" if x.dtype == "float32" else x.dtype)
        and (quantization.quantized_dimension == 0 or (w.dtype == "int8" and w.scales.size == 1))
    )


def takes_bias(bias: Operand, w: Operand) -> bool:
    """Whether XNNPACK takes the bias with filter `w`."""
    if bias.dtype == "float32":
        return w.dtype in ("float32", "int8", "int4")
    quantization = bias.tensor.quantization
    return (
        bias.dtype == "int32"
        and constant(bias)
        and bias.quantized
        and quantization is not None
        and quantization.quantized_dimension == 0
        and bias.zero_point == 0
    )


def check_delegated_shape(node: Node) -> None:
    """Refuse shapes that XNNPACK takes and then cannot run: it is an error then, and not declined."""
    x, w = node.input(0), node.input(1)
    if len(x.shape) > MAX_DELEGATED_RANK:
        raise node.refuse(f"input has shape {x.shape}; XNNPACK has {MAX_DELEGATED_RANK} dimensions at most")
    if x.count % w.shape[1] != 0:
        raise node.refuse(f"input has {x.count} elements; XNNPACK expects rows of {w.shape[1]}, and no rest")
    if w.dtype == "int4" and w.shape[0] == 1 and x.dtype == "int8":
        raise node.refuse("the int4 filter has one unit; XNNPACK expects several")


def has_four_bit_kernel(node: Node) -> bool:
    """Whether TFLite's optimized kernels have code of their own for the int4 filter of a hybrid product."""
    w = node.input(1)
    units, depth = w.shape
    large = units >= 4 and depth >= 32 and depth % 2 == 0
    return w.dtype == "int4" and large and node.input(0).count >= depth


def lower_hybrid(node: Node, size: dict[str, int]) -> KernelCall:
    """Lower the hybrid form; its activation, NONE included, does not bound infinities."""
    if node.rule.form == "four_bit_kernel" and has_four_bit_kernel(node):
        raise node.refuse(
            f"the profile {node.profile.name!r} has no confirmed rule for an int4 filter of {size['units']} "
            f"units and depth {size['depth']}, for which TFLite's optimized kernels have code of their own"
        )
    w = node.input(1)
    check_filter_scales(node, w, size["units"], axes=(0, 1))
    low, high = open_float_bounds(node)
    return kernels.fully_connected_hybrid_call(
        filter=filter_codes(w),
        **size,
        asymmetric=node.options["asymmetric_quantize_inputs"],
        sign_overflow=w.dtype == "int8" and may_contain_minimum(w),
        filter_scale=w.scales,
        activation_min=low,
        activation_max=high,
        four_bits=w.dtype == "int4",
        fma=node.rule.form == "fma",
    )


def has_wide_sums(node: Node) -> bool:
    """Whether a product of int16 activations is summed in int64.

    That follows from the bias, or without one from the option; where that says nothing, TFLite's optimized
    kernel sums in int32 and the others in int64.
    """
    bias = node.optional_input(2)
    if bias is not None:
        return bias.dtype == "int64"
    named = bias_type(node)
    if named != "FLOAT32":
        return named == "INT64"
    return node.rule.rounding != "ruy"


def fully_connected_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input * s_filter / s_output}`` of the quantized forms, else nothing."""
    if node.output.dtype == "int16" and has_wide_sums(node):
        x, w, y = node.input(0), node.input(1), node.output
        return {"output": product_multiplier(node, x.scale, w.scales, y.scale, "double")}
    return output_multipliers(node)


def check_int16_bias(node: Node, bias: Operand | None) -> None:
    """Refuse an int32 bias that TFLite would take for an int64 one."""
    named = bias_type(node)
    if bias is not None and named != "FLOAT32" and named.lower() != bias.dtype:
        raise node.refuse(
            f"bias has dtype {bias.dtype}, but the option quantized_bias_type is {named}; expected the same"
        )
    if bias is not None and bias.dtype == "int32" and named == "FLOAT32" and node.rule.rounding == "float64":
        raise node.refuse(
            "bias has dtype int32, and the option quantized_bias_type is not INT32: TFLite's reference "
            "kernel takes it for int64, and reads past its end"
        )


def check_four_bits(node: Node) -> None:
    """Check a filter of 4 bits: constant, with zero points of 0, and a scale per unit only in TFLite."""
    w = node.input(1)
    check_packed_filter(node, w)
    if node.profile.micro and (w.scales.size > 1 or node.input(0).dtype != "int8"):
        raise node.refuse(
            f"the int4 filter has {w.scales.size} scales, the input dtype {node.input(0).dtype}; TFLite "
            "Micro expects one scale, and int8"
        )


def fully_connected_version(node: Node) -> int:
    """Return the version of FULLY_CONNECTED: 6 where there are two inputs, 5 for `keep_num_dims`."""
    x, weights = dtype_of(node, 0), dtype_of(node, 1)
    hybrid = is_hybrid(node)
    if weights == "int2":
        return 14
    if (x, weights) == ("int16", "int4"):
        return 13
    if hybrid and per_channel(node.input(1), 0):
        return 12
    if has_bias_type(node):
        return 11
    if node.input(1).tensor.sparsity is not None:
        return 8
    if len(node.inputs) == 2:
        return 6
    if node.options["keep_num_dims"]:
        return 5
    if hybrid:
        return 9 if node.options["asymmetric_quantize_inputs"] else 3
    shuffled = node.options["weights_format"] != "DEFAULT"
    return {("int8", "int8"): 4, ("int8", "int4"): 10}.get((x, weights), 2 if shuffled else 1)


@operator(
    "FULLY_CONNECTED",
    dtypes=("int8", "uint8", "int16", "float32", "hybrid"),
    max_version=13,
    version=fully_connected_version,
    int16x8_version=4,
    rules={
        "reference": {"int8, uint8, int16": Rule("float64")},
        "optimized": {
            "float32": SUMMED,
            "hybrid": Rule(form="four_bit_kernel"),
            "int8, uint8, int16": Rule("ruy", "float_product"),
        },
        "xnnpack": {
            "float32": SUMMED,
            "hybrid": Rule(form="fma"),
            "int8": Rule("float32", "float32", form="symmetric_filter", bounds="xnnpack"),
            "uint8": FLOAT32_STORE,
        },
        "tflm": {"float32, int8, int16": Rule()},
        "calibration": {"float32": Rule(form="fused")},
    },
    macs=filter_macs,
    multipliers=fully_connected_multipliers,
    xnnpack=delegated,
    quantization=replace(
        OWN_SCALE,
        weights={1: 0},
        four_bit_weights={1: None},
        bias=(2, 0, 1),
        dynamic_weights={1: 0},
        asymmetric_quantize_inputs=True,
    ),
)
def lower_fully_connected(node: Node) -> KernelCall:
    """Lower FULLY_CONNECTED: every output is the product of a row of the input and a row of the filter."""
    if node.options["weights_format"] != "DEFAULT":
        raise node.refuse(f"weights_format is {node.options['weights_format']}; supported: DEFAULT")
    form, _, w, bias = product_operands(node, FULLY_CONNECTED_FORMS)
    if form == "int16" and has_wide_sums(node):
        form = "int16_wide"
    y = node.output
    y.shape = output_shape(node)
    units, depth = w.shape
    size = {"batches": int(np.prod(y.shape[:-1], dtype=np.int64)), "depth": depth, "units": units}
    check_bias(node, bias, form, units)
    if node.delegated:
        check_delegated_shape(node)
    if w.dtype == "int4":
        check_four_bits(node)
    if form == "float32":
        low, high = float_bounds(node)
        return kernels.fully_connected_f32_call(
            filter=w.value, **size, activation_min=low, activation_max=high, fused=node.rule.form == "fused"
        )
    if form == "hybrid":
        return lower_hybrid(node, size)
    return lower_quantized(node, form, size, bias)


def lower_quantized(node: Node, form: str, size: dict[str, int], bias: Operand | None) -> KernelCall:
    """Lower the forms on integers."""
    x, w, y = node.input(0), node.input(1), node.output
    check_quantization(node, x, w, size["units"], axes=(0,))
    if x.dtype == "int16":
        check_int16_bias(node, bias)
    one_scale = w.scales.size == 1
    if one_scale:
        check_bias_scale(node, x, w, bias)
    multipliers = fully_connected_multipliers(node)["output"]
    rounding = None
    if form == "int16_wide":  # TFLite has its reference kernel for it in every resolver
        rounding = "int16_multiplier" if node.rule.rounding == "double_rounding" else "float64"
    if node.delegated:
        check_requantization_scale(node, multipliers)
        if not one_scale:
            check_symmetric_filter(node, w)  # XNNPACK takes other zero points, and then fails
    # With a scale per channel, zero points of the filter, which should be 0, are ignored by TFLite;
    # by XNNPACK those of int8 filters always.
    filter_offset = -w.zero_point if one_scale and node.rule.form != "symmetric_filter" else 0
    return kernels.fully_connected_call(
        form,
        filter=filter_codes(w),
        **size,
        four_bits=w.dtype == "int4",
        input_offset=-x.zero_point,
        filter_offset=filter_offset,
        sum_bound=accumulator_bound(x, w, bias, axis=0, filter_offset=filter_offset),
        requant=make_requant(node, multipliers, y, fused_activation(node), rounding=rounding),
    )
