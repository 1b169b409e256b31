"""Range trackers against NumPy, in GB/s, in one run.

    python benchmarks/bench_calibration.py
    python benchmarks/bench_calibration.py --elements 100000 --turns 50
    QUANTCORE_ISA=scalar python benchmarks/bench_calibration.py

Ours is `update` of a tracker that has seen the data before. It always refuses NaN and infinity; NumPy's
histogram of a given range does not look for them.
"""

from __future__ import annotations

import numpy as np
from _numpy_races import Race, command

from quantcore.calibration import MinMax, MovingAverage, Percentile

CHANNELS = 64
BINS = 4096


def races(elements: int) -> list[Race]:
    """Return what is measured, on normal values and on what RELU leaves of them."""
    x = np.random.default_rng(0).standard_normal(elements).astype(np.float32)
    relu = np.maximum(x, 0)
    table = x[: max(elements // CHANNELS, 1) * CHANNELS].reshape(-1, min(CHANNELS, elements))
    ends, top = (-8.0, 8.0), (0.0, 8.0)
    min_max, by_channel, average = MinMax(), MinMax(axis=1), MovingAverage()
    counts, relu_counts, channel_counts = Percentile(), Percentile(), Percentile(axis=1)

    def channel_histograms() -> list[np.ndarray]:
        return [np.histogram(column, BINS, ends)[0] for column in table.T]

    return [
        Race("MinMax", lambda: min_max.update(x), lambda: (x.min(), x.max(), np.isfinite(x).all()),
             "x.min(), x.max(), isfinite(x).all()"),
        Race("MinMax, two NumPy passes", lambda: min_max.update(x), lambda: (x.min(), x.max()),
             "x.min(), x.max()"),
        Race("MinMax per channel", lambda: by_channel.update(table),
             lambda: (table.min(0), table.max(0), np.isfinite(table).all()), f"the same, (n, {CHANNELS})"),
        Race("MovingAverage", lambda: average.update(x), lambda: (x.min(), x.max(), np.isfinite(x).all()),
             "x.min(), x.max(), isfinite(x).all()"),
        Race("histogram", lambda: counts.update(x), lambda: np.histogram(x, BINS, ends),
             f"histogram(x, {BINS}, range)"),
        Race("histogram with min, max, NaN", lambda: counts.update(x),
             lambda: (np.isfinite(x).all(), np.histogram(x, BINS, (x.min(), x.max()))),
             "isfinite(x).all(), histogram(x, ..., (min, max))"),
        Race("histogram after RELU", lambda: relu_counts.update(relu),
             lambda: np.histogram(relu, BINS, top), f"histogram(x, {BINS}, range)"),
        Race("histogram per channel", lambda: channel_counts.update(table), channel_histograms,
             f"the same, (n, {CHANNELS})"),
    ]  # fmt: skip


if __name__ == "__main__":
    command(races, "Measure range trackers against NumPy.")()
