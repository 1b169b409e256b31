"""quantize, dequantize, requantize and min/max against NumPy, in GB/s, in one run.

    python benchmarks/bench_affine.py
    python benchmarks/bench_affine.py --elements 100000 --turns 50
    QUANTCORE_ISA=scalar python benchmarks/bench_affine.py

A GB/s counts the float32 side of a conversion once (the int8 side is a quarter of it): 4 bytes per element.
The contenders take turns in one process, and the median counts, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import quantcore as qc
from quantcore.kernels import _core


@dataclass
class Race:
    """Two ways to compute the same, and what each element of it weighs."""

    name: str
    ours: Callable[[], Any]
    numpy: Callable[[], Any]
    formula: str


def races(elements: int) -> list[Race]:
    """Return what is measured, on `elements` values around the range of the parameters."""
    rng = np.random.default_rng(0)
    s, z = np.float32(0.037), 3
    p, p2 = qc.QuantParams(s, z), qc.QuantParams(0.05, -9)
    x = (rng.standard_normal(elements) * 2).astype(np.float32)
    q = qc.quantize(x, p)
    rows = max(elements // 256, 1)
    table = x[: rows * 256].reshape(rows, -1)
    scales = np.linspace(0.01, 0.1, table.shape[1]).astype(np.float32)
    per_channel = qc.QuantParams(scales, 0, axis=1)
    out8, out32 = np.empty_like(q), np.empty_like(x)
    ratio = float(s) / float(p2.scale)

    def moved(values: np.ndarray) -> np.ndarray:
        return np.clip(np.round((values - z) * ratio) - 9, -128, 127).astype(np.int8)

    return [
        Race("quantize", lambda: qc.quantize(x, p),
             lambda: np.clip(np.round(x / s) + z, -128, 127).astype(np.int8),
             "clip(round(x / s) + z, -128, 127).astype(int8)"),
        Race("quantize, out=", lambda: qc.quantize(x, p, out=out8),
             lambda: np.clip(np.round(x / s) + z, -128, 127).astype(np.int8), "the same"),
        Race("quantize per channel", lambda: qc.quantize(table, per_channel),
             lambda: np.clip(np.round(table / scales), -128, 127).astype(np.int8), "the same, 256 scales"),
        Race("dequantize", lambda: qc.dequantize(q, p), lambda: (q.astype(np.float32) - z) * s,
             "(q.astype(float32) - z) * s"),
        Race("dequantize, out=", lambda: qc.dequantize(q, p, out=out32),
             lambda: np.multiply(np.subtract(q, np.float32(z), out=out32, dtype=np.float32), s, out=out32),
             "the same, out="),
        Race("requantize", lambda: qc.requantize(q, p, p2), lambda: moved(q),
             "clip(round((q - z) * ratio) + z2, -128, 127).astype(int8)"),
        Race("min and max", lambda: qc.calibration.MinMax().update(x),
             lambda: (x.min(), x.max(), np.isfinite(x).all()), "x.min(), x.max(), isfinite(x).all()"),
        Race("min and max per channel", lambda: qc.calibration.MinMax(axis=1).update(table),
             lambda: (table.min(0), table.max(0), np.isfinite(table).all()), "the same, axis 0 of (n, 256)"),
    ]  # fmt: skip


def measure(race: Race, turns: int) -> tuple[float, float]:
    """Return the median seconds of both, after one turn to warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for contender, taken in zip((race.ours, race.numpy), times, strict=True):
            start = time.perf_counter()
            contender()
            if turn:
                taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def results_of(elements: int, turns: int) -> list[dict[str, Any]]:
    """Measure every race at one size."""
    gigabytes = 4 * elements / 1e9
    results = []
    for race in races(elements):
        ours, numpy = measure(race, turns)
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
    table = Table(title=f"{elements:,} values per call, instruction set {_core.isa}, median of {turns}")
    table.add_column("operation")
    for heading in ("quantcore GB/s", "NumPy GB/s", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("NumPy computes")
    for r in results:
        numbers = (f"{r['quantcore_gb_per_s']:.2f}", f"{r['numpy_gb_per_s']:.2f}", f"{r['ratio']:.1f}x")
        table.add_row(r["name"], *numbers, r["numpy_formula"])
    Console(width=140).print(table)


@click.command()
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
    """Measure quantize, dequantize, requantize and min/max against NumPy."""
    measured = [(elements, results_of(elements, turns)) for elements in sizes]
    if as_json:
        listed = [{"elements": elements, "results": results} for elements, results in measured]
        print(json.dumps({"isa": _core.isa, "turns": turns, "sizes": listed}))
        return
    for elements, results in measured:
        print_table(elements, turns, results)


if __name__ == "__main__":
    main()
