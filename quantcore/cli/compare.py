"""``quantcore compare``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from quantcore.cli._command import COUNT, LibraryChoice, numerics_option, verb
from quantcore.cli._data import images_option, read_data
from quantcore.cli._output import complain, print_json, step_progress
from quantcore.cli._output_files import check_outputs

if TYPE_CHECKING:
    from quantcore.comparison.result import CompareResult, Row

EXAMPLES = """
quantcore compare float.tflite int8.tflite --data x.npz
quantcore compare float.tflite int8.tflite --data x.npz --sort sqnr --top 5
quantcore compare float.tflite int8.tflite --data x.npz --min-sqnr 20
"""

# What rows can be sorted by: one of their measures, and whether its largest value is the worst.
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
@images_option
@click.option("--samples", type=COUNT, help="How many samples, at most.  [default: all]")
@click.option("--feed", default="quantized", type=LibraryChoice("quantcore.comparison.layers", "FEEDS"),
              help="What operators are fed with: QUANT's own values; FLOAT's values, quantized; or both "
              "models' operators with QUANT's.")  # fmt: skip
@click.option("--sort", type=click.Choice(list(SORTS)), help="Worst first.  [default: in order of execution]")
@click.option("--top", type=COUNT, help="Show so many tensors only.")
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
    from quantcore.cli._compare_tables import print_result
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
        print_result(result, SORTS[sort] if sort else None, top)
    return exit_code(result, min_sqnr)


def exit_code(result: CompareResult, min_sqnr: float | None) -> int:
    """Return 1 if what the threshold applies to is below it, or could not be compared."""
    if min_sqnr is None:
        return 0
    rows = result.outputs if result.feed == "quantized" else result.tensors
    failures = [(row, why) for row in rows if (why := failure(row, min_sqnr))]
    for row, why in failures:
        complain(f"tensor {row.tensor} ({row.name}): {why}")
    return int(bool(failures) or not rows)


def failure(row: Row, min_sqnr: float) -> str:
    """Return why a tensor does not reach the threshold; empty if it does."""
    from quantcore.cli._compare_tables import left_out

    found = row.measures
    if row.reason:
        return row.reason
    if found.non_finite:
        return left_out(row)
    return f"SQNR {found.sqnr_db:.2f} dB, below {min_sqnr:g} dB" if found.sqnr_db < min_sqnr else ""
