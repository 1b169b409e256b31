"""Mode dynamic (dynamic range): weights are int8, activations stay float32.

See docs/quantization/dynamic.md. Source: ``prepare_quantize_dynamic_range.cc`` in TensorFlow's converter.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quantcore.calibration.ranges import Ranges
from quantcore.graph import Model, Operator, Subgraph, Use
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_constants import FloatConstants, in_subgraphs
from quantcore.quantizer.float_graph import rule_of
from quantcore.quantizer.parameters import quantize_weights_dynamic
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.working_copy import working_copy

__all__ = ["MIN_ELEMENTS", "quantize"]

# Weights of fewer elements stay float32
MIN_ELEMENTS = 1024


def quantize(model: Model, ranges: Ranges, settings: Settings, account: Account) -> Model:
    """Return `model` with int8 weights.

    Parameters
    ----------
    model : Model
        A float model. It is not changed.
    ranges : Ranges
        Not looked at: activations stay float32, or are quantized when the model runs.
    settings : Settings
        `per_channel` and `per_channel_dense` apply; `float_operators` of the main subgraph keep their
        weights.
    account : Account
        Is told of the weights of the main subgraph.

    Returns
    -------
    Model
        A draft, which `quantcore.quantizer.finish` completes.

    Raises
    ------
    QuantizationError
        Weights hold NaN or infinity. (The converter aborts.)
    """
    draft = working_copy(model)
    for constants, told in in_subgraphs(draft, settings, account):
        _Weights(constants, settings, told).quantize()
    return draft


class _Weights:
    """The weights of one subgraph."""

    def __init__(self, constants: FloatConstants, settings: Settings, account: Account) -> None:
        self.graph, self.constants = constants.graph, constants
        self.settings, self.account = settings, account
        self.conversions: list[tuple[int, Operator]] = []  # and the constants that they are for

    def quantize(self) -> None:
        """Quantize each constant once for all users that want the same axis."""
        for t, uses in self.constants.uses.items():
            by_axis: dict[int | None, list[Use]] = {}
            for use in uses:
                if self.is_quantized(t, use):
                    by_axis.setdefault(self.axis(use), []).append(use)
            for axis, users in by_axis.items():
                self.replace(t, axis, users)
        self.graph.operators[:0] = [conversion for _, conversion in self.conversions]
        for table, conversion in self.conversions:
            for moved in _push_down(self.graph, conversion):
                self.account.record(moved, "scale of the table", table)

    def is_quantized(self, t: int, use: Use) -> bool:
        """Whether the converter quantizes constant `t` for this use."""
        i, position = use
        rule = self.constants.rules[i]
        if position not in rule.dynamic_weights:
            return False
        weights = [t]
        if rule.dynamic_weights_together:
            inputs = self.graph.operators[i].inputs
            weights = [inputs[p] for p in rule.dynamic_weights if p < len(inputs)]
        counts = [self.count(w) for w in weights if w in self.constants.uses]
        if min(counts) < MIN_ELEMENTS:
            self.account.record(t, f"stays float: {min(counts)} elements, fewer than {MIN_ELEMENTS}", t)
        return min(counts) >= MIN_ELEMENTS

    def count(self, t: int) -> int:
        """Return the number of elements of a tensor."""
        return math.prod(self.graph.tensors[t].shape)

    def axis(self, use: Use) -> int | None:
        """Return the axis of the channels for a use, None for one scale."""
        i, position = use
        axis = self.constants.rules[i].dynamic_weights[position]
        return self.settings.channel_axis(self.graph.operators[i].op, axis)

    def replace(self, t: int, axis: int | None, uses: list[Use]) -> None:
        """Quantize constant `t` and give it to its users.

        An operator that moves data would give out int8 where float32 is expected: its weights are made
        float32 again, by one DEQUANTIZE for all such users.
        """
        index = self.quantized(t, axis)
        moving = [use for use in uses if self.constants.rules[use[0]].same_scale]
        for use in uses:
            self.constants.replace(use, index)
            if self.constants.rules[use[0]].asymmetric_quantize_inputs:
                self.graph.operators[use[0]].options["asymmetric_quantize_inputs"] = True
        if moving:
            conversion = self.constants.dequantize(index, version=2)
            self.conversions.append((t, conversion))
            for use in moving:
                self.constants.replace(use, conversion.outputs[0])

    def quantized(self, t: int, axis: int | None) -> int:
        """Add constant `t` as int8 and return its index."""
        codes, quantization = quantize_weights_dynamic(self.constants.finite_value(t), axis)
        index = self.constants.add(t, "int8", codes, quantization)
        scales = "one scale" if axis is None else f"channels of axis {axis}"
        self.account.record(index, f"weights, {scales}", t)
        return index


def _push_down(graph: Subgraph, conversion: Operator) -> list[int]:
    """Move a DEQUANTIZE behind its user, as long as that can take the quantized tensor as well.

    It can if it moves or compares data (one scale for operands and result), has one result, which is smaller
    than its operand, and is the only user: there is less to convert then. Returns the quantized tensors that
    are new. Source: ``optimize_op_order.cc`` in TensorFlow's converter.
    """
    added: list[int] = []
    while True:
        (source,), (result,) = conversion.inputs, conversion.outputs
        user = _only_user(graph, result)
        if user is None or not _shrinks(graph, user, result):
            return added
        (output,) = user.outputs
        tensor = graph.tensors[output]
        quantization = graph.tensors[source].quantization
        dtype = graph.tensors[source].dtype
        name = f"{tensor.name}_quantized"
        graph.tensors.append(replace(tensor, name=name, dtype=dtype, quantization=quantization))
        moved = len(graph.tensors) - 1
        added.append(moved)
        user.inputs = tuple(source if t == result else t for t in user.inputs)
        user.outputs = (moved,)
        conversion.inputs, conversion.outputs = (moved,), (output,)
        graph.operators[:] = _moved_behind(graph.operators, conversion, user)


def _only_user(graph: Subgraph, t: int) -> Operator | None:
    uses = graph.uses().get(t, [])
    return graph.operators[uses[0][0]] if len(uses) == 1 and t not in graph.outputs else None


def _shrinks(graph: Subgraph, op: Operator, operand: int) -> bool:
    if not rule_of(op).same_scale or len(op.outputs) != 1:
        return False
    before, after = (math.prod(graph.tensors[t].shape) for t in (operand, op.outputs[0]))
    return after < before


def _moved_behind(operators: list[Operator], moving: Operator, other: Operator) -> list[Operator]:
    found = []
    for op in operators:
        if op is not moving:
            found.append(op)
        if op is other:
            found.append(moving)
    return found
