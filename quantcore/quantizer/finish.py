"""The last step of every mode: from the passes' draft to a model that is ready to be written.

Operator versions, metadata, and no tensor or constant that nothing uses. docs/quantization/versions.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from quantcore.flatbuffer.constants import tensor_bytes
from quantcore.graph import Metadata, Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.renumbering import without_unused
from quantcore.quantizer.runtime_versions import minimum_runtime
from quantcore.quantizer.settings import MODES, Settings
from quantcore.quantizer.versions import set_versions

__all__ = ["finish"]

RUNTIME_METADATA = "min_runtime_version"
RUNTIME_BYTES = 16

# What TensorFlow's converter says of itself: not true of this file
CONVERSION_METADATA = "CONVERSION_METADATA"


def finish(model: Model, settings: Settings, account: Account) -> Model:
    """Return the model that the passes of a mode have drafted, complete.

    - Tensors that no operator, input, output or signature uses are dropped; so are unused buffers.
    - Equal constants share one buffer.
    - Operator versions are the lowest that express the operators, one for all operators of a kind.
    - ``min_runtime_version`` says which release of TensorFlow Lite runs them. Other metadata is kept, except
      what describes how the float model was converted; so are the files in its archive, but not other bytes
      that belong to the float model's file.

    Parameters
    ----------
    model : Model
        A draft of the quantizer's own; its operators and tensors become part of the result.
    settings : Settings
    account : Account
        Its tensor indices become those of the result; entries of dropped tensors are removed.

    Returns
    -------
    Model
        The same draft gives the same bytes.
    """
    set_versions(model, settings.mode)
    used, maps = without_unused(model)
    account.tensors = {maps[0][t]: entry for t, entry in sorted(account.tensors.items()) if t in maps[0]}
    finished = replace(
        used,
        description=f"Quantized by quantcore ({settings.mode})",
        source=f"{model.source} ({settings.mode})",
        metadata_buffer=(),
        trailing=None,
        unread=(),
    )
    contents = _metadata(model, settings)
    finished.buffers = _shared_buffers(finished)
    finished.metadata = []
    for name, content in contents.items():
        finished.metadata.append(Metadata(name, len(finished.buffers)))
        finished.buffers.append(content)
    return finished


def _shared_buffers(model: Model) -> list[np.ndarray | None]:
    """Give each constant a buffer, equal ones the same; return the buffers, of which the first is empty."""
    buffers: list[np.ndarray | None] = [None]
    found: dict[tuple[int, bytes], int] = {}
    for s, graph in enumerate(model.subgraphs):
        for t, tensor in enumerate(graph.tensors):
            tensor.buffer = 0
            if tensor.data is None:
                continue
            content = tensor_bytes(tensor, ((((None, "subgraphs"), s), "tensors"), t))
            key = content.size, hashlib.blake2b(content.data, digest_size=32).digest()
            tensor.buffer = len(buffers) if tensor.is_variable else found.setdefault(key, len(buffers))
            if tensor.buffer == len(buffers):
                buffers.append(content)
    return buffers


def _metadata(model: Model, settings: Settings) -> dict[str, np.ndarray | None]:
    """Return the metadata of the result by name."""
    contents = {entry.name: model.buffers[entry.buffer] for entry in model.metadata}
    contents.pop(CONVERSION_METADATA, None)
    runtime = minimum_runtime(model).encode().ljust(RUNTIME_BYTES, b"\0")
    contents[RUNTIME_METADATA] = np.frombuffer(runtime, np.uint8)
    for name, content in MODES[settings.mode].metadata.items():
        contents[name] = np.frombuffer(content, np.uint8)
    return contents
