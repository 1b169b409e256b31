"""Passes over arrays in GB/s of bytes read: quantize, dequantize, requantize, min and max, histogram.

    python benchmarks/bench_bandwidth.py
    python benchmarks/bench_bandwidth.py --elements 65536 --turns 25 --json figures.json
    QUANTCORE_ISA=scalar python benchmarks/bench_bandwidth.py

Beside NumPy, torch (left out where it is not installed), memcpy of the bytes that are read, and a loop that
only reads them. A GB/s counts the bytes of the input, once: 4 per float32, 1 per int8. Results go to arrays
that are there (`out=`) unless the row says "new": then each call makes its array, as torch always does, and a
large one costs page faults. Ours is `update` of a tracker where ranges are found; it also refuses NaN and
infinities, which NumPy's and torch's do not. One thread; the contenders take turns, medians count.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from _machine import read_seconds
from _report import heading, json_options, load_peer, progress_line, save_section, says_missing
from _timing import timer_of

import quantcore as qc
from quantcore.benchmark.speed import Timer, take_turns
from quantcore.calibration import MinMax, MovingAverage, Percentile
from quantcore.cli._tables import percent, print_table, table

CHANNELS = 64
BINS = 4096
SIZES = (1 << 16, 1 << 20, 1 << 25)  # float32: level 2 cache, level 3 cache, memory
PEERS = ("NumPy", "torch")
BOUNDS = ("memcpy", "read")
KEYS = ("operation", "elements")


@dataclass
class Race:
    """One operation on an array, by us and by peers."""

    name: str
    data: np.ndarray
    ours: Callable[[], Any]
    numpy: Callable[[], Any]
    formula: str
    torch: Callable[[], Any] | None = None


def conversions(elements: int, torch: Any) -> list[Race]:
    """Return the conversions, of values around the range of the parameters."""
    rng = np.random.default_rng(0)
    s, z = np.float32(0.037), 3
    p, p2 = qc.QuantParams(s, z), qc.QuantParams(0.05, -9)
    x = rng.standard_normal(elements, np.float32)
    x *= 2
    q = qc.quantize(x, p)
    columns = min(256, elements)
    channels = x[: elements // columns * columns].reshape(-1, columns)
    scales = np.linspace(0.01, 0.1, columns).astype(np.float32)
    per_channel = qc.QuantParams(scales, 0, axis=1)
    ratio = float(s) / float(p2.scale)
    out8, out32, work = np.empty_like(q), np.empty_like(x), np.empty_like(x)
    out_channels = np.empty(channels.shape, np.int8)

    def rounded() -> None:
        np.divide(x, s, out=work)
        np.rint(work, out=work)
        np.add(work, z, out=work)
        np.clip(work, -128, 127, out=work)
        np.copyto(out8, work, casting="unsafe")

    races = [
        Race("quantize", x, lambda: qc.quantize(x, p, out=out8), rounded,
             "clip(rint(x / s) + z, -128, 127), each step out="),
        Race("quantize, new", x, lambda: qc.quantize(x, p),
             lambda: np.clip(np.rint(x / s) + z, -128, 127).astype(np.int8),
             "clip(rint(x / s) + z, -128, 127).astype(int8)"),
        Race("quantize per channel", channels, lambda: qc.quantize(channels, per_channel, out=out_channels),
             lambda: np.clip(np.rint(channels / scales), -128, 127).astype(np.int8), "the same, 256 scales"),
        Race("dequantize", q, lambda: qc.dequantize(q, p, out=out32),
             lambda: np.multiply(np.subtract(q, np.float32(z), out=out32), s, out=out32),
             "(q - float32(z)) * s, each step out="),
        Race("dequantize, new", q, lambda: qc.dequantize(q, p),
             lambda: (q.astype(np.float32) - z) * s, "(q.astype(float32) - z) * s"),
        Race("requantize, new", q, lambda: qc.requantize(q, p, p2),
             lambda: np.clip(np.round((q - z) * ratio) - 9, -128, 127).astype(np.int8),
             "clip(round((q - z) * ratio) + z2, -128, 127).astype(int8)"),
    ]  # fmt: skip
    if torch is not None:
        values = torch.from_numpy(x)
        quantized = torch.quantize_per_tensor(values, float(s), z, torch.qint8)
        by_channel = torch.from_numpy(channels)
        steps, zeros = torch.from_numpy(scales), torch.zeros(columns, dtype=torch.int64)
        races[1].torch = lambda: torch.quantize_per_tensor(values, float(s), z, torch.qint8)
        races[2].torch = lambda: torch.quantize_per_channel(by_channel, steps, zeros, 1, torch.qint8)
        races[4].torch = quantized.dequantize
    return races


def ranges(elements: int, torch: Any) -> list[Race]:
    """Return what finds ranges, of normal values and of what RELU leaves of them."""
    x = np.random.default_rng(0).standard_normal(elements, np.float32)
    relu = np.maximum(x, 0)
    channels = x[: max(elements // CHANNELS, 1) * CHANNELS].reshape(-1, min(CHANNELS, elements))
    ends, top = (-8.0, 8.0), (0.0, 8.0)
    min_max, by_channel, average = MinMax(), MinMax(axis=1), MovingAverage()
    counts, relu_counts, channel_counts = Percentile(), Percentile(), Percentile(axis=1)

    def channel_histograms() -> list[np.ndarray]:
        return [np.histogram(column, BINS, ends)[0] for column in channels.T]

    races = [
        Race("min and max", x, lambda: min_max.update(x), lambda: (x.min(), x.max()), "x.min(), x.max()"),
        Race("min, max, finite", x, lambda: average.update(x),
             lambda: (x.min(), x.max(), np.isfinite(x).all()), "x.min(), x.max(), isfinite(x).all()"),
        Race("min and max per channel", channels, lambda: by_channel.update(channels),
             lambda: (channels.min(0), channels.max(0)), f"the same by axis, (n, {CHANNELS})"),
        Race("histogram", x, lambda: counts.update(x), lambda: np.histogram(x, BINS, ends),
             f"histogram(x, {BINS}, range)"),
        Race("histogram after RELU", relu, lambda: relu_counts.update(relu),
             lambda: np.histogram(relu, BINS, top), f"histogram(x, {BINS}, range)"),
        Race("histogram per channel", channels, lambda: channel_counts.update(channels), channel_histograms,
             f"the same, (n, {CHANNELS})"),
    ]  # fmt: skip
    if torch is not None:
        values, positive, table_ = (torch.from_numpy(array) for array in (x, relu, channels))
        races[0].torch = lambda: torch.aminmax(values)
        races[2].torch = lambda: torch.aminmax(table_, dim=0)
        races[3].torch = lambda: torch.histc(values, BINS, *ends)
        races[4].torch = lambda: torch.histc(positive, BINS, *top)
    return races


def measure(race: Race, elements: int, turns: int) -> dict[str, Any]:
    """Return one row."""
    source = np.ascontiguousarray(race.data).reshape(-1).view(np.uint8)
    target = np.empty_like(source)
    contenders: dict[str, Timer] = {
        "quantcore": timer_of(race.ours),
        "NumPy": timer_of(race.numpy),
        "memcpy": timer_of(lambda: np.copyto(target, source)),
    }
    if race.torch is not None:
        contenders["torch"] = timer_of(race.torch)
    if read_seconds(source, 1):
        contenders["read"] = lambda calls: read_seconds(source, calls)
    times = take_turns(contenders, turns, {}, lambda count: None)
    rates = {name: source.nbytes / median(taken) for name, taken in times.items()}
    return {
        "operation": race.name,
        "elements": elements,
        "bytes": source.nbytes,
        "bytes_per_second": rates,
        "ratios": {name: rates["quantcore"] / rates[name] for name in rates if name != "quantcore"},
        "numpy_formula": race.formula,
    }


def print_bandwidth(section: dict[str, Any]) -> None:
    """Print a table per size, in GB/s."""
    for elements in dict.fromkeys(row["elements"] for row in section["rows"]):
        what = f"{elements:,} values, GB/s of bytes read, one thread, medians of {section['turns']}"
        columns = (*(f">{name}" for name in PEERS), *(f">{name}" for name in BOUNDS))
        compared = (">of memcpy", ">of read", ">x NumPy", "NumPy computes")
        result = table("operation", ">quantcore", *columns, *compared, title=heading(what))
        for row in section["rows"]:
            if row["elements"] != elements:
                continue
            rates, ratios = row["bytes_per_second"], row["ratios"]
            cells = [f"{rates[n] / 1e9:.2f}" if n in rates else "" for n in ("quantcore", *PEERS, *BOUNDS)]
            shares = [percent(ratios[name]) if name in ratios else "" for name in BOUNDS]
            result.add_row(row["operation"], *cells, *shares, f"{ratios['NumPy']:.1f}x", row["numpy_formula"])
        print_table(result)


@click.command(help=str(__doc__))
@click.option(
    "--elements", "sizes", type=click.IntRange(256), multiple=True, default=SIZES, show_default=True,
    help="Values per call, a multiple of 256; may be given several times.",
)  # fmt: skip
@click.option("--only", "wanted", multiple=True, help="Operations whose names begin so.")
@click.option("--turns", type=click.IntRange(1), default=11, show_default=True)
@json_options
def main(
    sizes: tuple[int, ...], wanted: tuple[str, ...], turns: int, json_path: Path | None, merge: bool
) -> None:
    """Measure and print."""
    missing: dict[str, str] = {}
    warnings.filterwarnings("ignore", message=".*quantize.*deprecated")
    torch = load_peer("torch", missing)
    if torch is not None:
        torch.set_num_threads(1)
    rows = []
    for size in sizes:
        elements = size // 256 * 256
        for races in (conversions, ranges):
            for race in races(elements, torch):
                if wanted and not race.name.startswith(wanted):
                    continue
                progress_line(f"{race.name}, {elements:,} values")
                rows.append(measure(race, elements, turns))
    section = {"turns": turns, "threads": 1, "rows": rows}
    print_bandwidth(section)
    says_missing(missing)
    save_section(json_path, "bandwidth", section, merge=merge, keys=KEYS)


if __name__ == "__main__":
    main()
