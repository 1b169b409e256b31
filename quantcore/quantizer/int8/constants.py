"""Which constants are weights, and which users of a constant get one of their own (mode int8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantcore.graph import Use
from quantcore.quantizer.float_graph import FloatGraph
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
        Its content, or training, decides its parameters; otherwise its user's other tensors do.
    bits : {8, 4}
        Of weights whose content decides.
    """

    uses: list[Use]
    weights: bool = False
    axis: int | None = None
    int16: int = 0
    own_range: bool = True
    bits: int = 8


def find_constants(graph: FloatGraph, settings: Settings) -> Iterator[tuple[Constant, int]]:
    """Yield the constants to quantize and their tensors, in the order of the operators.

    A bias, and an operand of an operator of one scale, belongs to its user alone: it is copied for each.
    Anything else is shared by the users that want channels along the same axis, or none, and as many bits.
    (The converter shares it with all: an operator like ADD then takes the codes of all channels by the first
    scale.) Biases, and what is shared, are not quantized where they hold NaN or infinity, which give no
    scale.
    """
    done: set[int] = set()
    for i in range(len(graph.operators)):
        for use in graph.float_operands(i):
            t = graph.operand(use)
            if t in done or not graph.is_quantizable_constant(t):
                continue
            done.add(t)
            finite = graph.is_finite_constant(t)
            shared: dict[tuple[int | None, int], Constant] = {}
            for user in graph.uses[t]:
                rule = graph.rules[user[0]]
                bias = user[1] in bias_positions(graph, user[0])
                if rule.same_scale or (bias and finite and t not in settings.trained):
                    yield Constant([user], own_range=False), t
                elif not bias:
                    axis, bits = form = _form(graph, user, settings)
                    constant = shared.setdefault(form, Constant([], axis=axis, bits=bits))
                    constant.uses.append(user)
                    constant.int16 = rule.int16_weights.get(user[1], 0)
                    constant.weights |= user[1] in rule.weights
            if finite:
                yield from ((constant, t) for constant in shared.values())


def bias_positions(graph: FloatGraph, i: int) -> list[int]:
    """Return the positions of the biases of operator `i`, whose scales follow from other operands."""
    rule = graph.rules[i]
    several = [] if rule.biases is None else [bias.position for bias in rule.biases(graph.operators[i])]
    return several if rule.bias is None else [rule.bias[0], *several]


def _form(graph: FloatGraph, use: Use, settings: Settings) -> tuple[int | None, int]:
    """Return the axis along which a use wants channels (None: one scale), and how many bits."""
    i, position = use
    rule, bits = graph.rules[i], settings.bits_of_weights(i)
    if bits == 8 or position not in rule.four_bit_weights:
        return settings.channel_axis(graph.operators[i].op, rule.weights.get(position)), 8
    return settings.channel_axis(graph.operators[i].op, rule.four_bit_weights[position]), bits
