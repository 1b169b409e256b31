"""``.tflite`` bytes to `Model`, verified and without copying constant data."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer.appended import read_appended
from quantcore.flatbuffer.decoder import Decoder
from quantcore.flatbuffer.operator_reader import OperatorReader
from quantcore.flatbuffer.place import Where, fail
from quantcore.flatbuffer.source import check_identifier, open_source
from quantcore.flatbuffer.tensor_reader import TensorReader
from quantcore.graph import Metadata, Model, Signature, Subgraph

__all__ = ["decode_model", "read_model"]

SCHEMA_VERSION = 3

_T = TypeVar("_T")
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | mmap.mmap


def read_model(source: Source) -> Model:
    """Read a ``.tflite`` model.

    Every offset, length, enum value and index of the file is verified before use. Constant data is
    not copied: `Tensor.data` and `Model.buffers` are read-only views over the file, which is
    memory-mapped when `source` is a path; the file must not be changed in place while they live.

    Parameters
    ----------
    source : path, or any contiguous buffer (bytes, bytearray, memoryview, mmap)

    Returns
    -------
    Model
        Fields that the file leaves out have the schema's defaults. An operator without an options
        table gets the defaults of the table that it usually has (`Operator.implicit_options`). An
        operator newer than `quantcore.flatbuffer.schema` is called ``BUILTIN_<code>``.

    Raises
    ------
    ModelFormatError
        There is no such file, it is not a ``.tflite`` file, or it is damaged; the message has the
        path of the table and the byte offset.
    """
    data, name = open_source(source)
    try:
        return decode_model(data, name)
    except ModelFormatError as error:
        raise ModelFormatError(f"{name}: {error.reason}", error.path, error.offset) from None


def decode_model(data: np.ndarray, name: str) -> Model:
    """Read the model in `data`, as `open_source` returns it; messages do not name the file."""
    check_identifier(data)
    decoder = Decoder(data)
    model = _ModelReader(decoder, name).model()
    model.unread = tuple(decoder.unread)
    read_appended(model, data, decoder.end)
    return model


class _ModelReader:
    """Turns the decoded tables of one file into the dataclasses of `quantcore.graph`."""

    def __init__(self, decoder: Decoder, name: str) -> None:
        self.name = name
        self.root = decoder.root("Model")
        if self.root["version"] != SCHEMA_VERSION:
            fail(f"schema version {self.root['version']}, expected {SCHEMA_VERSION}", (None, "version"))
        if not self.root["subgraphs"]:
            fail("the model has no subgraph", (None, "subgraphs"))
        self.tensors = TensorReader(decoder, self.root["buffers"] or [])
        self.operators = OperatorReader(decoder, self.root["operator_codes"] or [])

    def model(self) -> Model:
        root = self.root
        subgraphs = _each(root, None, "subgraphs", self._subgraph)
        return Model(
            subgraphs=subgraphs,
            buffers=self.tensors.buffers,
            version=root["version"],
            description=root["description"] or "",
            signatures=_each(root, None, "signature_defs", lambda raw, at: _signature(raw, at, subgraphs)),
            metadata=[Metadata(raw["name"] or "", raw["buffer"]) for raw in root["metadata"] or ()],
            source=self.name,
            metadata_buffer=root["metadata_buffer"] or (),
            external_buffer_groups=[raw["name"] or "" for raw in root["external_buffer_groups"] or ()],
            external_buffers=root["external_buffers"] or [],
        )

    def _subgraph(self, raw: dict[str, Any], where: Where) -> Subgraph:
        return Subgraph(
            name=raw["name"] or "",
            tensors=_each(raw, where, "tensors", self.tensors.tensor),
            operators=_each(raw, where, "operators", self.operators.operator),
            inputs=raw["inputs"] or (),
            outputs=raw["outputs"] or (),
            debug_metadata_index=raw["debug_metadata_index"],
        )


def _each(
    raw: dict[str, Any], where: Where | None, name: str, read: Callable[[dict[str, Any], Where], _T]
) -> list[_T]:
    """Read each table of the vector `name` of the table `raw`."""
    return [read(entry, ((where, name), i)) for i, entry in enumerate(raw[name] or ())]


def _signature(raw: dict[str, Any], where: Where, subgraphs: list[Subgraph]) -> Signature:
    tensors = subgraphs[raw["subgraph_index"]].tensors
    names: dict[str, dict[str, int]] = {"inputs": {}, "outputs": {}}
    for side, found in names.items():
        for i, entry in enumerate(raw[side] or ()):
            name, index = entry["name"] or "", entry["tensor_index"]
            place = ((where, side), i)
            if index >= len(tensors):
                fail(f"index {index} into {len(tensors)} tensors", (place, "tensor_index"))
            if name in found:
                fail(f"second entry called {name!r}", (place, "name"))
            found[name] = index
    key, tag = raw["signature_key"] or "", raw.get("deprecated_tag")
    return Signature(key, raw["subgraph_index"], **names, deprecated_tag=tag)
