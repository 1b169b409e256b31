"""Whole models beside TensorFlow Lite: XNNPACK, its optimized kernels without XNNPACK, its reference kernels.

    python benchmarks/bench_models.py                               # QUANTCORE_MODELS and demo-output
    python benchmarks/bench_models.py model.tflite --threads 1
    python benchmarks/bench_models.py --models 'mlperf_*_int8' --json figures.json

One inference of one sample: inputs in, outputs out. The contenders take turns in one run, each of TensorFlow
Lite's in a process of its own; the medians count. A ratio is their time by ours: above 1, we are faster.
The models are those of the folder that QUANTCORE_MODELS names, and those that `make demo` has left, as far as
quantcore runs them. The JSON file also has the time by kind of operator, as `quantcore bench MODEL`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
from _models import folder_models, is_float
from _report import heading, json_options, progress_line, save_section, says_missing

from quantcore.benchmark.operators import time_operators
from quantcore.benchmark.speed import OURS, TimedTFLite, compare_speed
from quantcore.cli._tables import print_table, table
from quantcore.errors import OracleUnavailable, QuantcoreError
from quantcore.flatbuffer import read_model
from quantcore.inspection import inspect_model
from quantcore.numerics import PROFILES
from quantcore.runtime import Interpreter

DEMO = Path("demo-output")
RESOLVERS = {"AUTO": "XNNPACK", "BUILTIN_WITHOUT_DEFAULT_DELEGATES": "optimized", "BUILTIN_REF": "reference"}
XNNPACK = "AUTO"
SLOWER = "slower than XNNPACK"
KEYS = ("model", "threads")


def at_hand(patterns: tuple[str, ...]) -> list[Path]:
    """Return the models whose names fit one of the patterns; without patterns all."""
    found = [*folder_models(), *sorted(DEMO.glob("*.tflite"))]
    return [path for path in found if not patterns or any(fnmatch(path.stem, p) for p in patterns)]


def runs(path: Path, numerics: str) -> bool:
    """Whether quantcore runs the model; says why not."""
    try:
        Interpreter(path, numerics)
    except QuantcoreError as error:
        print(f"left out: {path.name}: {error}", file=sys.stderr)
        return False
    return True


def measure(
    path: Path, threads: int, timers: list[TimedTFLite], *, turns: int, numerics: str, invoke_only: bool
) -> dict[str, Any]:
    """Return one row."""
    model = read_model(path)
    speed = compare_speed(
        str(path), timers, turns=turns, threads=threads, numerics=numerics, invoke_only=invoke_only
    )
    kinds = [] if invoke_only or threads > 1 else time_operators(model, numerics=numerics).kinds()
    return {
        "model": path.stem,
        "threads": threads,
        "kinds": [kind.to_json() for kind in kinds],
        "macs": inspect_model(model).macs,
        "float": is_float(model),
        "seconds": {OURS: speed.ours, **speed.oracle},
        "ratios": {resolver: speed.ratio(resolver) for resolver in speed.oracle},
        "refused": speed.refused,
    }


def geometric_means(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the geometric mean of the ratios, by threads, over all models, quantized and float ones."""
    rows = list(rows)
    kinds = {row["float"] for row in rows}
    groups = {
        "all models": rows,
        "quantized": [r for r in rows if not r["float"]],
        "float": [r for r in rows if r["float"]],
    }
    if len(kinds) < 2:
        groups = {"all models": rows}
    means = []
    for threads in sorted({row["threads"] for row in rows}):
        for name, group in groups.items():
            ratios = [row["ratios"] for row in group if row["threads"] == threads]
            found = {resolver: [r[resolver] for r in ratios if resolver in r] for resolver in RESOLVERS}
            geometric = {resolver: statistics.geometric_mean(v) for resolver, v in found.items() if v}
            counts = {resolver: len(v) for resolver, v in found.items() if v}
            if ratios:
                means.append({"group": name, "threads": threads, "models": len(ratios), "counted": counts,
                              "ratios": geometric})  # fmt: skip
    return means


def slower(row: dict[str, Any]) -> bool:
    """Whether XNNPACK is faster than quantcore."""
    return XNNPACK in row["ratios"] and row["ratios"][XNNPACK] < 1


