"""From a path or a buffer to the bytes of a ``.tflite`` file, or to one clear line about why not."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer.schema import FILE_IDENTIFIER

__all__ = ["check_identifier", "open_source"]

# What people hand over instead of a .tflite file, by its first bytes.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "ZIP (such as .keras or .npz)"),
    (b"\x89HDF\r\n\x1a\n", "HDF5 (such as .h5)"),
    (b"\x93NUMPY", "NumPy .npy"),
    (b"%PDF", "PDF"),
    (b"\x7fELF", "ELF"),
    (b"GGUF", "GGUF"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"version https://git-lfs", "Git LFS pointer (fetch the file with `git lfs pull`)"),
)


def open_source(source: Any) -> tuple[np.ndarray, str]:
    """Return the bytes of `source`, read-only and 16-byte aligned, and its name for messages.

    Parameters
    ----------
    source : str, os.PathLike, or an object with the buffer interface
        A path is memory-mapped; a buffer is used in place, or copied if it is misaligned.

    Raises
    ------
    ModelFormatError
        There is no such file, it cannot be read, or it is not a regular file.
    """
    if isinstance(source, (str, os.PathLike)):
        return _map_file(Path(source)), os.fspath(source)
    try:
        data = np.frombuffer(memoryview(source).toreadonly().cast("B"), np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ModelFormatError(
            f"cannot read a model from {type(source).__name__}: expected a path or contiguous bytes ({error})"
        ) from None
    if data.ctypes.data % 16:
        data = data.copy()
        data.flags.writeable = False
    return data, "<bytes>"


def _map_file(path: Path) -> np.ndarray:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise ModelFormatError(f"{path} is {kind}, expected a .tflite file")
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return np.empty(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError:
        raise ModelFormatError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFormatError(f"cannot read {str(path)!r}: {reason}") from None


def check_identifier(data: np.ndarray) -> None:
    """Fail unless `data` starts like a ``.tflite`` file."""
    head = data[:64].tobytes()
    if head[4:8] == FILE_IDENTIFIER:
        return
    expected = f'expected "{FILE_IDENTIFIER.decode()}" at byte 4'
    if not head:
        raise ModelFormatError(f"not a .tflite file: it is empty, {expected}")
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            raise ModelFormatError(f"not a .tflite file: found {name} signature, {expected}", offset=0)
    if len(head) < 8:
        raise ModelFormatError(f"not a .tflite file: it has only {len(head)} bytes, {expected}")
    raise ModelFormatError(f"not a .tflite file: found {head[4:8]!r}, {expected}", offset=4)
