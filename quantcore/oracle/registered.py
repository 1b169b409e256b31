"""Operator versions that TFLite's resolvers do not register, although their kernels compute them.

A resolver has the highest version of each operator in a table of its own, and refuses a file with a later
one. Where that table lags behind the kernel (`Definition.registered`), the file is given to it with the
version that it has: the number says nothing that the kernel reads.
"""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Model, Operator
from quantcore.ops.registry import load_operators

__all__ = ["lowered_operators", "with_registered_versions"]


def lowered_operators(model: Model, resolver: str) -> dict[str, tuple[int, int]]:
    """Return the operators of a model whose version a resolver does not register, but computes.

    Returns
    -------
    dict of str to (int, int)
        By name, the version in the model and the one that is registered.
    """
    return {
        op.name: (op.version, limit)
        for _, _, op in model.operators()
        if (limit := _limit(op, resolver)) is not None
    }


def with_registered_versions(model: Model, resolver: str) -> Model:
    """Return a copy of `model` whose operators have versions that a resolver registers; see the module."""
    subgraphs = [
        replace(graph, operators=[_lowered(op, resolver) for op in graph.operators])
        for graph in model.subgraphs
    ]
    return replace(model, subgraphs=subgraphs)


def _limit(op: Operator, resolver: str) -> int | None:
    """Return the version to give an operator, where it is not its own."""
    definition = load_operators().get(op.name)
    limit = None if definition is None else definition.registered.get(resolver)
    later = definition is not None and limit is not None and limit < op.version <= definition.max_version
    return limit if later else None


def _lowered(op: Operator, resolver: str) -> Operator:
    limit = _limit(op, resolver)
    return op if limit is None else replace(op, version=limit)
