"""Run exported models on emulated Cortex-M cores, and compare their outputs with TensorFlow Lite's.

For each model, numerics profile and target: how many samples have the oracle's outputs, bit for bit, what the
model takes of flash, RAM and stack, and instructions per inference. Exits with 1 if anything differs.

    python benchmarks/on_target.py models/*_int8.tflite
    python benchmarks/on_target.py model.tflite --target cortex-m33 --numerics reference --samples 100
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from quantcore.cli._output import to_plain
from quantcore.cli._tables import print_table, table
from quantcore.errors import QuantcoreError
from quantcore.export_c.export import export_c
from quantcore.export_c.targets import TARGETS, TargetResult
from quantcore.export_c.targets.run import add_target, oracle_of, prepare, run_target
from quantcore.flatbuffer import read_model
from quantcore.oracle import Oracle

DEFAULT_TARGETS = ("cortex-m4", "cortex-m55")
DEFAULT_PROFILES = ("tflm", "reference")


def run_one(
    path: Path, target: str, numerics: str, samples: int, timeout: float, oracle: Oracle
) -> TargetResult:
    """Export a model, run it, and compare it with the oracle."""
    options = prepare(target, run=True, timeout=timeout)
    model = read_model(path)
    with tempfile.TemporaryDirectory() as folder:
        made = export_c(
            model, Path(folder, "out"), numerics=numerics, samples=samples,
            complete=lambda export: add_target(export, options),
        )  # fmt: skip
        return run_target(made, options, model, oracle=oracle)


def main() -> int:
    """Run all, print a row for each, and return 1 if something is not bit-exact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--target", dest="targets", action="append", choices=list(TARGETS))
    parser.add_argument("--numerics", dest="profiles", action="append")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one run on QEMU")
    parser.add_argument("--json", type=Path, help="write what was found to a file")
    arguments = parser.parse_args()
    rows = table(
        "model",
        "numerics",
        "target",
        ">equal",
        ">flash",
        ">arena",
        ">stack",
        ">instructions",
        ">per MAC",
        "oracle",
    )
    results: list[dict[str, Any]] = []
    good = True
    for numerics in arguments.profiles or DEFAULT_PROFILES:
        with oracle_of(numerics, 300.0) as oracle:
            for path in arguments.models:
                for target in arguments.targets or DEFAULT_TARGETS:
                    print(f"{path.stem} {numerics} {target} ...", file=sys.stderr, flush=True)
                    row, result, fine = outcome(path, target, numerics, arguments, oracle)
                    rows.add_row(path.stem, numerics, target, *row)
                    print("   ", *row, file=sys.stderr, flush=True)
                    results.append({"model": path.stem, "numerics": numerics, "target": target, **result})
                    good &= fine
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(to_plain(results), indent=2), encoding="utf-8")
    return 0 if good else 1


def outcome(
    path: Path, target: str, numerics: str, arguments: argparse.Namespace, oracle: Oracle
) -> tuple[list[str], dict[str, Any], bool]:
    """Return the cells of a row, the result as data, and whether it is good."""
    try:
        result = run_one(path, target, numerics, arguments.samples, arguments.timeout, oracle)
    except QuantcoreError as error:
        return [*[""] * 6, " ".join(str(error).split())[:200]], {"error": str(error)}, False
    run, judged = result.run, result.agreements[-1:]
    equal = "".join(f"{one.equal} of {one.samples}" for one in judged)
    said = run.failure or "".join(one.source for one in judged)
    per_mac = f"{result.per_mac:.1f}" if result.per_mac else ""
    cells = [
        equal,
        f"{result.size.flash:,}",
        f"{result.arena:,}",
        f"{run.stack[0]:,}",
        f"{run.instructions[1]:,}",
    ]
    return [*cells, per_mac, said], result.to_json(), result.good


if __name__ == "__main__":
    sys.exit(main())
