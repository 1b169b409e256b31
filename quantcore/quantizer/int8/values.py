"""What becomes of each value in the mode int8: who computes it, who needs its codes, who its floats."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.qparams import QuantParams
from quantcore.quantizer.int8.decisions import Decisions
from quantcore.quantizer.int8.propagation import Requantize, Slot

__all__ = ["ValuePlan", "plan_value"]


@dataclass(slots=True)
class ValuePlan:
    """One value with codes.

    Attributes
    ----------
    slot : Slot
    source : {"input", "int8", "int16", "float"}
        The graph's input, or the kind of operator that computes it.
    produced : QuantParams
        Parameters of the codes as they are computed.
    params : QuantParams
        Parameters that users without other wishes see.
    requantize : list of Requantize
        What other users see.
    codes : bool
        Whether an int8 operator takes the codes by `params`.
    floats : bool
        Whether a float operator takes the floats of `produced`.
    float_requantized : set of int
        Positions in `requantize` of which a float operator takes the floats.
    outputs : int
        How often the value is an output of the graph.
    kept : bool
        Users of the floats, too, see what the codes express: training was done with that.
    """

    slot: Slot
    source: str
    produced: QuantParams
    params: QuantParams
    requantize: list[Requantize] = field(default_factory=list)
    codes: bool = False
    floats: bool = False
    float_requantized: set[int] = field(default_factory=set)
    outputs: int = 0
    kept: bool = False

    @property
    def lone_output(self) -> bool:
        """Whether the floats would serve one output of the graph, and nothing else."""
        return self.outputs == 1 and not self.floats

    def position(self, use: tuple[int, int]) -> int | None:
        """Return which of `requantize` serves a use; None: the value itself."""
        for k, wish in enumerate(self.requantize):
            if use in wish.users:
                return k
        return None


def plan_value(slot: Slot, decisions: Decisions) -> ValuePlan | None:
    """Return what becomes of a value; None if it has no codes."""
    if slot.params is None or not decisions.has_codes(slot):
        return None
    graph = decisions.graph
    producer = graph.producers.get(slot.tensor)
    source = "input" if producer is None else decisions.form(producer)
    plan = ValuePlan(slot, source, slot.params, slot.params, kept=slot.tensor in decisions.trained)
    if source != "int16":
        plan.produced = next((wish.params for wish in slot.requantize if wish.on_result), slot.params)
    plan.requantize = [wish for wish in slot.requantize if not wish.on_result]
    plan.outputs = graph.subgraph.outputs.count(slot.tensor)
    for use in graph.uses.get(slot.tensor, ()):
        k, quantized = plan.position(use), use[0] in decisions.int8
        if source == "int16" and use[0] in decisions.int16:
            continue  # it takes the value as it is
        if k is None:
            plan.codes |= quantized
            plan.floats |= not quantized
        elif not quantized:
            plan.float_requantized.add(k)
    if producer is not None and source == "int8":
        _fold_requantize(plan, graph.rules[producer])
    return plan


def _fold_requantize(plan: ValuePlan, rule: QuantizationRule) -> None:
    """Let an operator compute what its only user wants, instead of requantizing."""
    alone = len(plan.requantize) == 1 and not (plan.codes or plan.floats or plan.outputs)
    if alone and not rule.same_scale and "int8" not in rule.fixed_output:
        plan.produced = plan.params = plan.requantize[0].params
        plan.codes, plan.floats = True, bool(plan.float_requantized)
        plan.requantize, plan.float_requantized = [], set()
