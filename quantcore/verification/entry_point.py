"""A subgraph that is verified, and its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from quantcore.graph import Model, Tensor
from quantcore.oracle.arguments import ModelLike
from quantcore.oracle.prepared import Prepared
from quantcore.subgraphs import intermediate_tensors

__all__ = ["EntryPoint", "Sample"]

Sample = list[np.ndarray]

CHUNK_BYTES = 1 << 28  # of intermediate tensors held at a time


class EntryPoint:
    """A subgraph with its samples, and what the oracle is given to run, the same for all profiles.

    Parameters
    ----------
    source : Model, bytes or path
        The model as the caller gave it.
    model : Model
        The same, read.
    index : int
        Of the subgraph.
    samples : sequence of list of ndarray
    """

    def __init__(self, source: ModelLike, model: Model, index: int, samples: Sequence[Sample]) -> None:
        self.model, self.index, self.samples = model, index, samples
        self.subgraph = model.subgraphs[index]
        self.stateful = bool(self.subgraph.variables())
        self._source = source if index == 0 else model

    @cached_property
    def whole(self) -> Prepared:
        """The model as it stands: end to end, the oracle must run the file and not what was read from it."""
        return Prepared(self._source, subgraph=self.index)

    @cached_property
    def tensors(self) -> list[int]:
        """Inputs, outputs, and what operators compute."""
        graph = self.subgraph
        return list(dict.fromkeys([*graph.inputs, *intermediate_tensors(graph), *graph.outputs]))

    @cached_property
    def layered(self) -> Prepared:
        """The model rewritten so that the oracle hands out all `tensors`."""
        return Prepared(self.model, self.tensors, subgraph=self.index)

    def chunks(self, tensors: Sequence[int]) -> Iterator[tuple[int, Sequence[Sample]]]:
        """Yield (number of the first sample, samples), as many at a time as memory for `tensors` allows.

        Where there is state, all at once, since the oracle keeps it within one call only.
        """
        per_sample = sum(_nbytes(self.subgraph.tensors[t]) for t in tensors)
        size = len(self.samples) if self.stateful else max(1, CHUNK_BYTES // max(1, per_sample))
        for first in range(0, len(self.samples), size):
            yield first, self.samples[first : first + size]


def _nbytes(tensor: Tensor) -> int:
    try:
        itemsize = np.dtype(tensor.dtype).itemsize
    except TypeError:
        itemsize = 1
    return itemsize * int(np.prod([max(1, n) for n in tensor.shape], dtype=object))
