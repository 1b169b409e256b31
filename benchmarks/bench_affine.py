"""quantize, dequantize and requantize against NumPy, in GB/s, in one run.

    python benchmarks/bench_affine.py
    python benchmarks/bench_affine.py --elements 100000 --turns 50
    QUANTCORE_ISA=scalar python benchmarks/bench_affine.py

A GB/s counts the float32 side of a conversion once (the int8 side is a quarter of it).
"""

from __future__ import annotations

import numpy as np
from _numpy_races import Race, command

import quantcore as qc


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
    ]  # fmt: skip


if __name__ == "__main__":
    command(races, "Measure quantize, dequantize and requantize against NumPy.")()
