"""How the converter quantizes an LSTM to int8, where that depends on its variant.

Source of the rule: ``tools/optimize/operator_property.cc`` and ``prepare_quantize_helper.h`` of TensorFlow
Lite's converter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantcore.graph import Operator
from quantcore.ops.shared.lstm_operands import (
    BIAS,
    GATES,
    HIDDEN,
    INPUT_WEIGHTS,
    NORM,
    PROJECTION,
    PROJECTION_BIAS,
)
from quantcore.ops.shared.quantization_rule import DerivedBias

__all__ = ["has_input", "is_normalized", "lstm_biases", "lstm_intermediates"]

NORMALIZED_SCALE = 2.0**-10  # of a gate's sum once it is normalized


def lstm_biases(op: Operator) -> Sequence[DerivedBias]:
    """Return the biases that an LSTM has.

    A gate's is added to the products of the input, or behind the normalization.
    """
    found = [
        DerivedBias(BIAS + gate, (NORM + gate,), factor=NORMALIZED_SCALE)
        if is_normalized(op)
        else DerivedBias(BIAS + gate, (0, INPUT_WEIGHTS + gate))
        for gate in range(len(GATES))
    ]
    found.append(DerivedBias(PROJECTION_BIAS, (PROJECTION,), (HIDDEN,)))
    return [bias for bias in found if has_input(op, bias.position)]


def lstm_intermediates(op: Operator) -> Mapping[int, str]:
    """Return the dtypes of the intermediate tensors: the sums of gates have one if they are normalized."""
    gates = [g for g in range(len(GATES)) if is_normalized(op) and has_input(op, INPUT_WEIGHTS + g)]
    return dict.fromkeys(gates, "int16") | {HIDDEN: "int8"}


def is_normalized(op: Operator) -> bool:
    """Whether the LSTM has layer normalization."""
    return has_input(op, NORM + 1)


def has_input(op: Operator, position: int) -> bool:
    """Whether an operator has an input at a position."""
    return position < len(op.inputs) and op.inputs[position] >= 0
