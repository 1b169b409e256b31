"""A model as the oracle is asked to run it: rewritten and serialised once, for any number of samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import copy
from functools import cached_property

import numpy as np

from quantcore.errors import OracleError
from quantcore.flatbuffer import write_model
from quantcore.graph import Subgraph
from quantcore.oracle.arguments import (
    Inputs,
    ModelLike,
    flatten,
    graph_order,
    split,
    to_bytes,
    to_model,
)
from quantcore.oracle.registered import lowered_operators, with_registered_versions
from quantcore.oracle.rewrite import ENTRY, with_entry, with_outputs
from quantcore.subgraphs import intermediate_tensors

__all__ = ["Prepared"]


class Prepared:
    """A file for the oracle, and what its answers are.

    Parameters
    ----------
    model : Model, bytes or path
    outputs : sequence of int, optional
        Indices of the tensors to return, intermediate ones included; default: the graph's outputs.
    subgraph : int
        Entry point.

    Attributes
    ----------
    data : bytes
        The ``.tflite`` file: as it is, unless other outputs or another entry point need a rewritten one.
    entry : str or None
        Key of the signature to run, in place of the main subgraph.
    """

    def __init__(self, model: ModelLike, outputs: Sequence[int] | None = None, *, subgraph: int = 0) -> None:
        self._registered: dict[str, Prepared] = {}
        self.entry: str | None = None
        self._subgraph: Subgraph | None = None  # where the file was rewritten, that of `model`
        if outputs is None and subgraph == 0:
            self.data = to_bytes(model)
            return
        graph = to_model(model)
        self._subgraph = graph.subgraphs[subgraph]
        self._wanted = list(self._subgraph.outputs if outputs is None else outputs)
        computed = {*intermediate_tensors(self._subgraph), *self._subgraph.outputs}
        graph = with_outputs(graph, subgraph, [t for t in self._wanted if t in computed])
        self._exposed = graph.subgraphs[subgraph].outputs
        if subgraph != 0:
            graph, self.entry = with_entry(graph, subgraph), ENTRY
        self.data = write_model(graph)

    def for_resolver(self, resolver: str) -> Prepared:
        """Return the same with operator versions that a resolver registers; see the module `registered`."""
        if resolver not in self._registered:
            model, same = to_model(self.data), self
            if lowered_operators(model, resolver):
                same = copy(self)
                same.data = write_model(with_registered_versions(model, resolver))
                same.__dict__.pop("key", None)
            self._registered[resolver] = same
        return self._registered[resolver]

    @cached_property
    def key(self) -> str:
        """What the oracle's process keeps the model under."""
        return hashlib.sha256(self.data).hexdigest()

    def arguments(self, samples: Sequence[Inputs]) -> tuple[list[str] | None, list[np.ndarray]]:
        """Return names where inputs are given by name, and the arrays of all samples in turn."""
        if self._subgraph is None:
            return flatten([split(sample) for sample in samples])
        names = None if self.entry is None else [f"i{k}" for k in range(len(self._subgraph.inputs))]
        return names, [array for sample in samples for array in graph_order(self._subgraph, sample)]

    def results(
        self, names: Sequence[str], arrays: list[np.ndarray], inputs: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Return the wanted tensors of one sample, whose `inputs` gave `arrays`, which are called `names`."""
        if self._subgraph is None:
            return arrays
        if self.entry is not None:
            arrays = [arrays[names.index(f"o{k}")] for k in range(len(arrays))]
        computed = dict(zip(self._exposed, arrays, strict=True))
        return collect(self._subgraph, self._wanted, computed, inputs)


def collect(
    subgraph: Subgraph, wanted: Sequence[int], computed: dict[int, np.ndarray], inputs: list[np.ndarray]
) -> list[np.ndarray]:
    """Return the wanted tensors: computed ones, graph inputs as given, constants as stored."""
    given = dict(zip(subgraph.inputs, inputs, strict=True))
    result = []
    for t in wanted:
        value = computed.get(t, given.get(t))
        if value is None and 0 <= t < len(subgraph.tensors):
            value = subgraph.tensors[t].data
        if value is None:
            raise OracleError(f"tensor {t} is not computed by the graph, or holds state, a handle or strings")
        result.append(value)
    return result
