"""What the benchmarks beside NumPy share: tables of GB/s, options.

A GB/s counts the float32 side of an operation once: 4 bytes per element.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from _timing import medians

from quantcore.cli import _tables
from quantcore.kernels import _core


@dataclass
class Race:
    """Two ways to compute the same, and what each element of it weighs."""

    name: str
    ours: Callable[[], Any]
    numpy: Callable[[], Any]
    formula: str


def results_of(races: list[Race], elements: int, turns: int) -> list[dict[str, Any]]:
    """Measure every race, on `elements` values."""
    gigabytes = 4 * elements / 1e9
    results = []
    for race in races:
        ours, numpy = medians((race.ours, race.numpy), turns)
        results.append(
            {
                "name": race.name,
                "quantcore_gb_per_s": gigabytes / ours,
                "numpy_gb_per_s": gigabytes / numpy,
                "ratio": numpy / ours,
                "numpy_formula": race.formula,
            }
        )
    return results


def print_table(elements: int, turns: int, results: list[dict[str, Any]]) -> None:
    """Print one table, of one size."""
    title = f"{elements:,} values per call, instruction set {_core.isa}, median of {turns}"
    columns = ("operation", ">quantcore GB/s", ">NumPy GB/s", ">ratio", "NumPy computes")
    table = _tables.table(*columns, title=title)
    for r in results:
        numbers = (f"{r['quantcore_gb_per_s']:.2f}", f"{r['numpy_gb_per_s']:.2f}", f"{r['ratio']:.1f}x")
        table.add_row(r["name"], *numbers, r["numpy_formula"])
    _tables.print_table(table)


def command(races: Callable[[int], list[Race]], description: str) -> click.Command:
    """Return the command that measures what `races` returns for a number of elements."""

    @click.command(help=description)
    @click.option(
        "--elements",
        "sizes",
        type=click.IntRange(1),
        multiple=True,
        default=(1 << 16, 1 << 20, 1 << 23),
        show_default=True,
        help="Values per call; may be given several times.",
    )
    @click.option(
        "--turns", type=click.IntRange(1), default=15, show_default=True, help="Calls of each contender."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    def main(sizes: tuple[int, ...], turns: int, as_json: bool) -> None:
        measured = [(elements, results_of(races(elements), elements, turns)) for elements in sizes]
        if as_json:
            listed = [{"elements": elements, "results": results} for elements, results in measured]
            print(json.dumps({"isa": _core.isa, "turns": turns, "sizes": listed}))
            return
        for elements, results in measured:
            print_table(elements, turns, results)

    return main
