"""What the benchmarks share: sections of one JSON file, tables, peers that are not installed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from _machine import describe

from quantcore.cli._output import to_plain

__all__ = [
    "NOT_INSTALLED",
    "Section",
    "heading",
    "json_options",
    "load_peer",
    "progress_line",
    "save_section",
    "says_missing",
]

NOT_INSTALLED = "not installed"

Section = dict[str, Any]


def json_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json FILE`` and ``--merge`` to a command."""
    function = click.option(
        "--merge", is_flag=True, help="Keep what is in the JSON file; replace rows that are measured again."
    )(function)
    return click.option(
        "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures."
    )(function)


def save_section(
    path: Path | None, name: str, section: Section, *, merge: bool, keys: Sequence[str] = ()
) -> Section | None:
    """Write a section of the JSON file, beside the description of the machine; return it as it was written.

    Parameters
    ----------
    path : Path or None
        None: nothing is written.
    name : str
    section : dict
        With a list ``rows`` of dicts where `keys` are given.
    merge : bool
        Keep other sections, and rows whose values of `keys` are not measured anew.
    keys : sequence of str
    """
    if path is None:
        return None
    report = json.loads(path.read_text(encoding="utf-8")) if merge and path.exists() else {}
    if keys and name in report:
        new = {tuple(row[key] for key in keys) for row in section["rows"]}
        kept = [row for row in report[name]["rows"] if tuple(row[key] for key in keys) not in new]
        section = {**section, "rows": [*kept, *section["rows"]]}
    known = report.get("machine", {})
    machine = describe()
    versions = {
        peer: found or known.get("versions", {}).get(peer) for peer, found in machine["versions"].items()
    }
    report["machine"] = {**machine, "versions": versions}
    report[name] = section
    text = json.dumps(to_plain(report), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return section


def load_peer(module: str, missing: dict[str, str]) -> Any:
    """Return a peer's module; None where it is not installed or does not load, and why in `missing`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing[module] = NOT_INSTALLED if error.name == module else f"needs {error.name}, {NOT_INSTALLED}"
    except ImportError as error:
        missing[module] = f"cannot be loaded: {error}"
    return None


def says_missing(missing: dict[str, str]) -> None:
    """Print which peers have no column, and why."""
    for name, reason in missing.items():
        print(f"{name}: {reason}")


def heading(what: str) -> str:
    """Return the title of a table: what, by which instruction set, on which CPU."""
    machine = describe()
    return f"{what}\n{machine['isa']}, {machine['cpu']}, {machine['date']}"


def progress_line(text: str) -> None:
    """Say on stderr what is being measured; on a terminal, in place of the last."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"  {text:<70}", end=end, file=sys.stderr, flush=True)
