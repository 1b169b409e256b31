"""Trained models without what only pairs kept apart: as the converter simplifies them once they are gone.

Source of the rules: ``quantize_patterns.td`` and ``optimize_patterns.td``.
"""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Subgraph
from quantcore.quantizer.int8.reshapes import optimize_reshapes

__all__ = ["squash"]

FUSED = ("RELU", "RELU6", "RELU_N1_TO_1")
FUSING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV")


def squash(graph: Subgraph, io: str) -> Subgraph:
    """Return `graph` with fewer conversions.

    - QUANTIZE of what DEQUANTIZE made of codes with the same parameters: those codes.
    - QUANTIZE of what DEQUANTIZE made, for nothing else: QUANTIZE of the codes.
    - QUANTIZE of what QUANTIZE made, for nothing else: one QUANTIZE; but not where inputs and outputs are
      float32: then the converter leaves both.
    - RELU and its like behind an operator that can have it as its activation, and for nothing else.
    - RESHAPE that meet each other or a FULLY_CONNECTED: `optimize_reshapes`.
    """
    fused = ("DEQUANTIZE",) if io == "float32" else ("DEQUANTIZE", "QUANTIZE")
    while (shorter := _squashed(graph, fused)) is not None:
        graph = shorter
    return optimize_reshapes(_with_fused_activations(optimize_reshapes(graph)))


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


def _with_fused_activations(graph: Subgraph) -> Subgraph:
    """Return `graph` in which int8 RELU are part of the operator before, as the converter makes it."""
    uses, producers, operators = graph.uses(), graph.producers(), list(graph.operators)
    removed = set()
    for i, op in enumerate(operators):
        before = producers.get(op.inputs[0]) if op.op in FUSED else None
        if before is None or operators[before].op not in FUSING:
            continue
        first, (middle, result) = operators[before], (op.inputs[0], op.outputs[0])
        alone = len(uses[middle]) == 1 and middle not in graph.outputs
        plain = first.options.get("fused_activation_function", "NONE") == "NONE"
        if alone and plain and graph.tensors[middle].dtype == graph.tensors[result].dtype == "int8":
            options = first.options | {"fused_activation_function": op.op}
            operators[before] = replace(first, outputs=(result,), options=options)
            removed.add(i)
    return replace(graph, operators=[op for i, op in enumerate(operators) if i not in removed])
