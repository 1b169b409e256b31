"""Weights that the float model stores in another form, with a DEQUANTIZE behind them."""

from __future__ import annotations

from quantcore.graph import Operator, Subgraph, Use
from quantcore.quantizer.float_graph import rule_of

__all__ = ["fold_dequantize", "foldable"]


def foldable(graph: Subgraph) -> frozenset[int]:
    """Return the DEQUANTIZE behind quantized weights that only operators read that take weights so."""
    uses = graph.uses()
    return frozenset(
        i for i, op in enumerate(graph.operators) if op.op == "DEQUANTIZE" and _is_foldable(graph, op, uses)
    )


def fold_dequantize(graph: Subgraph) -> frozenset[int]:
    """Take DEQUANTIZE away from behind weights; return the operators that compute nothing any more.

    Weights that are quantized already are given to their operators as they are, and stay so: what quantized
    them knew the float values.

    Parameters
    ----------
    graph : Subgraph
        The operands of its operators are changed in place; its operators keep their places.
    """
    folded = foldable(graph)
    stored = {graph.operators[i].outputs[0]: graph.operators[i].inputs[0] for i in folded}
    for op in graph.operators:
        op.inputs = tuple(stored.get(t, t) for t in op.inputs)
    return folded


def _is_foldable(graph: Subgraph, op: Operator, uses: dict[int, list[Use]]) -> bool:
    if len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False  # a damaged model: then it is an operator without a quantized form
    (source,), (result,) = op.inputs, op.outputs
    tensor = graph.tensors[source]
    if tensor.data is None or not tensor.is_quantized or result in graph.outputs:
        return False
    return all(k in rule_of(graph.operators[user]).weights for user, k in uses.get(result, ()))
