"""What ``quantcore verify`` prints of one numerics profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from quantcore.cli._output import say
from quantcore.cli._tables import console, print_fields, print_table, table

if TYPE_CHECKING:
    from quantcore.verify import Comparison, VerifyResult

__all__ = ["explain", "oracle_line", "print_result", "verdict"]

STATUS_STYLE = {"mismatch": "bold red", "not compared": "yellow", "close": ""}


def print_result(result: VerifyResult, failed_only: bool) -> None:
    """Print what was compared, operator by operator, and the verdict."""
    rows = [
        ("model", result.model),
        ("numerics", result.numerics),
        ("oracle", oracle_line(result.oracle)),
        ("samples", str(result.samples)),
        *(("note", note) for note in result.notes),
    ]
    print_fields(rows)
    print_rows("operators, each on the oracle's own inputs to it", result.operators, failed_only)
    print_rows("end to end", result.end_to_end, failed_only)
    console().print()
    console().print(verdict(result))


def oracle_line(oracle: Mapping[str, str]) -> str:
    """Return name, version and resolver in a line."""
    return f"{oracle['name']} {oracle['version']}, {oracle['resolver']}"


def print_rows(title: str, rows: Sequence[Comparison], failed_only: bool) -> None:
    """Print one line per tensor that was compared."""
    result = table(">#", "operator", ">tensor", "dtype", ">elements", ">mismatches", ">max diff", "result",
                   title=title)  # fmt: skip
    for row in rows:
        if failed_only and row.status == "exact":
            continue
        result.add_row(
            "" if row.index is None else str(row.index),
            row.op or row.name,
            str(row.tensor),
            row.dtype,
            f"{row.elements:,}",
            f"{row.mismatches:,}",
            f"{row.max_abs_diff:.6g}" if row.differing else "",
            row.status if row.status == "exact" else Text(status(row), style=STATUS_STYLE[row.status]),
        )
    if result.row_count:
        print_table(result)
    for row in rows:
        if row.status in ("mismatch", "not compared"):
            say(explain(row))


def status(row: Comparison) -> str:
    """Return a row's status; for floats that are not compared in bits, how close they are."""
    if row.status != "close":
        return row.status
    return f"close: {row.differing:,} differ, by {row.max_ulp} ULPs, {row.max_relative:.1e} of the largest"


def explain(row: Comparison) -> str:
    """Return where the first mismatch of a row is, or why there is no comparison."""
    who = row.name if row.index is None else f"{row.index} {row.op}"
    if row.first_values is None:
        return f"{who}: {row.reason}"
    ours, expected = row.first_values
    at = f"sample {row.first_sample} at {list(row.first_index or ())}"
    return f"{who}: the first mismatch is in {at}: {ours} instead of {expected}"


def verdict(result: VerifyResult) -> str:
    """Return the whole result in one line."""
    exact = sum(row.status == "exact" for row in result.operators)
    elements = sum(row.elements for row in result.rows)
    count = f"{exact}/{len(result.operators)} operators, {elements:,} values compared"
    if result.bit_exact:
        return f"bit-exact: {count}, every bit agrees"
    if result.agrees:
        close = sum(row.status == "close" for row in result.operators)
        return f"agrees: {count}, every bit but for {close} float tensors, which are compared in ULPs"
    return f"{'NOT bit-exact' if result.mismatched else 'not proved'}: {count}"
