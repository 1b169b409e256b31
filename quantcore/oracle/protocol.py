"""Messages between a process and its worker: a JSON header, then arrays as raw bytes.

Layout of a message, little endian: ``b"QCM1"``, uint32 length of the header, the header (UTF-8 JSON), then
the bytes of each array in the order of ``header["arrays"]`` (its dtype and shape). Nothing is pickled, so a
message can carry data but never code, and a reader checks sizes before it allocates.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["ProtocolError", "receive", "send"]

MAGIC = b"QCM1"
PREFIX = struct.Struct("<4sI")
MAX_HEADER = 1 << 26
MAX_ARRAY = 1 << 34


class ProtocolError(Exception):
    """The other side sent something that is not a message."""


def send(channel: socket.socket, header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
    """Send one message.

    Parameters
    ----------
    channel : socket
    header : dict
        JSON-serializable fields; the key ``arrays`` is taken.
    arrays : sequence of ndarray
        Any fixed-size dtype; object arrays are refused.
    """
    contiguous = [np.ascontiguousarray(a).reshape(np.shape(a)) for a in arrays]
    for array in contiguous:
        if array.dtype.hasobject:
            raise ProtocolError(f"cannot send an array of dtype {array.dtype}; expected numbers or bytes")
    described = [{"dtype": a.dtype.str, "shape": list(a.shape)} for a in contiguous]
    text = json.dumps({**header, "arrays": described}).encode()
    channel.sendall(PREFIX.pack(MAGIC, len(text)) + text)
    for array in contiguous:
        if array.nbytes:
            channel.sendall(array.reshape(-1).view(np.uint8).data)


def receive(channel: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Receive one message, before `deadline` on the clock of `time.monotonic` if that is given.

    Raises
    ------
    EOFError
        The other side closed the connection before the message was complete.
    TimeoutError
        The deadline has passed.
    ProtocolError
        The bytes are not a message.
    """
    magic, length = PREFIX.unpack(_receive_bytes(channel, PREFIX.size, deadline))
    if magic != MAGIC or length > MAX_HEADER:
        raise ProtocolError(f"expected a message, found {magic!r} and a header of {length} bytes")
    try:
        header = json.loads(_receive_bytes(channel, length, deadline))
        described = [(np.dtype(item["dtype"]), tuple(map(int, item["shape"]))) for item in header["arrays"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"the header of the message is malformed: {error}") from None
    return header, [_receive_array(channel, dtype, shape, deadline) for dtype, shape in described]


def _receive_array(
    channel: socket.socket, dtype: np.dtype[Any], shape: tuple[int, ...], deadline: float | None
) -> np.ndarray:
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or not 0 <= size <= MAX_ARRAY or min(shape, default=0) < 0:
        raise ProtocolError(f"refusing an array of dtype {dtype} and shape {shape}")
    array = np.empty(shape, dtype)
    if size:
        _receive_into(channel, array.reshape(-1).view(np.uint8).data, deadline)
    return array


def _receive_bytes(channel: socket.socket, count: int, deadline: float | None) -> bytes:
    buffer = bytearray(count)
    _receive_into(channel, memoryview(buffer), deadline)
    return bytes(buffer)


def _receive_into(channel: socket.socket, view: memoryview, deadline: float | None) -> None:
    while view.nbytes:
        if deadline is not None:  # the socket's own time-out would start anew with every piece
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            channel.settimeout(remaining)
        received = channel.recv_into(view)
        if received == 0:
            raise EOFError("the connection was closed in the middle of a message")
        view = view[received:]
