"""Whether the files that a command is to write can be written, asked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

__all__ = ["check_outputs"]


def check_outputs(outputs: Iterable[str | None], inputs: Iterable[str | None]) -> None:
    """Refuse outputs that cannot be written, and those that would replace an input or each other.

    Symbolic links are followed, as `quantcore.files.atomic_write` does. Devices and pipes may be named twice.

    Parameters
    ----------
    outputs, inputs : iterable of str or None
        Paths as given; None stands for an option that is not there.

    Raises
    ------
    click.UsageError
    """
    taken = {os.path.realpath(path): f"{path} is an input of this command" for path in inputs if path}
    for path in outputs:
        if path is None:
            continue
        target = Path(os.path.realpath(path))
        if not path or target.is_dir():
            raise click.UsageError(f"cannot write {path!r}: it is a folder; expected the name of a file")
        if Path(path).exists() and not Path(path).is_file():
            continue
        if not target.parent.is_dir():
            raise click.UsageError(f"cannot write {path}: there is no folder {target.parent}")
        if not os.access(target.parent, os.W_OK):
            raise click.UsageError(f"cannot write {path}: no permission to write to {target.parent}")
        if str(target) in taken:
            raise click.UsageError(f"cannot write {path}: {taken[str(target)]}; give another name")
        taken[str(target)] = f"{path} is written already"
