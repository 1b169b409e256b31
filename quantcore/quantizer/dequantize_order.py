"""DEQUANTIZE behind operators that make a tensor smaller: less to convert, and less memory.

Source: ``optimize_op_order.cc`` in TensorFlow's converter.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quantcore.graph import Operator, Subgraph
from quantcore.ops.registry import load_operators

__all__ = ["push_down"]


def push_down(graph: Subgraph, conversion: Operator) -> list[int]:
    """Move a DEQUANTIZE behind its user, as long as that can take the quantized tensor as well.

    It can if it moves or compares data (one scale for operands and result), has one result, which is smaller
    than its operand, and is the only user. Returns the quantized tensors that are new.
    """
    added: list[int] = []
    while True:
        (source,), (result,) = conversion.inputs, conversion.outputs
        user = _only_user(graph, result)
        if user is None or not _shrinks(graph, user, result):
            return added
        (output,) = user.outputs
        tensor = graph.tensors[output]
        quantization = graph.tensors[source].quantization
        dtype = graph.tensors[source].dtype
        name = f"{tensor.name}_quantized"
        graph.tensors.append(replace(tensor, name=name, dtype=dtype, quantization=quantization))
        moved = len(graph.tensors) - 1
        added.append(moved)
        user.inputs = tuple(source if t == result else t for t in user.inputs)
        user.outputs = (moved,)
        conversion.inputs, conversion.outputs = (moved,), (output,)
        graph.operators[:] = _moved_behind(graph.operators, conversion, user)


def _only_user(graph: Subgraph, t: int) -> Operator | None:
    users = [op for op in graph.operators for operand in op.inputs if operand == t]
    return users[0] if len(users) == 1 and t not in graph.outputs else None


def _shrinks(graph: Subgraph, op: Operator, operand: int) -> bool:
    definition = load_operators().get(op.name)
    if definition is None or not definition.quantization.same_scale or len(op.outputs) != 1:
        return False
    before, after = (math.prod(graph.tensors[t].shape) for t in (operand, op.outputs[0]))
    return after < before


def _moved_behind(operators: list[Operator], moving: Operator, other: Operator) -> list[Operator]:
    found = []
    for op in operators:
        if op is not moving:
            found.append(op)
        if op is other:
            found.append(moving)
    return found
