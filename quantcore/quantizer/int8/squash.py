"""Conversions in a row, made one: of trained models, as the converter does (``quantize_patterns.td``)."""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Subgraph

__all__ = ["squash"]


def squash(graph: Subgraph, io: str) -> Subgraph:
    """Return `graph` with fewer conversions.

    - QUANTIZE of what DEQUANTIZE made of codes with the same parameters: those codes.
    - QUANTIZE of what DEQUANTIZE made, for nothing else: QUANTIZE of the codes.
    - QUANTIZE of what QUANTIZE made, for nothing else: one QUANTIZE; but not where inputs and outputs are
      float32: then the converter leaves both.
    """
    fused = ("DEQUANTIZE",) if io == "float32" else ("DEQUANTIZE", "QUANTIZE")
    while (shorter := _squashed(graph, fused)) is not None:
        graph = shorter
    return graph


def _squashed(graph: Subgraph, fused: tuple[str, ...]) -> Subgraph | None:
    """Return `graph` with one conversion less; None if there is none to take away.

    `fused` are the operators before a QUANTIZE that can go.
    """
    uses, producers, operators, tensors = graph.uses(), graph.producers(), graph.operators, graph.tensors
    for op in operators:
        before = producers.get(op.inputs[0]) if op.op == "QUANTIZE" else None
        if before is None or operators[before].op not in fused:
            continue
        (source,), (middle,), (result,) = operators[before].inputs, op.inputs, op.outputs
        alone = len(uses[middle]) == 1 and middle not in graph.outputs
        left = [o for k, o in enumerate(operators) if not (alone and k == before)]
        same = operators[before].op == "DEQUANTIZE" and tensors[source].params == tensors[result].params
        if same and result not in graph.outputs:
            left.remove(op)
            left = [replace(o, inputs=tuple(source if t == result else t for t in o.inputs)) for o in left]
            return replace(graph, operators=left)
        if alone:
            left[left.index(op)] = replace(op, inputs=(source,))
            return replace(graph, operators=left)
    return None
