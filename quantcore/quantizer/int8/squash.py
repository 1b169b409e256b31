"""Trained models without what only pairs kept apart: as the converter simplifies them once they are gone.

Sources of the rules: ``quantize_patterns.td``, and ``optimize_pass.cc`` (RemoveReshapeBeforeFullyConnected).
"""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Subgraph

__all__ = ["squash"]

FUSED = ("RELU", "RELU6", "RELU_N1_TO_1")
FUSING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV")


def squash(graph: Subgraph, io: str) -> Subgraph:
    """Return `graph` with fewer conversions.

    - QUANTIZE of what DEQUANTIZE made of codes with the same parameters: those codes.
    - QUANTIZE of what DEQUANTIZE made, for nothing else: QUANTIZE of the codes.
    - QUANTIZE of what QUANTIZE made, for nothing else: one QUANTIZE; but not where inputs and outputs are
      float32: then the converter leaves both.
    - RESHAPE before a FULLY_CONNECTED, which keeps the last dimension: FULLY_CONNECTED joins the others.
    - RELU and its like behind an operator that can have it as its activation, and for nothing else.
    """
    fused = ("DEQUANTIZE",) if io == "float32" else ("DEQUANTIZE", "QUANTIZE")
    while (shorter := _squashed(graph, fused)) is not None:
        graph = shorter
    return _with_fused_activations(_without_reshapes(graph))


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


def _without_reshapes(graph: Subgraph) -> Subgraph:
    """Return `graph` without RESHAPE before FULLY_CONNECTED that keep the last dimension."""
    producers, tensors, operators = graph.producers(), graph.tensors, list(graph.operators)
    for i, op in enumerate(operators):
        before = producers.get(op.inputs[0]) if op.op == "FULLY_CONNECTED" else None
        if before is None or operators[before].op != "RESHAPE" or op.options.get("keep_num_dims"):
            continue
        source, shaped = (tensors[t] for t in (operators[before].inputs[0], op.inputs[0]))
        static = all(-1 not in (t.shape_signature or t.shape) for t in (source, shaped))
        plain = op.options.get("weights_format", "DEFAULT") == "DEFAULT"
        kept = source.shape[-1:] == shaped.shape[-1:] != ()
        if static and plain and kept and len(tensors[op.outputs[0]].shape) == 2:
            operators[i] = replace(op, inputs=(operators[before].inputs[0], *op.inputs[1:]))
    used = {t for op in operators for t in op.inputs} | {*graph.outputs}
    kept_operators = [op for op in operators if op.op != "RESHAPE" or op.outputs[0] in used]
    return replace(graph, operators=kept_operators)


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
