"""Which operators the mode int16x8 quantizes, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantcore.errors import QuantizationError
from quantcore.graph import Operator, Subgraph
from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.quantizer.float_graph import has_floats, rule_of
from quantcore.quantizer.int16x8.draft import Draft, float_value
from quantcore.quantizer.settings import Settings

__all__ = ["Step", "plan", "why_float"]


@dataclass(slots=True)
class Step:
    """An operator of the main subgraph, and what is to become of it.

    Attributes
    ----------
    op : Operator
        Of the draft: passes change its operands.
    index : int
        Its index in the float model.
    rule : QuantizationRule or None
        None where the operator stays as it is.
    weights : dict of int to (int or None)
        Positions of its weights, and the axis of their channels; None: per tensor.
    activations : tuple of int
        Positions of its other float operands, without the bias.
    """

    op: Operator
    index: int
    rule: QuantizationRule | None = None
    weights: dict[int, int | None] = field(default_factory=dict)
    activations: tuple[int, ...] = ()

    def operand(self, position: int) -> int:
        """Return the tensor at `position` among the inputs, -1 where it is omitted."""
        return self.op.inputs[position] if position < len(self.op.inputs) else -1

    def replace_operand(self, position: int, tensor: int) -> None:
        """Have the operator read another tensor."""
        self.op.inputs = (*self.op.inputs[:position], tensor, *self.op.inputs[position + 1 :])

    def error(self, message: str) -> QuantizationError:
        """Return the error that says what is wrong with the operator."""
        return QuantizationError(f"operator {self.index} ({self.op.name}): {message}")


def plan(draft: Draft, settings: Settings) -> list[Step]:
    """Return a step for each operator of the main subgraph; tell the account which stay float, and why.

    Raises
    ------
    QuantizationError
        An operand of an operator that is to be quantized has a scale already.
    """
    steps = []
    for index, op in enumerate(draft.graph.operators):
        step = Step(op, index)
        steps.append(step)
        if not has_floats(op, draft.graph):
            continue
        chosen = index in settings.float_operators
        reason = "it was asked to stay float" if chosen else why_float(op, draft.graph)
        if reason:
            draft.account.kept_float[index] = reason
        else:
            find_operands(draft, step, settings)
    return steps


def why_float(op: Operator, graph: Subgraph) -> str:
    """Return why an operator of a float model cannot be quantized; empty where it can."""
    rule = rule_of(op)
    if not rule.int16:
        return "not implemented for int16 activations"
    roles = dict.fromkeys(rule.weights, "weights") | ({rule.bias[0]: "bias"} if rule.bias else {})
    for position, role in roles.items():
        t = op.inputs[position] if position < len(op.inputs) else -1
        if t >= 0 and float_value(graph, t) is None and not graph.tensors[t].is_quantized:
            return f"its {role} {'is' if role == 'bias' else 'are'} computed at run time"
    return ""


def find_operands(draft: Draft, step: Step, settings: Settings) -> None:
    """Set rule, weights and activations of an operator that is to be quantized."""
    op = step.op
    for t in (*op.inputs, *op.outputs):
        if t >= 0 and draft.tensors[t].is_quantized:
            tensor = draft.tensors[t]
            raise step.error(f"tensor {t} ({tensor.name!r}) is quantized already; expected a float model")
    step.rule = rule = rule_of(op)
    step.weights = {
        position: settings.channel_axis(op.op, axis)
        for position, axis in rule.weights.items()
        if step.operand(position) >= 0
    }
    others = (*step.weights, rule.bias[0]) if rule.bias else tuple(step.weights)
    step.activations = tuple(
        position
        for position, t in enumerate(op.inputs)
        if t >= 0 and position not in others and draft.tensors[t].dtype == "float32"
    )
    if rule.same_scale_int16 is not None and not step.activations:
        raise step.error("none of its operands is float32, unlike its result")
