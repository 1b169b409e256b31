"""Weights that the float model stores in another form, with a DEQUANTIZE behind them."""

from __future__ import annotations

from quantcore.graph import Operator, Subgraph
from quantcore.ops.registry import load_operators

__all__ = ["fold_dequantize"]


def fold_dequantize(graph: Subgraph) -> frozenset[int]:
    """Take DEQUANTIZE away from behind weights; return the operators that compute nothing any more.

    Weights that are quantized already are given to their operators as they are, and stay so: what quantized
    them knew the float values.

    Parameters
    ----------
    graph : Subgraph
        The operands of its operators are changed in place; its operators keep their places.
    """
    return frozenset(
        i for i, op in enumerate(graph.operators) if op.op == "DEQUANTIZE" and _is_folded(graph, op)
    )


def _is_folded(graph: Subgraph, op: Operator) -> bool:
    if len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False  # a damaged model: then it is an operator without a quantized form
    (source,), (result,) = op.inputs, op.outputs
    tensor = graph.tensors[source]
    if tensor.data is None or not tensor.is_quantized or result in graph.outputs:
        return False
    users = [user for user in graph.operators if result in user.inputs]
    if not all(_takes_weights(user, result) for user in users):
        return False
    for user in users:
        user.inputs = tuple(source if t == result else t for t in user.inputs)
    return True


def _takes_weights(op: Operator, t: int) -> bool:
    definition = load_operators().get(op.name)
    weights = definition.quantization.weights if definition is not None else {}
    return all(position in weights for position, operand in enumerate(op.inputs) if operand == t)
