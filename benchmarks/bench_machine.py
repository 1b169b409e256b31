"""What this machine can do at most: multiply-accumulates by instruction, bytes by memory level.

    python benchmarks/bench_machine.py

Loops of one instruction on registers, and passes over memory, compiled from peaks.c by the system's compiler.
One core; the fastest of several runs. The other tables say which share of these rates is reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from _machine import arithmetic_peaks, describe, memory_peaks
from _report import heading, json_options, save_section

from quantcore.cli._tables import print_fields, print_table, table


def print_machine(machine: dict[str, Any]) -> None:
    """Print who measures what on what."""
    isa = machine["isa"] + ("" if machine["isa"] == machine["best_isa"] else f" (of {machine['best_isa']})")
    rows = [
        ("CPU", f"{machine['cpu']}; {machine['cores']} cores, {machine['architecture']}"),
        ("instruction set", isa),
        ("quantcore", f"{machine['quantcore']}, Python {machine['python']}, {machine['date']}"),
        *((name, found or "not installed") for name, found in machine["versions"].items()),
    ]
    print_fields(rows)


def print_peaks(section: dict[str, Any]) -> None:
    """Print the rates."""
    if not section["arithmetic"] and not section["memory"]:
        print("peaks: not measured, there is no C compiler")
        return
    peaks = table("instructions", "values", ">GMAC/s", title=heading("arithmetic, one core, on registers"))
    for row in section["arithmetic"]:
        peaks.add_row(row["name"], row["kind"], f"{row['per_second'] / 1e9:,.0f}")
    print_table(peaks)
    memory = table("data", "pass", ">GB/s", title="memory, one core (a copy: bytes read)")
    for row in section["memory"]:
        memory.add_row(row["isa"], row["kind"], f"{row['per_second'] / 1e9:.1f}")
    print_table(memory)


@click.command(help=str(__doc__))
@json_options
def main(json_path: Path | None, merge: bool) -> None:
    """Measure and print."""
    print_machine(describe())
    section = {
        "arithmetic": [peak.to_json() for peak in arithmetic_peaks()],
        "memory": [peak.to_json() for peak in memory_peaks()],
    }
    print_peaks(section)
    save_section(json_path, "peaks", section, merge=merge)


if __name__ == "__main__":
    main()
