"""What commands print beside tables: lines, JSON for machines, progress bars for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

__all__ = ["complain", "print_json", "printable", "progress", "say", "step_progress", "write_json"]


def printable(text: str) -> str:
    """Return `text` with control characters escaped, so that a name in a file cannot steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def say(text: str) -> None:
    """Print a line, as it is: tables and `console` would break a long one."""
    print(printable(text))


def complain(text: str) -> None:
    """Print a line on stderr."""
    print(f"quantcore: {printable(text)}", file=sys.stderr)


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr if that is a terminal; yields ``advance(count)``."""
    with step_progress(description) as step:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            step(done, total, description)

        yield advance


@contextmanager
def step_progress(description: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on stderr if that is a terminal; yields ``step(done, total, what)``."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def print_json(value: Any) -> None:
    """Print `value` as one JSON object, as `write_json` does."""
    write_json(value, sys.stdout)
    sys.stdout.write("\n")


def write_json(value: Any, file: IO[str]) -> None:
    """Write `value` to an open file as JSON; NumPy values become plain ones, NaN and infinities null."""
    json.dump(to_plain(value), file, indent=2, allow_nan=False)


def to_plain(value: Any) -> Any:
    """Return `value` with only types that JSON has; NaN and infinities, which it has not, become null."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
