"""Mode dynamic (dynamic range): weights are int8, activations stay float32.

See docs/quantization/dynamic.md. Source: ``prepare_quantize_dynamic_range.cc`` in TensorFlow's converter.
"""

from __future__ import annotations

import math

from quantcore.calibration.ranges import Ranges
from quantcore.graph import Model, Operator, Subgraph
from quantcore.quantizer.account import Account
from quantcore.quantizer.dequantize_order import push_down
from quantcore.quantizer.dynamic_weights import quantize_weights_dynamic
from quantcore.quantizer.float_constants import FloatConstants, Use
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.working_copy import working_copy

__all__ = ["MIN_ELEMENTS", "quantize"]

# Weights of fewer elements stay float32
MIN_ELEMENTS = 1024


def quantize(model: Model, ranges: Ranges | None, settings: Settings, account: Account) -> Model:
    """Return `model` with int8 weights.

    Parameters
    ----------
    model : Model
        A float model. It is not changed.
    ranges : None
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
    for s, graph in enumerate(draft.subgraphs):
        main = s == 0
        kept = settings.float_operators if main else frozenset()
        _Weights(graph, kept, settings, account if main else Account()).quantize()
    return draft


class _Weights:
    """The weights of one subgraph."""

    def __init__(self, graph: Subgraph, kept: frozenset[int], settings: Settings, account: Account) -> None:
        self.graph = graph
        self.constants = FloatConstants(graph, kept)
        self.settings = settings
        self.account = account
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
            for moved in push_down(self.graph, conversion):
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
        channels = self.settings.has_channels(self.graph.operators[i].op)
        return self.constants.rules[i].dynamic_weights[position] if channels else None

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
