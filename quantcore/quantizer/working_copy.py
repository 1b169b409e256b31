"""A copy of a model for the passes of the quantizer to change; what they do to names and ends of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import count

from quantcore.graph import Model, Operator, Subgraph

__all__ = ["numbered", "redirect", "working_copy"]


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


def redirect(model: Model, kind: str, after: tuple[int, ...]) -> None:
    """Replace the ``inputs`` or ``outputs`` of the main subgraph, also in its signatures.

    Of a tensor that is an output several times, signatures name the last one.
    """
    graph = model.subgraphs[0]
    new = dict(zip(getattr(graph, kind), after, strict=True))
    setattr(graph, kind, after)
    for signature in model.signatures:
        if signature.subgraph_index == 0:
            names = getattr(signature, kind)
            names.update({name: new.get(t, t) for name, t in names.items()})


def numbered(name: str, taken: Collection[str]) -> str:
    """Return `name` with the first number behind it, from 1, that makes it none of those that are taken."""
    return next(found for number in count(1) if (found := f"{name}{number}") not in taken)
