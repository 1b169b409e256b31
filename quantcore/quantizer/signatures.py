"""Signatures of a model whose inputs or outputs become other tensors."""

from __future__ import annotations

from quantcore.graph import Model

__all__ = ["redirect"]


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
