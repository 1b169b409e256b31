"""A model without the tensors that nothing uses."""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Model, Operator, Signature, Subgraph

__all__ = ["without_unused"]


def without_unused(model: Model) -> tuple[Model, list[dict[int, int]]]:
    """Return the model without tensors that no operator, input, output or signature uses.

    Returns
    -------
    Model
        Operators and signatures are new, tensors those of `model`.
    list of dict of int to int
        For each subgraph, the new index of each tensor that is left.
    """
    maps = [_kept_tensors(model, s) for s in range(len(model.subgraphs))]
    subgraphs = [_renumbered(graph, kept) for graph, kept in zip(model.subgraphs, maps, strict=True)]
    signatures = [_renumbered_signature(s, maps[s.subgraph_index]) for s in model.signatures]
    return replace(model, subgraphs=subgraphs, signatures=signatures), maps


def _kept_tensors(model: Model, s: int) -> dict[int, int]:
    """Return the new index of each tensor of a subgraph that is used."""
    graph = model.subgraphs[s]
    used = {*graph.inputs, *graph.outputs}
    for op in graph.operators:
        used.update(op.inputs, op.outputs, op.intermediates)
    for signature in model.signatures:
        if signature.subgraph_index == s:
            used.update(signature.inputs.values(), signature.outputs.values())
    used.discard(-1)
    return {t: i for i, t in enumerate(sorted(used))}


def _renumbered(graph: Subgraph, kept: dict[int, int]) -> Subgraph:
    return replace(
        graph,
        tensors=[graph.tensors[t] for t in kept],
        operators=[_renumbered_operator(op, kept) for op in graph.operators],
        inputs=tuple(kept[t] for t in graph.inputs),
        outputs=tuple(kept[t] for t in graph.outputs),
    )


def _renumbered_operator(op: Operator, kept: dict[int, int]) -> Operator:
    inputs, outputs, intermediates = (
        tuple(kept.get(t, -1) for t in tensors) for tensors in (op.inputs, op.outputs, op.intermediates)
    )
    return replace(op, inputs=inputs, outputs=outputs, intermediates=intermediates)


def _renumbered_signature(signature: Signature, kept: dict[int, int]) -> Signature:
    return replace(
        signature,
        inputs={name: kept[t] for name, t in signature.inputs.items()},
        outputs={name: kept[t] for name, t in signature.outputs.items()},
    )
