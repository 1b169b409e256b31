"""Weights that the float model stores in another form, with a DEQUANTIZE behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.graph import Operator, Subgraph
from quantcore.runtime.lowering import load_operators

__all__ = ["fold_dequantize"]


def fold_dequantize(graph: Subgraph) -> frozenset[int]:
    """Take DEQUANTIZE away from behind constants; return the operators that compute nothing any more.

    float16 becomes float32. Weights that are quantized already are given to their operators as they are, and
    stay so: what quantized them knew the float values.

    Parameters
    ----------
    graph : Subgraph
        Its tensors and the operands of its operators are changed in place; its operators keep their places.
    """
    return frozenset(
        i for i, op in enumerate(graph.operators) if op.op == "DEQUANTIZE" and _is_folded(graph, op)
    )


def _is_folded(graph: Subgraph, op: Operator) -> bool:
    (source,), (result,) = op.inputs, op.outputs
    tensor = graph.tensors[source]
    if tensor.data is None or result in graph.outputs:
        return False
    if tensor.dtype == "float16":
        data = tensor.data.astype(np.float32)
        graph.tensors[result] = replace(graph.tensors[result], data=data, buffer=0, quantization=None)
        return True
    users = [user for user in graph.operators if result in user.inputs]
    if not tensor.is_quantized or not all(_takes_weights(user, result) for user in users):
        return False
    for user in users:
        user.inputs = tuple(source if t == result else t for t in user.inputs)
    return True


def _takes_weights(op: Operator, t: int) -> bool:
    definition = load_operators().get(op.name)
    weights = definition.quantization.weights if definition is not None else {}
    return all(position in weights for position, operand in enumerate(op.inputs) if operand == t)
