"""Where the bytes that a file has behind its flatbuffer are read from and written to."""

from __future__ import annotations

import numpy as np

from quantcore.flatbuffer.archive import find_archive, is_archive, move_archive
from quantcore.flatbuffer.place import fail
from quantcore.graph import Model

__all__ = ["appended_parts", "read_appended"]

# Positions in a ZIP archive are 32-bit numbers.
_MAX_BYTES = 2**32 - 2


def read_appended(model: Model, data: np.ndarray, end: int) -> None:
    """Set what the file `data` holds behind byte `end`, where what its tables refer to ends."""
    stop = data.size
    found = find_archive(data, end)
    if found:
        stop, model.archive = found
    # A field that was not read may refer to bytes here.
    if model.unread or not data[end:stop].any():
        return
    # Zeros in front may be padding, and come back as padding, because the position is kept.
    start = end + int(np.argmax(data[end:stop] != 0))
    model.trailing, model.trailing_offset = data[start:stop], start


def appended_parts(model: Model, size: int) -> list[bytes | memoryview]:
    """Return what to write behind a flatbuffer of `size` bytes.

    `Model.trailing` comes to stand where it stood before, because custom operators refer to it by position.
    Where the flatbuffer now needs that place, a model with custom operators is refused; in any other, nothing
    can refer to the bytes, and they follow the flatbuffer.
    """
    parts: list[bytes | memoryview] = []
    if model.trailing is not None:
        data = np.ascontiguousarray(model.trailing)
        if data.dtype != np.uint8 or data.ndim != 1:
            fail(f"{data.dtype} of shape {data.shape}, expected uint8 in one dimension", (None, "trailing"))
        gap = model.trailing_offset - size
        if gap < 0 and any(op.op == "CUSTOM" for _, _, op in model.operators()):
            fail(
                f"a custom operator may refer to the bytes at position {model.trailing_offset} of the file, "
                f"but the model before them now takes {size}; set trailing to None to write it without them",
                (None, "trailing"),
            )
        parts += [bytes(max(gap, 0)), data.data]
        size += max(gap, 0) + data.size
    if model.archive is not None:
        if not is_archive(model.archive):
            fail("not a ZIP archive whose positions count from its first byte", (None, "archive"))
        if size + len(model.archive) > _MAX_BYTES:
            fail(f"a file of {size + len(model.archive)} bytes is too large for ZIP", (None, "archive"))
        parts.append(move_archive(model.archive, size))
    return parts
