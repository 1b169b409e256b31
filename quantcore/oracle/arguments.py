"""What a caller gives to the oracle, brought into one form: model bytes, and arrays in graph order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from quantcore.errors import OracleError, OracleRefused
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model, Subgraph

__all__ = [
    "Inputs",
    "ModelLike",
    "flatten",
    "graph_order",
    "resolve_signature",
    "split",
    "to_bytes",
    "to_model",
]

ModelLike = Model | bytes | bytearray | memoryview | str | os.PathLike[str]
Inputs = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]
Named = tuple[list[str] | None, list[np.ndarray]]


def to_bytes(model: ModelLike) -> bytes:
    """Return the ``.tflite`` file."""
    if isinstance(model, Model):
        return write_model(model)
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model)
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise OracleError(f"cannot read {model}: {error.strerror or error}") from None


def to_model(model: ModelLike) -> Model:
    """Return the model, read if it is not yet."""
    return model if isinstance(model, Model) else read_model(to_bytes(model))


def split(inputs: Inputs) -> Named:
    """Return (names or None, arrays)."""
    if isinstance(inputs, Mapping):
        return list(inputs), [np.asarray(v) for v in inputs.values()]
    if isinstance(inputs, np.ndarray) or np.isscalar(inputs):
        return None, [np.asarray(inputs)]
    return None, [np.asarray(v) for v in inputs]


def flatten(samples: Sequence[Named]) -> Named:
    """Return the names, which must be the same in every sample, and the arrays of all samples in turn."""
    names, first = samples[0]
    for other, arrays in samples:
        if other != names or len(arrays) != len(first):
            found = f"{names or len(first)} and {other or len(arrays)}"
            raise OracleError(f"all samples need the same inputs, found {found}")
    return names, [array for _, arrays in samples for array in arrays]


def resolve_signature(graph: Model, signature: str, samples: Sequence[Inputs]) -> tuple[int, list[Inputs]]:
    """Return the subgraph of a signature, and the samples in graph order where they were named."""
    entries = {s.key: s for s in graph.signatures}
    if signature not in entries:
        known = ", ".join(entries) or "none"
        raise OracleError(f"the model has no signature {signature!r}; it has: {known}")
    entry = entries[signature]
    subgraph = graph.subgraphs[entry.subgraph_index]
    renamed: list[Inputs] = []
    for sample in samples:
        if isinstance(sample, Mapping):
            if set(sample) != set(entry.inputs):
                raise OracleError(f"{signature!r} takes {sorted(entry.inputs)}, got {sorted(sample)}")
            by_tensor = {entry.inputs[name]: value for name, value in sample.items()}
            sample = [by_tensor[t] for t in subgraph.inputs]
        renamed.append(sample)
    return entry.subgraph_index, renamed


def graph_order(subgraph: Subgraph, inputs: Inputs) -> list[np.ndarray]:
    """Return one array per graph input."""
    names, arrays = split(inputs)
    if names is not None:
        known = [subgraph.tensors[t].name for t in subgraph.inputs]
        if sorted(names) != sorted(known):
            raise OracleRefused(f"the model's inputs are called {sorted(known)}, got {sorted(names)}")
        arrays = [arrays[names.index(name)] for name in known]
    if len(arrays) != len(subgraph.inputs):
        raise OracleRefused(f"the model has {len(subgraph.inputs)} inputs, got {len(arrays)}")
    return arrays
