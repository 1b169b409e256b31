"""What LSTM and SVDF need beyond other operators in the mode int8: state, intermediates, int16 constants.

Source of the rules: ``prepare_quantize_helper.h`` (PrepareLstmOutputScale, ConvertOpStatsToQDQs) of the
converter. ``docs/quantization/lstm.md`` says what they come to.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from quantcore.calibration.ranges import Ranges
from quantcore.graph import Operator
from quantcore.ops.shared.lstm_operands import HIDDEN, PROJECTION
from quantcore.ops.shared.lstm_quantization import has_input
from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.qparams import QuantParams, choose_qparams
from quantcore.quantizer.account import Entry
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.rounding import round_half_away

__all__ = [
    "int16_weight_params",
    "intermediate_params",
    "joined_ranges",
    "missing_intermediates",
    "quantize_int16_weights",
    "state_entry",
    "state_params",
    "state_tensors",
]

INT16_BITS = 15  # without the sign

RULES = {
    "output": "one range for the state and the output that it becomes",
    "int16": "range of the state",
    "power_of_two": "range of the state, widened to a power of two",
}


def joined_ranges(graph: FloatGraph, ranges: Ranges, kept: Collection[int]) -> Ranges:
    """Return ranges in which an output state and the output that it becomes have one, the union.

    The state holds what the output was before the first sample, and the output what the state is not yet.
    """
    joined = Ranges(ranges)
    for i, op in enumerate(graph.operators):
        for state, kind in state_tensors(graph, i):
            output = op.outputs[0] if op.outputs else -1
            if kind == "output" and state in ranges and output in ranges and output in kept:
                low = min(ranges[state].rmin, ranges[output].rmin)
                high = max(ranges[state].rmax, ranges[output].rmax)
                for t in (state, output):
                    joined[t] = replace(joined[t], rmin=low, rmax=high)
    return joined


def state_tensors(graph: FloatGraph, i: int) -> list[tuple[int, str]]:
    """Return the state tensors of operator `i`, and how their parameters follow from their ranges."""
    inputs = graph.operators[i].inputs
    kinds = graph.rules[i].state.items()
    return [(inputs[position], kind) for position, kind in kinds if position < len(inputs)]


def state_params(graph: FloatGraph, ranges: Ranges) -> dict[int, QuantParams]:
    """Return the parameters of the state tensors that have a range."""
    found = {}
    for i in range(len(graph.operators)):
        for t, kind in state_tensors(graph, i):
            if t not in ranges or not graph.is_value(t):
                continue
            low, high = ranges[t].rmin, ranges[t].rmax
            if kind != "power_of_two":
                found[t] = choose_qparams(low, high, "int8" if kind == "output" else "int16")
            elif bound := max(-low, high, 0.0):
                found[t] = QuantParams(2.0 ** (math.ceil(math.log2(bound)) - INT16_BITS), 0, "int16")
    return found


def state_entry(graph: FloatGraph, t: int) -> Entry | None:
    """Return which rule fixed the parameters of `t`, if it is a state tensor."""
    for i, _ in graph.uses.get(t, ()):
        for state, kind in state_tensors(graph, i):
            if state == t:
                return Entry(RULES[kind], t)
    return None


def intermediate_params(graph: FloatGraph, ranges: Ranges) -> dict[int, QuantParams]:
    """Return the parameters of the intermediate tensors that have a range.

    Without a projection ``o * tanh(c)`` is the output, whose range stands in where that one is not known.
    """
    found = {}
    for i, op in enumerate(graph.operators):
        rule = graph.rules[i]
        for k, dtype in intermediates_of(rule, op).items():
            t = op.intermediates[k]
            shown = k == HIDDEN and not has_input(op, PROJECTION)
            source = t if t in ranges or not shown else op.outputs[0]
            if source in ranges:
                found[t] = choose_qparams(ranges[source].rmin, ranges[source].rmax, dtype)
    return found


def missing_intermediates(graph: FloatGraph, i: int, known: Collection[int]) -> list[int]:
    """Return the intermediate tensors that operator `i` needs, and whose parameters are not `known`."""
    op = graph.operators[i]
    return [t for k in intermediates_of(graph.rules[i], op) if (t := op.intermediates[k]) not in known]


def intermediates_of(rule: QuantizationRule, op: Operator) -> dict[int, str]:
    """Return the dtypes of the intermediate tensors that an operator has, by position."""
    wanted = {} if rule.intermediates is None else rule.intermediates(op)
    return {k: dtype for k, dtype in wanted.items() if k < len(op.intermediates)}


def int16_weight_params(weights: np.ndarray, largest: int) -> QuantParams:
    """Return symmetric int16 parameters: ``scale = f32(max |w| / largest)``.

    Parameters
    ----------
    weights : ndarray of float32, finite
    largest : int
        Largest code; SVDF's time weights use 10 of 16 bits, so that their sums fit.
    """
    half = np.max(np.abs(weights), initial=np.float32(5e-7)).astype(np.float32)
    return QuantParams(half / np.float32(largest), 0, "int16", narrow_range=True)


def quantize_int16_weights(weights: np.ndarray, largest: int) -> np.ndarray:
    """Return int16 codes: ``round(f32(w * f32(largest / max |w|)))``."""
    half = np.max(np.abs(weights), initial=np.float32(5e-7)).astype(np.float32)
    steps = weights * (np.float32(largest) / half)
    codes: np.ndarray = np.clip(round_half_away(steps), -largest, largest).astype(np.int16)
    return codes
