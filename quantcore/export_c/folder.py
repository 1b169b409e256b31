"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from quantcore.errors import QuantcoreError

__all__ = ["MARK", "check_folder", "write_folder"]

MARK = "export.json"  # a folder with this file is an earlier export


def check_folder(out: Path, force: bool) -> None:
    """Refuse to write over something that no export has written.

    Raises
    ------
    QuantcoreError
        `out` is a file, or a folder with other files in it.
    FileNotFoundError
        There is no folder to write it into.
    """
    if not out.parent.is_dir():
        raise FileNotFoundError(f"cannot write {out}: the folder {out.parent} does not exist")
    if out.exists() and not out.is_dir():
        raise QuantcoreError(f"{out} is a file; expected the name of a folder to write")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file() and not force:
        raise QuantcoreError(
            f"{out} is a folder with other files in it; expected a new or empty one, or an earlier export, "
            "which is replaced (--force replaces any)"
        )


def write_folder(out: Path, files: Mapping[str, str | bytes]) -> None:
    """Write a folder; what was there is replaced when all files are complete.

    Parameters
    ----------
    out : Path
    files : mapping of str to str or bytes
        Contents by path in the folder.

    Raises
    ------
    QuantcoreError
        The folder around it cannot be written.
    """
    out = Path(os.path.realpath(out))
    token = secrets.token_hex(4)
    made, old = out.with_name(f".{out.name}.{token}.tmp"), out.with_name(f".{out.name}.{token}.old")
    try:
        try:
            made.mkdir()
        except OSError as error:
            raise QuantcoreError(f"cannot write {out}: {out.parent}: {error.strerror}") from None
        for name, contents in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents.encode("utf-8") if isinstance(contents, str) else contents)
        if out.exists():
            out.rename(old)
        made.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
