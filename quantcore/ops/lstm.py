"""UNIDIRECTIONAL_SEQUENCE_LSTM."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quantcore.kernels import _lstm as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.lstm_shape import GateFactors, LstmScales, LstmWeights
from quantcore.numerics import FLOAT32_QUOTIENT, Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.convolution import may_contain_minimum
from quantcore.ops.shared.lstm_operands import (
    GATES,
    HIDDEN,
    LstmOperands,
    check_float_dtypes,
    check_integer_dtypes,
    lstm_operands,
)
from quantcore.ops.shared.lstm_quantization import lstm_biases, lstm_intermediates
from quantcore.ops.shared.operands import per_tensor
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.requant import fixed_point, fused_activation, log2_of_scale, type_bounds
from quantcore.ops.shared.version_rules import dtype_of, hybrid_version

GATE_SCALE = np.float32(2.0**-12)  # of a gate's sum, Q3.12
ACTIVATED_SCALE = 2.0**-15  # of a gate, and of tanh(c)
INTERMEDIATES = 5
NO_CLIP = 2**31 - 1
ROUNDED_ONCE = 2**31 - 1  # the multiplier by which double rounding only shifts
PEEPHOLE_BLOCK = 16


def lstm_macs(node: Node) -> int:
    """Return the multiply-accumulates of the gates and of the projection."""
    o = lstm_operands(node)
    s = o.shape
    per_step = len(o.gates) * s.cells * (s.inputs + s.outputs)
    return s.batches * s.steps * (per_step + (s.cells * s.outputs if o.projection is not None else 0))


def lstm_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return the real factors of the quantized form by role."""
    o = lstm_operands(node)
    if o.x.dtype == "float32":
        return {}
    micro = is_micro(node, o)
    return {role: np.array([factor], np.float64) for role, factor in real_factors(node, o, micro)}


def is_micro(node: Node, o: LstmOperands) -> bool:
    """Return whether TFLite Micro's rules apply: its profile, or a model that TFLite does not run."""
    return node.rule.form == "tflm" or o.x.dtype == "int16" or len(node.intermediates) != INTERMEDIATES


def real_factors(node: Node, o: LstmOperands, micro: bool) -> Iterator[tuple[str, Any]]:
    """Yield (role, factor) from products to where they are added, as the backend rounds it."""

    number = np.float64 if micro else np.float32

    def scale(operand: Operand | None) -> Any:
        return number(1 if operand is None else operand.scale)

    cell_power = cell_scale_power(node, o, micro)
    with np.errstate(all="ignore"):
        for gate in o.gates:
            to = intermediate_scale(node, gate) if o.shape.normalized else GATE_SCALE
            yield f"input to {GATES[gate]}", scale(o.weights[gate]) * scale(o.x) / to
            yield f"recurrent to {GATES[gate]}", scale(o.recurrent[gate]) * scale(o.output_state) / to
            if o.peephole[gate] is not None:
                factor = 2.0**cell_power * float(scale(o.peephole[gate])) / float(to)
                yield f"cell to {GATES[gate]}", np.float32(factor)
            if o.norm[gate] is not None:
                yield f"normalization of {GATES[gate]}", scale(o.norm[gate])
        if micro:
            yield "input to cell state", ACTIVATED_SCALE**2 / scale(o.cell_state)
            yield "hidden", ACTIVATED_SCALE**2 / scale(o.output_state)
            return
        hidden = intermediate_scale(node, HIDDEN)
        yield "hidden", np.float32(ACTIVATED_SCALE**2) / hidden
        if o.projection is not None:
            yield "projection", scale(o.projection) * hidden / o.output_state.scale


def intermediate_scale(node: Node, position: int) -> np.float32:
    """Return the scale of intermediate tensor `position`."""
    quantization = node.intermediates[position].quantization
    if quantization is None or quantization.scale.size != 1 or quantization.zero_point.size != 1:
        raise node.refuse(f"intermediate tensor {position} has no scale and zero point; expected one of each")
    return np.float32(quantization.scale[0])


def hidden_zero_point(node: Node) -> int:
    """Return the zero point of o * tanh(c)."""
    quantization = node.intermediates[HIDDEN].quantization
    zero_point = int(quantization.zero_point[0]) if quantization is not None else 0
    low, high = type_bounds("int8")
    if not low <= zero_point <= high:
        raise node.refuse(
            f"intermediate tensor {HIDDEN} has zero point {zero_point}; expected one in [{low}, {high}]"
        )
    return zero_point


