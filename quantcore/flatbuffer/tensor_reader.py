"""Decoded ``Tensor`` and ``Buffer`` tables to `Tensor`, with constants as views over the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.flatbuffer.constants import check_strings, constant_bytes, element_dtype
from quantcore.flatbuffer.decoder import Decoder
from quantcore.flatbuffer.place import Where, fail
from quantcore.flatbuffer.sparsity import SparsityError, stored_elements
from quantcore.graph import Quantization, Tensor

__all__ = ["TensorReader"]

MAX_RANK = 64  # NumPy's limit


class TensorReader:
    """Reads tensors whose constants lie in the given ``Buffer`` tables.

    Attributes
    ----------
    buffers : list of (ndarray of uint8 or None)
    """

    def __init__(self, decoder: Decoder, buffers: list[dict[str, Any]]) -> None:
        self.decoder = decoder
        places: list[Where] = [((None, "buffers"), i) for i in range(len(buffers))]
        self.buffers = [self._buffer(raw, place) for raw, place in zip(buffers, places, strict=True)] or [
            None
        ]

    def tensor(self, raw: dict[str, Any], where: Where) -> Tensor:
        shape = self._shape(raw["shape"] or (), 0, (where, "shape"))
        signature = raw["shape_signature"]
        if signature is not None:
            self._shape(signature, -1, (where, "shape_signature"))
        tensor = Tensor(
            name=raw["name"] or "",
            shape=shape,
            dtype=raw["type"].lower(),
            buffer=raw["buffer"],
            quantization=self._quantization(raw["quantization"], (where, "quantization")),
            shape_signature=signature,
            is_variable=raw["is_variable"],
            sparsity=raw["sparsity"],
            has_rank=raw["has_rank"],
            variant_tensors=raw["variant_tensors"],
            external_buffer=raw["external_buffer"],
        )
        stored = self._stored_elements(tensor, where)
        # Buffer 0 means "no data", whatever it holds.
        data = self.buffers[tensor.buffer] if tensor.buffer else None
        if data is not None:
            tensor.data = self._constant(tensor, stored, data, where)
        return tensor

    def _buffer(self, raw: dict[str, Any], where: Where) -> np.ndarray | None:
        data: np.ndarray | None = raw["data"]
        # Offset 1 is the converter's placeholder for "not written yet", so it means none.
        if data is None and raw["offset"] > 1:
            return self.decoder.slice(raw["offset"], raw["size"], (where, "offset"))
        return data

    def _shape(self, shape: tuple[int, ...], least: int, where: Where) -> tuple[int, ...]:
        if len(shape) > MAX_RANK:
            fail(f"{len(shape)} dimensions, expected at most {MAX_RANK}", where)
        for i, size in enumerate(shape):
            if size < least:
                fail(f"dimension of size {size}, expected at least {least}", (where, i))
        return shape

    def _stored_elements(self, tensor: Tensor, where: Where) -> int:
        """Return how many elements the buffer of `tensor` must hold."""
        if tensor.sparsity is None:
            elements = 1
            for size in tensor.shape:
                elements *= size
            return elements
        place: Where = (where, "sparsity")
        for level in tensor.sparsity["dim_metadata"] or ():
            for name in ("array_segments", "array_indices"):
                values = level[name]["values"] if level[name] else None
                # Verification widens the indices to int64.
                self.decoder.spend(0 if values is None else 16 * values.size, place)
        try:
            return stored_elements(tensor.sparsity, tensor.shape)
        except SparsityError as error:
            for step in error.path:
                place = (place, step)
            fail(str(error), place)

    def _constant(self, tensor: Tensor, stored: int, data: np.ndarray, where: Where) -> np.ndarray | None:
        """Return the buffer `data` as the value of `tensor`; verify its size."""
        expected = constant_bytes(tensor.dtype, stored)
        # Old writers stored an empty vector for tensors that are computed at run time.
        if not data.size and expected != 0:
            return None
        if expected is not None and data.size != expected:
            fail(
                f"buffer {tensor.buffer} has {data.size} bytes, expected {expected} for {stored} values of "
                f"{tensor.dtype} (shape {tensor.shape})",
                (where, "buffer"),
            )
        if tensor.dtype == "string":
            self.decoder.spend(3 * data.size, (where, "buffer"))
            problem = check_strings(self.decoder.typed(data, "uint8", where))
            if problem:
                fail(problem, (where, "buffer"))
        dtype = element_dtype(tensor.dtype)
        if dtype is None:
            return data
        array = self.decoder.typed(data, dtype, (where, "buffer"))
        if tensor.sparsity is not None:
            return array
        try:
            return array.reshape(tensor.shape)
        except ValueError:  # no elements, and other dimensions too large for NumPy
            fail(f"no array can have shape {tensor.shape}", (where, "shape"))

    def _quantization(self, raw: dict[str, Any] | None, where: Where) -> Quantization | None:
        if raw is None:
            return None
        scale, zero_point = raw["scale"], raw["zero_point"]
        scale = np.empty(0, np.float32) if scale is None else scale
        zero_point = np.empty(0, np.int64) if zero_point is None else zero_point
        if scale.size and zero_point.size != scale.size:
            fail(f"{zero_point.size} zero points for {scale.size} scales", (where, "zero_point"))
        # Models for TFLite Micro name dimensions that the tensor does not have: its rank is no limit.
        dimension = raw["quantized_dimension"]
        if not 0 <= dimension < MAX_RANK:
            fail(f"impossible dimension {dimension}", (where, "quantized_dimension"))
        low, high = (
            None if raw[name] is None or not raw[name].size else raw[name] for name in ("min", "max")
        )
        # The converter writes an empty table for every tensor that is not quantized.
        if (
            not (scale.size or zero_point.size or dimension or raw["details"])
            and low is None
            and high is None
        ):
            return None
        return Quantization(
            scale=scale,
            zero_point=zero_point,
            quantized_dimension=dimension,
            min=low,
            max=high,
            details_type=raw["details_type"],
            details=raw["details"],
        )
