"""Which buffer each constant is written to.

`Tensor.data` is what counts. A tensor keeps its buffer, and tensors that share one keep sharing it,
as long as their values agree. A value that was changed replaces the content of its buffer, unless
another tensor or a metadata entry still needs the old content: then it gets a new buffer at the end.
"""

from __future__ import annotations

import numpy as np

from quantcore.flatbuffer.constants import tensor_bytes
from quantcore.flatbuffer.place import Where, fail
from quantcore.graph import Model

__all__ = ["assign_buffers"]

_PART = 1 << 20


def assign_buffers(model: Model) -> tuple[list[np.ndarray | None], list[list[int]]]:
    """Return the contents of the buffers, and the buffer of each tensor of each subgraph."""
    contents: list[np.ndarray | None] = list(model.buffers) or [None]
    indices = [[tensor.buffer for tensor in subgraph.tensors] for subgraph in model.subgraphs]
    constants = _constants(model, len(contents))
    settled = {entry.buffer for entry in model.metadata} | set(model.metadata_buffer)
    added: dict[tuple[int, int], int] = {}
    changed = []
    for s, t, data in constants:
        index = indices[s][t]
        if index and _same(data, contents[index]):
            settled.add(index)
        else:
            changed.append((s, t, data))
    for s, t, data in changed:
        index = indices[s][t]
        if index == 0 or (index in settled and not _same(data, contents[index])):
            # Tensors that were given one and the same array share the new buffer.
            index = added.setdefault((data.ctypes.data, data.size), len(contents))
            if index == len(contents):
                contents.append(data)
        settled.add(index)
        contents[index] = data
        indices[s][t] = index
    _release(model, contents, indices, settled)
    return contents, indices


def _constants(model: Model, buffers: int) -> list[tuple[int, int, np.ndarray]]:
    """Return (subgraph, tensor, bytes) of every tensor with a value."""
    found = []
    for s, subgraph in enumerate(model.subgraphs):
        for t, tensor in enumerate(subgraph.tensors):
            where: Where = ((((None, "subgraphs"), s), "tensors"), t)
            if not 0 <= tensor.buffer < buffers:
                fail(f"index {tensor.buffer} into {buffers} buffers", (where, "buffer"))
            if tensor.data is not None:
                found.append((s, t, tensor_bytes(tensor, (where, "data"))))
    return found


def _release(
    model: Model, contents: list[np.ndarray | None], indices: list[list[int]], settled: set[int]
) -> None:
    """Empty the buffers that tensors had and need no more; give tensors without a value an empty one."""
    for s, subgraph in enumerate(model.subgraphs):
        for t, tensor in enumerate(subgraph.tensors):
            content = contents[tensor.buffer]
            if tensor.buffer == 0 or content is None or content.size == 0:
                continue
            if tensor.buffer not in settled:
                contents[tensor.buffer] = None
            elif tensor.data is None:
                indices[s][t] = 0


def _same(data: np.ndarray, content: np.ndarray | None) -> bool:
    if content is None or content.size != data.size:
        return False
    if content.ctypes.data == data.ctypes.data:
        return True
    # In parts: a comparison makes an array of as many bytes.
    starts = range(0, data.size, _PART)
    return all(np.array_equal(content[i : i + _PART], data[i : i + _PART]) for i in starts)
