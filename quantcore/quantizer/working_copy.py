"""A copy of a model that the passes of the quantizer may change."""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Model, Operator, Subgraph

__all__ = ["working_copy"]


def working_copy(model: Model) -> Model:
    """Return a copy of `model` whose lists, tensors, operators and signatures may be changed.

    The values of constants are shared with `model`, and never changed in place.
    """
    return replace(
        model,
        subgraphs=[_copied_subgraph(graph) for graph in model.subgraphs],
        buffers=list(model.buffers),
        signatures=[replace(s, inputs=dict(s.inputs), outputs=dict(s.outputs)) for s in model.signatures],
        metadata=[replace(entry) for entry in model.metadata],
    )


def _copied_subgraph(graph: Subgraph) -> Subgraph:
    return replace(
        graph,
        tensors=[replace(tensor) for tensor in graph.tensors],
        operators=[_copied_operator(op) for op in graph.operators],
    )


def _copied_operator(op: Operator) -> Operator:
    return replace(op, options=dict(op.options))
