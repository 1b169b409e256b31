"""Models rewritten so that the oracle hands out intermediate tensors.

A tensor that is a graph output lives until the end of the invocation: TFLite's arena planner
(``arena_planner.cc``) neither reuses its memory nor lets an operator write into it in place, and neither does
TFLite Micro's (``micro_allocation_info.cc``). The list of outputs is the only thing that changes, so the same
kernels run in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quantcore.graph import Model, Signature

__all__ = ["ENTRY", "with_entry", "with_outputs"]

ENTRY = "quantcore_entry"
OFFLINE_PLAN = "OfflineMemoryAllocation"


def with_outputs(model: Model, subgraph_index: int, outputs: Sequence[int]) -> Model:
    """Return a copy of `model` in which `outputs` (tensor indices) are graph outputs too."""
    subgraph = model.subgraphs[subgraph_index]
    extended = tuple(dict.fromkeys([*subgraph.outputs, *outputs]))
    subgraphs = list(model.subgraphs)
    subgraphs[subgraph_index] = replace(subgraph, outputs=extended)
    # A memory plan that the file brings along (TFLite Micro obeys it) does not know of the new outputs.
    metadata = [entry for entry in model.metadata if entry.name != OFFLINE_PLAN]
    # What is appended to the file plays no part in running it; of what is newer than the schema, the
    # end-to-end comparison, which runs the file as it is, must tell.
    return replace(model, subgraphs=subgraphs, metadata=metadata, archive=None, trailing=None, unread=())


def with_entry(model: Model, subgraph_index: int) -> Model:
    """Return a copy of `model` with a signature ``ENTRY`` that enters the given subgraph.

    Its inputs are called ``i0``, ``i1`` ... and its outputs ``o0``, ``o1`` ..., in the order of the subgraph.
    """
    subgraph = model.subgraphs[subgraph_index]
    entry = Signature(
        ENTRY,
        subgraph_index,
        {f"i{k}": t for k, t in enumerate(subgraph.inputs)},
        {f"o{k}": t for k, t in enumerate(subgraph.outputs)},
    )
    return replace(model, signatures=[*model.signatures, entry])