def duration(seconds: float) -> str:
    """Return a time in microseconds or milliseconds."""
    return f"{seconds * 1e6:,.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def print_models(section: dict[str, Any]) -> None:
    """Print one table: a row per model and number of threads, then the geometric means."""
    alone = ", invoke alone" if section["invoke_only"] else ""
    what = f"one inference{alone}, profile {section['numerics']}, medians of {section['turns']}, and ratios"
    columns = [">" + word for name in RESOLVERS.values() for word in (name, "ratio")]
    result = table("model", ">MMAC", ">threads", f">{OURS}", *columns, "", title=heading(what))
    before = ""
    for row in sorted(section["rows"], key=lambda row: (row["model"], row["threads"])):
        cells = []
        for resolver in RESOLVERS:
            taken, ratio = row["seconds"].get(resolver), row["ratios"].get(resolver)
            absent = "refused" if resolver in row["refused"] else ""
            cells += [absent, ""] if taken is None or ratio is None else [duration(taken), f"{ratio:.2f}x"]
        new = row["model"] != before
        before = row["model"]
        name, macs = (row["model"], f"{row['macs'] / 1e6:,.1f}") if new else ("", "")
        note = SLOWER if slower(row) else ""
        result.add_row(name, macs, str(row["threads"]), duration(row["seconds"][OURS]), *cells, note)
    for mean in section["geometric_means"]:
        cells = []
        for resolver in RESOLVERS:
            cells += ["", f"{mean['ratios'][resolver]:.2f}x" if resolver in mean["ratios"] else ""]
        result.add_row(
            f"geometric mean, {mean['group']} ({mean['models']})", "", str(mean["threads"]), "", *cells, ""
        )
    print_table(result)
    refusals = {(row["model"], reason[:150]) for row in section["rows"] for reason in row["refused"].values()}
    for model, reason in sorted(refusals):
        print(f"TensorFlow Lite refuses {model}: {reason}")


@click.command(help=str(__doc__))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--models", "patterns", multiple=True, help="Names of models at hand, with * and ?.")
@click.option("--most-mmac", type=float, help="Only models of so many million multiply-accumulates at most.")
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@click.option("--turns", type=click.IntRange(1), default=11, show_default=True)
@click.option("--invoke-only", is_flag=True, help="Leave out the copies of inputs and outputs.")
@click.option("--numerics", type=click.Choice(list(PROFILES)), default="reference", show_default=True)
@json_options
def main(
    files: tuple[Path, ...],
    patterns: tuple[str, ...],
    most_mmac: float | None,
    threads: tuple[int, ...],
    turns: int,
    invoke_only: bool,
    numerics: str,
    json_path: Path | None,
    merge: bool,
) -> None:
    """Measure and print."""
    paths = [path for path in (list(files) or at_hand(patterns)) if runs(path, numerics)]
    if most_mmac is not None:
        paths = [path for path in paths if inspect_model(read_model(path)).macs <= most_mmac * 1e6]
    if not paths:
        raise click.ClickException(
            "no models: name files, set QUANTCORE_MODELS to a folder, or run `make demo`"
        )
    missing: dict[str, str] = {}
    rows = []
    with ExitStack() as stack:
        try:
            timers = [stack.enter_context(TimedTFLite(resolver)) for resolver in RESOLVERS]
        except OracleUnavailable as error:
            timers, missing = [], {"TensorFlow Lite": str(error)}
        for number, path in enumerate(paths):
            for count in threads:
                progress_line(f"model {number + 1} of {len(paths)}: {path.stem}, threads: {count}")
                row = measure(path, count, timers, turns=turns, numerics=numerics, invoke_only=invoke_only)
                rows.append(row)
    section = {
        "numerics": numerics,
        "turns": turns,
        "invoke_only": invoke_only,
        "rows": rows,
        "geometric_means": geometric_means(rows),
    }
    print_models(section)
    says_missing(missing)
    name = "invoke" if invoke_only else "models"
    merged = save_section(json_path, name, section, merge=merge, keys=KEYS)
    if merged is not None:
        save_section(
            json_path, name, {**merged, "geometric_means": geometric_means(merged["rows"])}, merge=True
        )


if __name__ == "__main__":
    main()
