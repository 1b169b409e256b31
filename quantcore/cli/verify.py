"""``quantcore verify``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from quantcore.cli._text import printable
from quantcore.cli._verb import model_argument, verb
from quantcore.numerics import PROFILES

if TYPE_CHECKING:
    from quantcore.verify import Comparison, ProfilesResult, VerifyResult

EXAMPLES = """
quantcore verify model.tflite                             # 8 random samples
quantcore verify model.tflite --input images.npy --samples 100
quantcore verify model.tflite --json | jq .bit_exact
quantcore verify model.tflite --numerics all              # where backends part
quantcore verify model.tflite --recorded device.npz       # which one it equals
"""

STATUS_STYLE = {"mismatch": "bold red", "not compared": "yellow", "close": ""}


@verb(examples=EXAMPLES)
@model_argument
@click.option("--input", "input_path", type=click.Path(), help="Samples: .npy, or .npz with all inputs.")
@click.option("--samples", type=click.IntRange(min=1), default=8, help="How many samples, at most.")
@click.option("--seed", type=int, default=0, help="Seed of the random samples, where no --input is given.")
@click.option(
    "--numerics",
    type=click.Choice([*PROFILES, "all"]),
    help="Numerics profile: whose rounding to reproduce; or all of them.  [default: reference]",
)
@click.option(
    "--recorded",
    type=click.Path(),
    help="Outputs of a device, .npz: out0, out1 ... or by name; and in0 ... unless --input is given.",
)
@click.option("--timeout", type=float, default=300.0, help="Seconds that one call of the oracle may take.")
@click.option("--failed", "failed_only", is_flag=True, help="Show only what is not bit-exact.")
def command(
    model: str,
    input_path: str | None,
    samples: int,
    seed: int,
    numerics: str | None,
    recorded: str | None,
    timeout: float,
    failed_only: bool,
    as_json: bool,
) -> int:
    """Compare every operator with TensorFlow Lite's, bit for bit.

    Each operator of MODEL is run on TensorFlow Lite's own inputs to it, so that one mismatch does not
    hide the next; then the model is run end to end. With --numerics all, every profile is compared with
    its oracle, and all with each other: where they part, by which rules, and how often those are
    expected to differ.

    Exit code 0: every bit agrees (but for float sums whose order a backend does not define); 1: something
    differs, or the recorded outputs match no profile; 2: nothing differs, but something could not be
    compared (with --recorded: no profile could be run). Needs the extra 'oracle' (TensorFlow), and
    'tflm' for that profile.
    """
    from quantcore.cli._output import print_json, step_progress
    from quantcore.cli._verify_profiles import print_profiles
    from quantcore.verify import ProfilesResult, verify

    with step_progress("verifying") as progress:
        result = verify(
            model,  # the path: end to end, the oracle must run the file and not what was read from it
            input_path,
            samples,
            seed,
            numerics or ("all" if recorded else "reference"),
            recorded=recorded,
            progress=progress,
            timeout=timeout,
        )
    if as_json:
        print_json(result.to_json())
    elif isinstance(result, ProfilesResult):
        print_profiles(result)
    else:
        print_result(result, failed_only)
    return exit_code(result)


def exit_code(result: VerifyResult | ProfilesResult) -> int:
    """Return 0 (nothing is wrong), 1 (something differs) or 2 (something could not be compared).

    A recording that a profile matches is an answer, whatever other profiles could not run.
    """
    from quantcore.verify import ProfilesResult

    if result.mismatched:
        return 1
    if isinstance(result, ProfilesResult):
        if result.matching:
            return 0
        if any(not match.reason for match in result.recorded or []):
            return 1
        profiles = list(result.profiles.values())
    else:
        profiles = [result]
    if profiles and all(profile.agrees for profile in profiles):
        return 0
    rows = [row for profile in profiles for row in profile.rows]
    missing = [row for row in rows if row.status == "not compared"]
    reason = missing[0].reason if missing else "the model has no operators"
    click.echo(f"quantcore: {len(missing)} of {len(rows)} tensors could not be compared: {reason}", err=True)
    return 2


def print_result(result: VerifyResult, failed_only: bool) -> None:
    """Print what was compared, operator by operator, and the verdict."""
    from quantcore.cli._tables import console, fields

    oracle = result.oracle
    rows = [
        ("model", result.model),
        ("numerics", result.numerics),
        ("oracle", f"{oracle['name']} {oracle['version']}, {oracle['resolver']}"),
        ("samples", str(result.samples)),
        *(("note", note) for note in result.notes),
    ]
    console().print(fields(rows))
    print_rows("operators, each on the oracle's own inputs to it", result.operators, failed_only)
    print_rows("end to end", result.end_to_end, failed_only)
    console().print()
    console().print(verdict(result))


def print_rows(title: str, rows: Sequence[Comparison], failed_only: bool) -> None:
    """Print one line per tensor that was compared."""
    from rich.text import Text

    from quantcore.cli._tables import print_table, table

    numbers = ("#", "tensor", "elements", "mismatches", "max diff")
    result = table("#", "operator", "tensor", "dtype", "elements", "mismatches", "max diff", "result",
                   title=title, right=numbers)  # fmt: skip
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
            click.echo(printable(explain(row)))


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
