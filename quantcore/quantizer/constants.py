"""Which constants are weights, and which users of a constant get one of their own (mode int8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantcore.quantizer.float_graph import FloatGraph, Use
from quantcore.quantizer.settings import Settings

__all__ = ["Constant", "find_constants"]


@dataclass(slots=True)
class Constant:
    """A float32 constant as its users need it.

    Attributes
    ----------
    uses : list of Use
    weights : bool
        Symmetric and narrow, with channels along `axis` (None: per tensor).
    axis : int or None
    int16 : int
        Where not 0, the weights are int16, with this largest code.
    own_range : bool
        Its content decides its parameters; otherwise its user's other tensors do.
    """

    uses: list[Use]
    weights: bool = False
    axis: int | None = None
    int16: int = 0
    own_range: bool = True


def find_constants(graph: FloatGraph, settings: Settings) -> Iterator[tuple[Constant, int]]:
    """Yield the constants to quantize and their tensors, in the order of the operators.

    A bias, and an operand of an operator of one scale, belongs to its user alone: it is copied for each.
    Anything else is shared, and not quantized where it holds NaN or infinity, which give no range.
    """
    done: set[int] = set()
    for i in range(len(graph.operators)):
        for use in graph.float_operands(i):
            t = graph.operand(use)
            if t in done or not graph.is_quantizable_constant(t):
                continue
            done.add(t)
            shared = Constant([])
            for user in graph.uses[t]:
                rule = graph.rules[user[0]]
                if rule.same_scale or user[1] in bias_positions(graph, user[0]):
                    yield Constant([user], own_range=False), t
                    continue
                shared.uses.append(user)
                shared.int16 = rule.int16_weights.get(user[1], 0)
                if user[1] in rule.weights:
                    shared.weights = True
                    shared.axis = _axis(graph, user, settings)
            if shared.uses and graph.is_finite_constant(t):
                yield shared, t


def bias_positions(graph: FloatGraph, i: int) -> list[int]:
    """Return the positions of the biases of operator `i`, whose scales follow from other operands."""
    rule = graph.rules[i]
    several = [] if rule.biases is None else [bias.position for bias in rule.biases(graph.operators[i])]
    return several if rule.bias is None else [rule.bias[0], *several]


def _axis(graph: FloatGraph, use: Use, settings: Settings) -> int | None:
    dense = graph.operators[use[0]].op == "FULLY_CONNECTED"
    per_channel = settings.per_channel and (settings.per_channel_dense or not dense)
    return graph.rules[use[0]].weights[use[1]] if per_channel else None
