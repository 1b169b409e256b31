"""JSON for machines, progress bars for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["print_json", "progress", "step_progress", "to_plain"]


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
    """Print `value` as one JSON object; NumPy values become plain ones."""
    json.dump(to_plain(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def to_plain(value: Any) -> Any:
    """Return `value` with only types that JSON has; NaN and infinities, which it has not, become null."""
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
