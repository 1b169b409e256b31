"""Tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from quantcore.cli._output import printable

__all__ = ["CleanTable", "console", "percent", "print_fields", "print_table", "table"]

PIPE_WIDTH = 500  # wide enough that a table in a pipe or a file is never cut
GAP = 2  # columns of the screen between two columns of a table


def console() -> Console:
    """Return the console on stdout. In a pipe, lines are as long as they need to be."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, soft_wrap=False)


class CleanTable(Table):
    """A table whose cells may hold text from a file, with a heading of any length."""

    def __init__(self, *, heading: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.heading = heading
        self.cells: list[tuple[Any, ...]] = []

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; control characters in strings are escaped."""
        clean = tuple(printable(cell) if isinstance(cell, str) else cell for cell in cells)
        self.cells.append(clean)
        super().add_row(*clean, **options)


def table(*columns: str, title: str | None = None) -> CleanTable:
    """Return an empty table. A column whose heading is given as ``>heading`` is aligned to the right."""
    result = CleanTable(
        heading=title,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 0, 0, GAP - 1),
        pad_edge=False,
    )
    for column in columns:
        right = column.startswith(">")
        result.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return result


def print_table(what: CleanTable) -> None:
    """Print a table with an empty line above it."""
    screen = console()
    screen.print()
    if what.heading:
        screen.print(Text(what.heading, style="bold"))
    screen.print(aligned(what, screen.width) or what)


def aligned(what: CleanTable, width: int) -> Text | None:
    """Return a table of `table` as one text, or None if a cell needs more than a line.

    It looks as rich would draw it. But rich measures and renders cell by cell, which takes longer than the
    whole rest of a command where there are hundreds of rows.
    """
    rows = [tuple(str(column.header) for column in what.columns), *what.cells]
    if any(not isinstance(cell, str) or "\n" in cell for row in rows for cell in row):
        return None
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    total = sum(widths) + GAP * (len(widths) - 1)
    if total > width:
        return None
    right = [column.justify == "right" for column in what.columns]

    def line(row: tuple[str, ...]) -> str:
        spaces = [" " * (room - cell_len(cell)) for cell, room in zip(row, widths, strict=True)]
        cells = zip(row, spaces, right, strict=True)
        return (" " * GAP).join(s + c if r else c + s for c, s, r in cells).rstrip()

    head, *body = (line(row) for row in rows)
    text = Text("", no_wrap=True, overflow="ignore")
    return text.append(f"{head}\n", style="bold").append("\n".join(["─" * total, *body]))


def print_fields(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, a line each."""
    result = CleanTable(show_header=False, box=None, pad_edge=False)
    result.add_column(style="bold", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in rows:
        result.add_row(name, value)
    console().print(result)


def percent(share: float) -> str:
    """Return a share for people; what is not 0 does not look like it."""
    return f"{share:.1%}" if share == 0 or share >= 0.0005 else "<0.1%"
