"""What stands in a file behind the flatbuffer: a ZIP archive of associated files, or other bytes.

TFLite's metadata tools append labels and vocabularies to a model as a ZIP archive. It is found from its end,
and its directory says where in the file the entries stand, so it cannot be moved as it is. Here it is held
with positions that count from its own first byte: a ZIP file in its own right, whatever it is appended to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

__all__ = ["find_archive", "is_archive", "move_archive"]

# The end record: disk numbers, entries, then size and position of the directory, length of the comment.
_END = struct.Struct("<4s4H2IH")
_END_SIGNATURE = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
# An entry of the directory: lengths of name, extra field and comment; position of the file's header.
_ENTRY_BYTES = 46
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LENGTHS = struct.Struct("<3H")
_POSITION = struct.Struct("<I")
_FILE_SIGNATURE = b"PK\x03\x04"
_ZIP64 = 0xFFFFFFFF  # says that the number stands elsewhere, because it is too large


def find_archive(data: np.ndarray, end: int) -> tuple[int, bytes] | None:
    """Return where in `data` the archive starts and its bytes, positions counted from that start.

    Parameters
    ----------
    data : ndarray of uint8, shape (bytes,)
        A whole file.
    end : int
        Where the archive may start.

    Returns
    -------
    (int, bytes) or None
        None where the file does not end in an archive, or in one that is damaged or larger than ZIP
        without its 64-bit extension allows.
    """
    window = max(end, data.size - _END.size - _LONGEST_COMMENT)
    tail = data[window:].tobytes()
    at = tail.rfind(_END_SIGNATURE)
    while at >= 0 and not _ends_file(tail, at):
        at = tail.rfind(_END_SIGNATURE, 0, at)
    if at < 0:
        return None
    _, _, _, _, _, size, position, _ = _END.unpack_from(tail, at)
    directory = window + at - size
    if directory < end or position == _ZIP64:
        return None
    # Positions count from the start of the file, or from elsewhere if it was moved since.
    base = directory - position
    entries = list(_entries(data[directory : directory + size].tobytes()))
    if None in entries:
        return None
    starts = [base + header for _, header in filter(None, entries)]
    if not all(end <= start <= directory - 4 and _is_file(data, start) for start in starts):
        return None
    start = min([directory, *starts])
    return start, _shifted(data[start:].tobytes(), directory - start, size, base - start)


def is_archive(archive: bytes) -> bool:
    """Return whether `archive` is a ZIP file that `move_archive` can move."""
    found = find_archive(np.frombuffer(archive, np.uint8), 0)
    return found is not None and found == (0, archive)


def move_archive(archive: bytes, start: int) -> bytes:
    """Return an archive, as `find_archive` returns it, for appending to `start` bytes."""
    at = archive.rfind(_END_SIGNATURE)
    while not _ends_file(archive, at):
        at = archive.rfind(_END_SIGNATURE, 0, at)
    _, _, _, _, _, size, position, _ = _END.unpack_from(archive, at)
    return _shifted(archive, position, size, start)


def _ends_file(tail: bytes, at: int) -> bool:
    """Return whether the end record at `at`, with its comment, is the last thing in the file."""
    if at + _END.size > len(tail):
        return False
    return at + _END.size + int(_END.unpack_from(tail, at)[-1]) == len(tail)


def _is_file(data: np.ndarray, start: int) -> bool:
    return data[start : start + 4].tobytes() == _FILE_SIGNATURE


def _entries(directory: bytes) -> Iterator[tuple[int, int] | None]:
    """Yield (place of the entry in the directory, position of its file); None where it is damaged."""
    at = 0
    while at < len(directory):
        if directory[at : at + 4] != _ENTRY_SIGNATURE or at + _ENTRY_BYTES > len(directory):
            yield None
            return
        position = _POSITION.unpack_from(directory, at + 42)[0]
        yield None if position == _ZIP64 else (at, position)
        at += _ENTRY_BYTES + sum(_LENGTHS.unpack_from(directory, at + 28))


def _shifted(archive: bytes, directory: int, size: int, by: int) -> bytes:
    """Return `archive`, whose directory of `size` bytes stands at `directory`, with other positions."""
    result = bytearray(archive)
    places = [directory + entry[0] + 42 for entry in _entries(archive[directory : directory + size]) if entry]
    # 16 is the place of the directory's position in the end record, which follows the directory.
    for place in [*places, directory + size + 16]:
        _POSITION.pack_into(result, place, _POSITION.unpack_from(result, place)[0] + by)
    return bytes(result)