def cell_scale_power(node: Node, o: LstmOperands, micro: bool) -> int:
    """Return the exponent of the cell state's scale; TFLite wants a power of two, or 0.001 from it."""
    exponent = log2_of_scale(o.cell_state.scale)
    power = math.floor(abs(float(exponent)) + 0.5) * (1 if exponent >= 0 else -1)
    low, high = (-27, 2) if micro else (-15, -9)
    if not low <= power <= high or (not micro and abs(exponent - np.float32(power)) >= np.float32(1e-3)):
        raise node.refuse(
            f"the cell state has scale {o.cell_state.scale}; expected a power of 2, 2**{low} to 2**{high}"
        )
    return power


def quantized_clip(node: Node, option: str, scale: np.float32, dtype: str, micro: bool) -> int:
    """Return a clip's bound, toward zero; `NO_CLIP` for an option of 0, or a bound TFLite rounds to 0."""
    clip = np.float32(node.options[option])
    if not clip >= 0:
        raise node.refuse(f"{option} is {clip}; expected at least 0")
    if clip == 0:
        return NO_CLIP
    quotient = np.float64(clip) / np.float64(scale) if micro else clip / scale
    bound = int(min(quotient, type_bounds(dtype)[1]))
    return bound if bound or micro else NO_CLIP


def check_micro(node: Node, o: LstmOperands) -> None:
    """Refuse what TFLite Micro does not have."""
    extras = {
        "CIFG": o.cifg,
        "peephole weights": o.has_peephole,
        "layer normalization": o.shape.normalized,
        "projection": o.projection is not None,
        "20 inputs": o.shape.input_tensors != 24,
    }
    for extra, present in extras.items():
        if present:
            raise node.refuse(
                f"{extra}: TFLite Micro has no such LSTM, and its rules apply (the numerics profile is "
                f"{node.profile.name!r}; there are {len(node.intermediates)} intermediate tensors, "
                f"TFLite's integer LSTM has {INTERMEDIATES})"
            )
    activation = fused_activation(node)
    if activation != "TANH":
        raise node.refuse(f"the activation of the cell gate is {activation}; supported: TANH")


def lower_float(node: Node, o: LstmOperands) -> KernelCall:
    """Lower the float32 form, with float32 or int8 weights."""
    hybrid = check_float_dtypes(node, o) == "int8"
    micro = node.rule.form == "tflm"
    if micro:
        check_micro(node, o)
    activation = fused_activation(node)
    if activation not in kernels.ACTIVATIONS:
        raise node.refuse(
            f"activation {activation} is not supported; known: {', '.join(kernels.ACTIVATIONS)}"
        )
    clips = [node.options[option] for option in ("cell_clip", "proj_clip")]
    if not min(clips) >= 0:
        raise node.refuse(f"cell_clip and proj_clip are {clips}; expected at least 0")
    weights = [w for w in (*o.weights, *o.recurrent, *o.peephole, o.projection) if w is not None]
    if hybrid:
        per_tensor(node, *weights)
    return kernels.lstm_f32_call(
        o.shape,
        micro=micro,
        activation=activation,
        cell_clip=clips[0],
        projection_clip=clips[1],
        scales=weight_scales(o) if hybrid else None,
        asymmetric=node.options["asymmetric_quantize_inputs"],
        sign_overflow=hybrid and any(may_contain_minimum(w) for w in weights),
        weights=constant_weights(o),
    )


def weight_scales(o: LstmOperands) -> LstmScales:
    """Return the scales of int8 weights; 1 for tensors that are left out."""

    def scale(operand: Operand | None) -> float:
        return 1.0 if operand is None else float(operand.scale)

    def scales(group: Sequence[Operand | None]) -> tuple[float, ...]:
        return tuple(scale(w) for w in group)

    return LstmScales(scales(o.weights), scales(o.recurrent), scales(o.peephole), scale(o.projection))


