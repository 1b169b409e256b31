"""``quantcore compare``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from quantcore.cli._text import printable
from quantcore.cli._verb import numerics_option, verb

if TYPE_CHECKING:
    from quantcore.comparison.result import CompareResult, Row

EXAMPLES = """
quantcore compare float.tflite int8.tflite --data x.npz
quantcore compare float.tflite int8.tflite --data x.npz --sort sqnr --top 5
quantcore compare float.tflite int8.tflite --data x.npz --min-sqnr 20
"""

# What rows can be sorted by; True: the largest is the worst.
SORTS = {
    "rmse": ("rmse_over_scale", True),
    "sqnr": ("sqnr_db", False),
    "max": ("max_abs_error", True),
    "cosine": ("cosine", False),
    "range": ("range_use", False),
}


@verb(examples=EXAMPLES)
@click.argument("float_model", metavar="FLOAT", type=click.Path())
@click.argument("quant_model", metavar="QUANT", type=click.Path())
@click.option("--data", type=click.Path(), required=True,
              help="Samples for FLOAT: .npy, or .npz with all inputs by name, or with images.")  # fmt: skip
@click.option("--images", "images_key", metavar="KEY", help="Name of the images in the .npz file.")
@click.option("--samples", type=click.IntRange(min=1), help="How many samples, at most.  [default: all]")
@click.option("--feed", default="quantized", type=click.Choice(["quantized", "float", "pairwise"]),
              help="What operators are fed with: QUANT's own values; FLOAT's values, quantized; or both "
              "models' operators with QUANT's.")  # fmt: skip
@click.option("--sort", type=click.Choice(list(SORTS)), help="Worst first.  [default: in order of execution]")
@click.option("--top", type=click.IntRange(min=1), help="Show so many tensors only.")
@click.option("--csv", "csv_path", type=click.Path(), help="Write all tensors to a CSV file too.")
@click.option("--min-sqnr", type=float, metavar="DB",
              help="Exit code 1 if an output is below; if a tensor is, unless --feed quantized.")  # fmt: skip
@numerics_option
def command(
    float_model: str,
    quant_model: str,
    data: str,
    images_key: str | None,
    samples: int | None,
    feed: str,
    sort: str | None,
    top: int | None,
    csv_path: str | None,
    min_sqnr: float | None,
    numerics: str,
    as_json: bool,
) -> int:
    """Measure the error of a quantized model, layer by layer.

    QUANT is a quantization of FLOAT: int8, uint8, int16x8, dynamic range or float16, by any tool. Every
    tensor is compared with the one of FLOAT that it stands for; operators without a counterpart are listed.
    RMSE/scale is the error in quantization steps (0.29 from rounding alone), SQNR the signal-to-noise ratio,
    range the share of the codes that is used, clipped the share of FLOAT's values that codes cannot express.

    Exit code 1: below --min-sqnr. 2: the models do not belong together, or cannot be run.
    """
    from quantcore.cli._calibration_data import read_data
    from quantcore.cli._output import print_json, step_progress
    from quantcore.cli._output_files import check_outputs
    from quantcore.compare import compare
    from quantcore.flatbuffer import read_model

    if min_sqnr is not None and math.isnan(min_sqnr):
        raise click.UsageError("--min-sqnr is nan; expected a number of dB")
    check_outputs((csv_path,), (float_model, quant_model, data))
    model = read_model(float_model)
    drawn, assumptions = read_data(model, data, images_key, samples)
    with step_progress("comparing") as progress:
        result = compare(model, quant_model, drawn, feed=feed, numerics=numerics, progress=progress)
    result.notes += assumptions
    if csv_path is not None:
        result.to_csv(csv_path)
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result, sort, top)
    return exit_code(result, min_sqnr)


def exit_code(result: CompareResult, min_sqnr: float | None) -> int:
    """Return 1 if what the threshold applies to is below it, or could not be compared."""
    if min_sqnr is None:
        return 0
    rows = result.outputs if result.feed == "quantized" else result.tensors
    failures = [(row, why) for row in rows if (why := failure(row, min_sqnr))]
    for row, why in failures:
        click.echo(printable(f"quantcore: tensor {row.tensor} ({row.name}): {why}"), err=True)
    return int(bool(failures) or not rows)


def failure(row: Row, min_sqnr: float) -> str:
    """Return why a tensor does not reach the threshold; empty if it does."""
    found = row.measures
    if row.reason:
        return row.reason
    if found.non_finite:
        return left_out(row)
    return f"SQNR {found.sqnr_db:.2f} dB, below {min_sqnr:g} dB" if found.sqnr_db < min_sqnr else ""


def left_out(row: Row) -> str:
    """Return how many values of a tensor could not be compared."""
    found = row.measures
    return f"{found.non_finite} of {found.non_finite + found.elements} values are NaN or infinite, left out"


def print_result(result: CompareResult, sort: str | None, top: int | None) -> None:
    """Print what was compared, tensor by tensor, and what was not."""
    from quantcore.cli._tables import console, fields

    about = [
        ("float model", result.float_model),
        ("quantized", result.quant_model),
        ("fed with", result.feed),
        ("numerics", result.numerics),
        ("samples", str(result.samples)),
        *(("note", note) for note in result.notes),
    ]
    console().print(fields(about))
    print_rows("tensors", result.tensors, sort, top)
    print_rows("constants", result.constants, sort, top)
    for row in result.tensors:
        if row.reason:
            click.echo(printable(f"{row.index} {row.op}: tensor {row.tensor} not compared: {row.reason}"))
        elif row.sums.non_finite:
            click.echo(printable(f"{row.op or 'input'}: tensor {row.tensor}: {left_out(row)}"))
    for name, unmatched in (("quantized", result.unmatched_quant), ("float", result.unmatched_float)):
        for what in unmatched:
            click.echo(
                printable(f"no counterpart for {what.index} {what.op} ({what.name}) of the {name} model")
            )


def print_rows(title: str, rows: list[Row], sort: str | None, top: int | None) -> None:
    """Print one line per tensor."""
    from quantcore.cli._tables import print_table, table

    shown = [row for row in rows if not row.reason]
    if sort is not None:
        name, largest = SORTS[sort]

        def badness(row: Row) -> float:
            value = getattr(row.measures, name)
            return float("-inf") if value is None else value if largest else -value

        shown.sort(key=badness, reverse=True)
    numbers = (
        "#",
        "tensor",
        "scale",
        "zero",
        "RMSE",
        "RMSE/scale",
        "max",
        "SQNR",
        "cosine",
        "range",
        "clipped",
    )
    result = table("#", "operator", "tensor", "dtype", "scale", "zero", "RMSE", "RMSE/scale", "max", "SQNR",
                   "cosine", "range", "clipped", "name", title=title, right=numbers)  # fmt: skip
    for row in shown[:top]:
        result.add_row(*cells(row))
    if result.row_count:
        print_table(result)


def cells(row: Row) -> tuple[str, ...]:
    """Return a row of the table."""
    from quantcore.cli._tables import percent

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
