"""What the subgraphs of a model compute and call, and one operator of them as a model of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantcore.flatbuffer.schema import TABLES
from quantcore.graph import Model, Operator, Subgraph

__all__ = ["called_subgraphs", "intermediate_tensors", "reachable_subgraphs", "single_operator"]

OPAQUE_DTYPES = ("resource", "variant", "string")


def intermediate_tensors(subgraph: Subgraph) -> list[int]:
    """Return the tensors that operators write, in execution order.

    Variable tensors are left out (after the invocation they hold the next state, not what the operator read),
    and so are handles and strings, which have no numbers to compare.
    """
    state, tensors = subgraph.variables(), subgraph.tensors
    return [t for t in subgraph.producers() if t not in state and tensors[t].dtype not in OPAQUE_DTYPES]


def reachable_subgraphs(model: Model, entries: Sequence[int] | None = None) -> list[int]:
    """Return `entries`, and all that their operators call (WHILE, IF ...).

    Without `entries`: the main subgraph and those of signatures.
    """
    pending = [0, *(signature.subgraph_index for signature in model.signatures)]
    if entries is not None:
        pending = [*entries]
    found: list[int] = []
    while pending:
        s = pending.pop(0)
        if s in found or not 0 <= s < len(model.subgraphs):
            continue
        found.append(s)
        for op in model.subgraphs[s].operators:
            pending += called_subgraphs(op)
    return found


def called_subgraphs(op: Operator) -> list[int]:
    """Return the subgraphs that an operator's options point to."""
    tables = [TABLES[name] for name in (op.options_type, op.options_2_type) if name in TABLES]
    values = [op.options.get(f.name, -1) for table in tables for f in table.fields if f.domain == "subgraphs"]
    return [int(s) for value in values for s in np.atleast_1d(value)]


def single_operator(model: Model, subgraph_index: int, operator_index: int) -> tuple[Model, list[int]]:
    """Return a model of one operator, and the tensors (of `model`) that are its inputs, in order.

    Only the operator's own tensors are kept, and the subgraphs that it may call, so a fault elsewhere in the
    model does not matter. Constants and variable tensors stay what they are.
    """
    source = model.subgraphs[subgraph_index]
    op = source.operators[operator_index]
    used = list(dict.fromkeys(t for t in (*op.inputs, *op.outputs, *op.intermediates) if t >= 0))
    place = {t: k for k, t in enumerate(used)} | {-1: -1}
    tensors = [replace(source.tensors[t], buffer=0) for t in used]
    inputs = [
        t
        for t in dict.fromkeys(op.inputs)
        if t >= 0 and source.tensors[t].data is None and not source.tensors[t].is_variable
    ]
    alone = replace(
        op,
        inputs=tuple(place[t] for t in op.inputs),
        outputs=tuple(place[t] for t in op.outputs),
        intermediates=tuple(place[t] for t in op.intermediates),
    )
    starts = tuple(place[t] for t in inputs)
    ends = tuple(place[t] for t in op.outputs if t >= 0)
    called = model.subgraphs[1:] if called_subgraphs(op) else []
    others = [replace(s, tensors=[replace(tensor, buffer=0) for tensor in s.tensors]) for s in called]
    return Model([Subgraph("alone", tensors, [alone], starts, ends), *others]), inputs