def lower_quantized(node: Node, o: LstmOperands) -> KernelCall:
    """Lower the form with int16 gates."""
    dtype = check_integer_dtypes(node, o)
    per_tensor(node, o.x, o.output_state, o.cell_state, node.output)
    micro = is_micro(node, o)
    if micro:
        check_micro(node, o)
    factors = {role: fixed_point(node, factor) for role, factor in real_factors(node, o, micro)}
    power = cell_scale_power(node, o, micro)
    hidden_offset = o.output_state.zero_point if micro else hidden_zero_point(node)
    return kernels.lstm_call(
        dtype,
        o.shape,
        [lstm_gate(node, o, gate, factors) for gate in range(4)],
        rounding=node.rule.rounding,
        peephole_body=o.shape.outputs // PEEPHOLE_BLOCK * PEEPHOLE_BLOCK,
        clamp_recurrent=micro,
        table=micro,
        input_offset=-o.x.zero_point,
        recurrent_offset=-o.output_state.zero_point,
        forget_to_cell=(2**30, -14) if micro else (ROUNDED_ONCE, -15),
        input_to_cell=factors["input to cell state"] if micro else (ROUNDED_ONCE, -30 - power),
        cell_scale_power=power,
        cell_clip=quantized_clip(node, "cell_clip", o.cell_state.scale, "int16", micro),
        hidden=factors["hidden"],
        hidden_offset=hidden_offset if o.projection is None else -hidden_offset,
        projection=factors.get("projection", (0, 0)),
        output_offset=o.output_state.zero_point,
        projection_clip=NO_CLIP
        if micro
        else quantized_clip(node, "proj_clip", node.output.scale, "int8", micro),
        weights=constant_weights(o),
    )


def constant_weights(o: LstmOperands) -> LstmWeights | None:
    """Return the weights that products are made of, where all are constant."""
    groups = [[w for w in group if w is not None] for group in (o.weights, o.recurrent, (o.projection,))]
    values = [[w.value for w in group if w.value is not None] for group in groups]
    return (
        LstmWeights(*values) if [len(group) for group in values] == [len(group) for group in groups] else None
    )


def lstm_gate(node: Node, o: LstmOperands, gate: int, factors: dict[str, Any]) -> GateFactors:
    """Return the factors of one gate."""
    name = GATES[gate]
    norm = o.norm[gate]
    guard = 1 if norm is None else max(1, int(np.float32(10000) * norm.scale))
    factor = factors.get(f"normalization of {name}", (0, 0))
    if factor[1] + 12 > 31:
        raise node.refuse(
            f"layer normalization has scale {norm.scale if norm else 0}; expected less than 2**19"
        )
    none = (0, 0)
    return GateFactors(
        factors.get(f"input to {name}", none),
        factors.get(f"recurrent to {name}", none),
        factors.get(f"cell to {name}", none),
        factor,
        guard,
    )


def sequence_lstm_version(node: Node) -> int:
    """Return the version of UNIDIRECTIONAL_SEQUENCE_LSTM: 3 and 2 for hybrid weights."""
    if (dtype_of(node, 0), dtype_of(node, 2)) == ("int16", "int8"):
        return 5
    if node.options["diagonal_recurrent_tensors"]:
        return 4
    return hybrid_version(node, 2)


@operator(
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    dtypes=("int8", "int16", "float32", "hybrid"),
    max_version=4,
    version=sequence_lstm_version,
    int16x8_version=2,
    rules={
        "reference": {"int8": FLOAT32_QUOTIENT},
        "optimized": {"float32, hybrid": Rule(), "int8": FLOAT32_QUOTIENT},
        "tflm": {"float32, int8, int16": Rule(form="tflm")},
    },
    macs=lstm_macs,
    multipliers=lstm_multipliers,
    quantization=replace(
        OWN_SCALE_INT8,
        weights=dict.fromkeys((*range(1, 9), 16)),
        int16_weights=dict.fromkeys((*range(9, 12), *range(20, 24)), 2**15 - 1),
        biases=lstm_biases,
        state={18: "output", 19: "power_of_two"},
        intermediates=lstm_intermediates,
        dynamic_weights=dict.fromkeys((*range(1, 12), 16)),
        dynamic_weights_together=True,
        asymmetric_quantize_inputs=True,
    ),
)
def lower_lstm(node: Node) -> KernelCall:
    """Lower an LSTM over all steps of a sequence; output and cell state are read and written."""
    o = lstm_operands(node)
    node.output.shape = (*o.x.shape[:-1], o.shape.outputs)
    return (lower_float if o.x.dtype == "float32" else lower_quantized)(node, o)
