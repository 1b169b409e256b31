"""Operators that the converter writes in another form, whatever their dtype."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["canonicalize"]


def canonicalize(subgraph: Subgraph) -> Subgraph:
    """Return `subgraph` with each SQUEEZE of known shape as the RESHAPE that does the same."""
    tensors, operators = list(subgraph.tensors), []
    for op in subgraph.operators:
        operators.append(_as_reshape(op, tensors) if op.op == "SQUEEZE" else op)
    return replace(subgraph, tensors=tensors, operators=operators)


def _as_reshape(op: Operator, tensors: list[Tensor]) -> Operator:
    output = tensors[op.outputs[0]]
    if any(size < 0 for size in output.shape_signature or output.shape):
        return op
    shape = np.array(output.shape, np.int32)
    tensors.append(Tensor(f"{output.name}/shape", shape.shape, "int32", data=shape))
    return Operator("RESHAPE", 1, (op.inputs[0], len(tensors) - 1), op.outputs)
