"""What ``quantcore compare`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcore.cli._output import say
from quantcore.cli._tables import percent, print_fields, print_table, table

if TYPE_CHECKING:
    from quantcore.comparison.result import CompareResult, Row

__all__ = ["left_out", "print_result"]

Sort = tuple[str, bool]  # a measure, and whether its largest value is the worst


def print_result(result: CompareResult, sort: Sort | None, top: int | None) -> None:
    """Print what was compared, tensor by tensor, and what was not."""
    about = [
        ("float model", result.float_model),
        ("quantized", result.quant_model),
        ("fed with", result.feed),
        ("numerics", result.numerics),
        ("samples", str(result.samples)),
        *(("note", note) for note in result.notes),
    ]
    print_fields(about)
    print_rows("tensors", result.tensors, sort, top)
    print_rows("constants", result.constants, sort, top)
    for row in result.tensors:
        if row.reason:
            say(f"{row.index} {row.op}: tensor {row.tensor} not compared: {row.reason}")
        elif row.sums.non_finite:
            say(f"{row.op or 'input'}: tensor {row.tensor}: {left_out(row)}")
    for name, unmatched in (("quantized", result.unmatched_quant), ("float", result.unmatched_float)):
        for what in unmatched:
            say(f"no counterpart for {what.index} {what.op} ({what.name}) of the {name} model")


def print_rows(title: str, rows: list[Row], sort: Sort | None, top: int | None) -> None:
    """Print one line per tensor."""
    shown = [row for row in rows if not row.reason]
    if sort is not None:
        name, largest = sort

        def badness(row: Row) -> float:
            value = getattr(row.measures, name)
            return float("-inf") if value is None else value if largest else -value

        shown.sort(key=badness, reverse=True)
    result = table(">#", "operator", ">tensor", "dtype", ">scale", ">zero", ">RMSE", ">RMSE/scale", ">max",
                   ">SQNR", ">cosine", ">range", ">clipped", "name", title=title)  # fmt: skip
    for row in shown[:top]:
        result.add_row(*cells(row))
    if result.row_count:
        print_table(result)


def cells(row: Row) -> tuple[str, ...]:
    """Return a row of the table."""
    m, params = row.measures, row.params
    per_tensor = params is not None and not params.per_channel
    clipped = "" if m.clipped_low is None else percent(m.clipped_low + (m.clipped_high or 0.0))
    return (
        "" if row.index is None else str(row.index),
        row.op or "input",
        str(row.tensor),
        row.dtype,
        f"{params.scale:.6g}" if params is not None and per_tensor else "per channel" if params else "",
        str(params.zero_point) if params is not None and per_tensor else "",
        f"{m.rmse:.3g}",
        "" if m.rmse_over_scale is None else f"{m.rmse_over_scale:.3g}",
        f"{m.max_abs_error:.3g}",
        f"{m.sqnr_db:.2f}",
        f"{m.cosine:.6f}",
        "" if m.range_use is None else percent(m.range_use),
        clipped,
        row.name,
    )


def left_out(row: Row) -> str:
    """Return how many values of a tensor could not be compared."""
    found = row.measures
    return f"{found.non_finite} of {found.non_finite + found.elements} values are NaN or infinite, left out"
