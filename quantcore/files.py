"""Files of arrays, and writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from quantcore.errors import QuantcoreError

__all__ = ["atomic_write", "read_arrays", "write_arrays"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that takes its place at `path` only when it is complete.

    The data goes to a temporary file in the same folder, which is renamed at the end; if the block
    raises, it is removed and what stood at `path` before is untouched. Symbolic links are followed.
    Devices and pipes (``/dev/stdout``) are written directly.

    Parameters
    ----------
    path : path-like
    mode : {"wb", "w"}

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written, or `path` is a folder.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file to write")
    encoding = None if "b" in mode else "utf-8"
    device = Path(path)  # not `target`: where /dev/stdout is a pipe, its link leads to no place in a folder
    if device.exists() and not device.is_file():
        with device.open(mode, encoding=encoding) as file:
            yield file
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open(mode.replace("w", "x"), encoding=encoding) as file:
            yield file
        temporary.replace(target)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"cannot write {path}: the folder {target.parent} does not exist") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a ``.npz`` file, or a ``.npy`` file, whose array is called ``""``.

    Raises
    ------
    OSError
        If the file cannot be opened.
    QuantcoreError
        If it is not a NumPy file, is damaged, or holds Python objects.
    """
    import zipfile  # here: commands that only read a model start without it
    import zlib

    expected = "expected an .npz or .npy file without Python objects"
    with Path(path).open("rb") as file:
        if not file.read(6).startswith((b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")):
            raise QuantcoreError(f"{path} is not a NumPy file; {expected}")
        file.seek(0)
        try:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            with loaded:
                return {name: loaded[name] for name in loaded.files}
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise QuantcoreError(f"{path} cannot be read as a NumPy file ({error}); {expected}") from error


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz`` file.

    Unlike `numpy.savez_compressed`, it takes any name, ``file`` included.
    """
    import zipfile

    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
