"""Operands that must have the scale of a result, or of the first operand, in the mode int16x8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.graph import Operator
from quantcore.quantizer.int16x8.constants import int16_codes, symmetric
from quantcore.quantizer.int16x8.draft import Draft
from quantcore.quantizer.int16x8.plan import Step

__all__ = ["requantize_operands"]


def requantize_operands(draft: Draft, steps: Sequence[Step]) -> None:
    """Bring operands to the scale that their operator wants, from the last operator to the first.

    An operand with another scale is requantized before the operator; a constant that nothing else uses is
    requantized for good, from its codes.
    """
    uses = constant_uses(draft)
    before: dict[int, list[Operator]] = {}
    for step in reversed(steps):
        if step.rule is None or step.rule.same_scale_int16 is None:
            continue
        inputs = step.rule.same_scale_int16 == "inputs"
        wanted = step.op.outputs[0] if inputs else step.operand(step.activations[0])
        scale = draft.scale(wanted)
        added: list[Operator] = []
        for position in step.activations:
            t = step.operand(position)
            if draft.scale(t) == scale:
                continue
            if draft.tensors[t].is_constant and uses[t] == 1:
                requantize_constant(draft, t, scale)
            else:
                added.append(requantized(draft, step, position, scale))
                t = step.operand(position)
            draft.account.record(t, f"same scale as tensor {wanted}", wanted)
        before[id(step.op)] = added[::-1]
    draft.graph.operators = [o for op in draft.graph.operators for o in (*before.get(id(op), ()), op)]


def constant_uses(draft: Draft) -> dict[int, int]:
    """Return by constant how many operators read it."""
    uses: dict[int, int] = {}
    for op in draft.graph.operators:
        for t in set(op.inputs):
            if t >= 0 and draft.tensors[t].is_constant:
                uses[t] = uses.get(t, 0) + 1
    return uses


def requantize_constant(draft: Draft, t: int, scale: np.float32) -> None:
    """Give an int16 constant another scale: what its codes stand for is quantized again."""
    tensor = draft.tensors[t]
    assert tensor.data is not None
    tensor.data = int16_codes(tensor.data * draft.scale(t), scale)
    tensor.quantization = symmetric(scale)


def requantized(draft: Draft, step: Step, position: int, scale: np.float32) -> Operator:
    """Have an operator read an operand in another scale; return the QUANTIZE operator that makes it."""
    t = step.operand(position)
    new = draft.add(f"{draft.tensors[t].name}_requantized", t, "int16", symmetric(scale))
    step.replace_operand(position, new)
    return Operator("QUANTIZE", 2, (t,), (new,))
