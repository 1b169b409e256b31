"""Which operators become int8, from the parameters that propagation found.

Source of the rule: TensorFlow's MLIR quantizer, ``QuantizationPattern`` (``quantization_utils.h``).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from quantcore.graph import Use
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.int8.constants import bias_positions
from quantcore.quantizer.int8.propagation import Propagation, Slot
from quantcore.quantizer.int8.recurrent import missing_intermediates, state_tensors
from quantcore.quantizer.settings import Settings

__all__ = ["Decisions"]


class Decisions:
    """Which operators become int8, and why the others do not.

    Parameters
    ----------
    found : Propagation
    settings : Settings

    Attributes
    ----------
    int8 : set of int
        Operators.
    int16 : set of int
        Operators that run in 16x8 instead, as the settings say.
    reasons : dict of int to str
        Operators with float operands or results that stay float, and why.
    hybrid : set of Use
        Operands of operators that stay float, of models with trained ranges, whose int8 codes these take.
    trained : collection of int
        Tensors with trained ranges.
    """

    def __init__(self, found: Propagation, settings: Settings) -> None:
        self.found = found
        self.graph: FloatGraph = found.graph
        self.reasons: dict[int, str] = {}
        self.trained: Collection[int] = settings.trained.keys()
        self.int8: set[int] = set()
        self.int16: set[int] = set()
        ready = []
        for i in range(len(self.graph.operators)):
            floats = self.graph.float_operands(i) or self.graph.float_results(i)
            if not floats or i in self.graph.folded or self._is_kept_pair(i):
                continue
            if i in settings.int16_operators:
                self.int16.add(i)
                continue
            reason = self._obstacle(i, settings)
            if reason:
                self.reasons[i] = reason
            else:
                ready.append(i)
        self.int8.update(i for i in ready if self.graph.float_results(i))
        for i in ready:
            if i not in self.int8:
                self._decide_without_results(i, set(ready))
        for i in sorted(self.reasons):
            if i not in settings.float_operators:
                self._take_codes_of_smaller_result(i)
        undecided = self.reasons.keys() - settings.float_operators if self.trained else set()
        self.hybrid = {(i, position) for i in undecided for position in self._hybrid_weights(i)}

    def form(self, i: int) -> str:
        """Return what operator `i` computes: ``int8``, ``int16`` or ``float``."""
        return "int8" if i in self.int8 else "int16" if i in self.int16 else "float"

    def has_codes(self, slot: Slot) -> bool:
        """Whether a value or constant exists in quantized form, beside its float one perhaps.

        Parameters that a value only received from its users do not count where a float operator computes it.
        """
        if slot.params is None:
            return False
        producer = self.graph.producers.get(slot.tensor)
        if slot.constant is not None or slot.fixed or producer in self.int8:
            return True
        if producer is None:
            return slot.tensor in self.graph.subgraph.inputs
        rule = self.graph.rules[producer]
        return rule.int8 or rule.same_scale

    def operand(self, use: Use) -> Slot:
        """Return the slot of a float operand."""
        return self.found.operands[use]

    def _obstacle(self, i: int, settings: Settings) -> str:
        """Return why operator `i` cannot be int8, or an empty string."""
        if i in settings.float_operators:
            return "it was asked to stay float"
        if self.trained and self.graph.operators[i].op == "QUANTIZE":
            return "its input is read past this fake quantization too, and so stays float"
        if not self.graph.rules[i].int8:
            return "the operator has no int8 form"
        missing = missing_intermediates(self.graph, i, self.found.intermediates)
        if missing:
            return f"its intermediate value {self._name(missing[0])} has no range"
        for t, _ in state_tensors(self.graph, i):
            if len(self.graph.uses.get(t, ())) > 1:
                return f"its state {self._name(t)} has another user"
        for use in self.graph.float_operands(i):
            slot = self.operand(use)
            if use[1] in bias_positions(self.graph, i) and self.graph.is_value(slot.tensor):
                return f"its bias {self._name(slot.tensor)} is computed, so it has another scale"
            if self.has_codes(slot):
                continue
            name = self._name(slot.tensor)
            if slot.constant is None and self.graph.tensor(slot.tensor).is_constant:
                return f"its constant {name} holds NaN or infinity, or nothing"
            return f"its input {name} has no {self._wanted}"
        for t in self.graph.float_results(i):
            if not self.has_codes(self.found.values[t]):
                return f"its output {self._name(t)} has no {self._wanted}"
        return ""

    @property
    def _wanted(self) -> str:
        return "trained range, and none follows from others" if self.trained else "parameters"

    def _hybrid_weights(self, i: int) -> list[int]:
        """Return the weights that a float operator takes as int8 (``FoldQuantWeightsIntoTposeConv``)."""
        if self.graph.operators[i].op != "TRANSPOSE_CONV":
            return []
        weights = [use for use in self.graph.float_operands(i) if use[1] in self.graph.rules[i].weights]
        return [use[1] for use in weights if self._is_quantized_constant(self.operand(use))]

    def _is_quantized_constant(self, slot: Slot) -> bool:
        return slot.constant is not None and slot.params is not None

    def _is_kept_pair(self, i: int) -> bool:
        """Whether an operator is one of a trained model's own conversions, which stay as they are.

        An input of the graph that is converted so is one that stays float.
        """
        op = self.graph.operators[i]
        if op.op == "QUANTIZE" and op.inputs[0] in self.graph.subgraph.inputs:
            return False
        return bool(self.trained) and op.op in ("QUANTIZE", "DEQUANTIZE")

    def _decide_without_results(self, i: int, ready: set[int]) -> None:
        """Decide an operator without float results, such as ARG_MAX.

        The converter finds it as a user of an operand only, and gives up on a tensor's users at the first one
        that stays float.
        """
        for use in self.graph.float_operands(i):
            slot = self.operand(use)
            for user in self._users(slot):
                if user == i:
                    self.int8.add(i)
                    return
                if user not in ready | self.int16:
                    break
        self.reasons[i] = "another user of its input stays float"

    def _take_codes_of_smaller_result(self, i: int) -> None:
        """Make int8 what only its result's lack of parameters keeps float, if the result is smaller.

        DEQUANTIZE then follows the operator, in place of going before it. Source: ``optimize_op_order.cc``.
        """
        operands, op = self.graph.float_operands(i), self.graph.operators[i]
        rule = self.graph.rules[i]
        if not (rule.int8 and rule.same_scale) or len(operands) != 1 or len(op.outputs) != 1:
            return
        slot, result = self.operand(operands[0]), self.found.values.get(op.outputs[0])
        if result is None or self.has_codes(result) or not self.has_codes(slot) or slot.params is None:
            return
        producer = self.graph.producers.get(slot.tensor)
        sizes = [np.prod(self.graph.tensor(s.tensor).shape) for s in (slot, result)]
        alone = self._float_uses(slot) == 1 and (producer is None or producer in self.int8)
        if alone and sizes[0] > sizes[1]:
            result.take(slot.params, f"same scale as {op.op}'s operands and results", slot.tensor)
            self.int8.add(i)
            del self.reasons[i]

    def _float_uses(self, slot: Slot) -> int:
        """Return how many operators and outputs take the floats of a value."""
        users = [i for i, _ in self.graph.uses.get(slot.tensor, []) if i not in self.int8]
        return len(users) + self.graph.subgraph.outputs.count(slot.tensor)

    def _users(self, slot: Slot) -> list[int]:
        """Return the users of a slot in the order in which the converter visits them; -1: a graph output."""
        if slot.constant is not None:
            return [i for i, _ in slot.constant.uses]
        users = [i for i, _ in self.graph.uses.get(slot.tensor, [])]
        users += [-1] * self.graph.subgraph.outputs.count(slot.tensor)
        return users[::-1] if slot.fixed else users

    def _name(self, t: int) -> str:
        return repr(self.graph.tensor(t).name)
