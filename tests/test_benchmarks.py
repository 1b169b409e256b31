"""The benchmarks' tables and files, and peers that are missing; the figures themselves prove nothing here."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quantcore.numerics import get_profile
from quantcore.runtime import Interpreter

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
MODEL_ROW = {
    "model": "net",
    "threads": 1,
    "kinds": [
        {"index": "2", "op": "CONV_2D", "kernel": "conv_s8", "isa": "vnni", "seconds": 3e-6, "share": 0.75,
         "macs": 6000, "macs_per_second": 2e9, "bytes": 3000, "bytes_per_second": 1e9},
    ],
    "macs": 1_500_000,
    "float": False,
    "seconds": {"quantcore": 2e-6, "AUTO": 1e-6, "BUILTIN_REF": 5e-3},
    "ratios": {"AUTO": 0.5, "BUILTIN_REF": 2500.0},
    "refused": {"BUILTIN_WITHOUT_DEFAULT_DELEGATES": "TensorFlow Lite's process ended with SIGSEGV"},
}  # fmt: skip


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of the folder."""
    if not FOLDER.exists():
        pytest.skip("the benchmarks are not part of what is installed")
    monkeypatch.setenv("COLUMNS", "200")  # tables that no narrow terminal cuts
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def test_models(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    models = load("bench_models")
    rows = [MODEL_ROW, {**MODEL_ROW, "model": "other", "ratios": {"AUTO": 2.0}, "float": True}]
    means = models.geometric_means(rows)
    assert [(m["group"], m["models"], m["ratios"]["AUTO"]) for m in means] == [
        ("all models", 2, pytest.approx(1.0)), ("quantized", 1, 0.5), ("float", 1, 2.0),
    ]  # fmt: skip
    assert means[0]["counted"] == {"AUTO": 2, "BUILTIN_REF": 1}
    assert [mean["group"] for mean in models.geometric_means(rows[:1])] == ["all models"]
    section = {
        "numerics": "reference",
        "turns": 3,
        "invoke_only": False,
        "rows": rows,
        "geometric_means": means,
    }
    models.print_models(section)
    out = capsys.readouterr().out
    assert "profile reference" in out
    (row,) = [line for line in out.splitlines() if line.startswith("net ")]
    expected = f"net 1.5 1 2.0 us 1.0 us 0.50x refused 5.00 ms 2500.00x {models.SLOWER}"
    assert " ".join(row.split()) == expected
    assert "TensorFlow Lite refuses net: TensorFlow Lite's process ended with SIGSEGV" in out
    assert sum(models.SLOWER in line for line in out.splitlines()) == 1


def test_products_without_peers(
    load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gemm, report = load("bench_gemm"), load("_report")
    missing: dict[str, str] = {}
    assert report.load_peer("no_such_peer", missing) is None
    report.says_missing(missing)
    assert capsys.readouterr().out == "no_such_peer: not installed\n"
    monkeypatch.setitem(sys.modules, "broken", None)
    assert report.load_peer("broken", missing) is None

    nobody = SimpleNamespace(missing=missing, int8=lambda shape: {}, float32=lambda shape, model: {})
    monkeypatch.setattr(gemm, "peak_timer", lambda kind, isa: None)
    rows = [gemm.measure(kind, (4, 8, 6), nobody, 1) for kind in ("int8", "float32")]
    assert [list(row["macs_per_second"]) for row in rows] == [list(own) for own in gemm.OURS.values()]
    assert all(row["share_of_peak"] is None for row in rows)
    gemm.print_products({"turns": 1, "rows": rows})
    out = capsys.readouterr().out
    assert "int8 products, GMAC/s, one thread" in out
    assert "4 x 8 x 6" in out


def test_products_fill_their_range(load: Any) -> None:
    gemm = load("bench_gemm")
    results = []
    for op in gemm.OURS["int8"]:
        model = gemm.int8_model((16, 256, 32), op)
        y = Interpreter(model, get_profile("reference").name).run(gemm.random_input(model))
        assert y.std() > 20
        results.append(y.reshape(16, 32))
    assert (np.abs(results[0].astype(int) - results[1]) <= 40).all()  # scales per channel differ by up to 10%


def test_bandwidth(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bandwidth = load("bench_bandwidth")
    races = [*bandwidth.conversions(512, None), *bandwidth.ranges(512, None)]
    rows = [bandwidth.measure(races[0], 512, 1)]
    for race in races:
        race.ours()
        race.numpy()
    assert rows[0]["bytes"] == 2048
    assert {"quantcore", "NumPy", "memcpy"} <= set(rows[0]["bytes_per_second"])
    bandwidth.print_bandwidth({"turns": 1, "rows": rows})
    assert "512 values, GB/s of bytes read" in capsys.readouterr().out


def test_peaks(load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    machine, script = load("_machine"), load("bench_machine")
    monkeypatch.setattr(machine, "PROBE_SECONDS", 1e-5)
    monkeypatch.setattr(machine, "PROBES", 1)
    monkeypatch.setattr(machine, "MEMORY_SIZES", {"level 1 cache": 1 << 14})
    machine.probes.cache_clear()
    machine.arithmetic_peaks.cache_clear()
    if shutil.which("cc") is not None:
        assert machine.probes() is not None
        assert all(peak.per_second > 1e6 for peak in (*machine.arithmetic_peaks(), *machine.memory_peaks()))
        assert [peak.kind for peak in machine.memory_peaks()] == ["read", "copy"]
    machine.arithmetic_peaks.cache_clear()
    monkeypatch.setattr(machine, "probes", lambda: None)  # no compiler
    assert machine.arithmetic_peaks() == machine.memory_peaks() == []
    assert machine.peak_timer("int8", "scalar") is None
    script.print_peaks({"arithmetic": [], "memory": []})
    assert "not measured" in capsys.readouterr().out
    machine.arithmetic_peaks.cache_clear()
    script.print_machine(machine.describe())
    assert "instruction set" in capsys.readouterr().out


def test_figures_are_merged_and_written_into_a_page(load: Any, tmp_path: Path) -> None:
    report, tables = load("_report"), load("write_tables")
    path = tmp_path / "figures.json"
    peaks = {"arithmetic": [{"name": "add", "isa": "avx2", "kind": "int8", "per_second": 3e9}], "memory": []}
    assert report.save_section(None, "peaks", peaks, merge=False) is None
    report.save_section(path, "peaks", peaks, merge=False)
    keys = ("model", "threads")
    section = {"numerics": "reference", "turns": 3, "rows": [MODEL_ROW], "geometric_means": []}
    report.save_section(path, "models", section, merge=True, keys=keys)
    rows = [{**MODEL_ROW, "macs": 7}, {**MODEL_ROW, "threads": 2}]
    report.save_section(path, "models", {**section, "rows": rows}, merge=True, keys=keys)
    found = json.loads(path.read_text())
    assert set(found) == {"machine", "peaks", "models"}
    assert [(row["macs"], row["threads"]) for row in found["models"]["rows"]] == [(7, 1), (1_500_000, 2)]

    page = "a\n<!-- figures: peaks -->\nold\n<!-- end of figures -->\nb\n"
    page += "<!-- figures: models one thread -->\n<!-- end of figures -->\n"
    once = tables.filled(page, found)
    assert "old" not in once
    assert "| add | int8 | 3 |" in once
    assert "| net | 0.0 | 2.0 us | 1.0 us | **0.50x** slower | refused |  | 5.00 ms | 2500.00x |" in once
    assert once.startswith("a\n")
    assert tables.filled(once, found) == once
    assert "| net | 2 CONV_2D | `conv_s8` vnni | 3.0 | 75% | 2.0 | 1.0 |" in tables.kinds(found)


def test_aims(load: Any) -> None:
    tables, models = load("write_tables"), load("bench_models")
    rows = [MODEL_ROW, {**MODEL_ROW, "model": "mlperf_ad_int8", "ratios": {"AUTO": 16.0}}]
    section = {"rows": rows, "geometric_means": models.geometric_means(rows)}
    product = {"kind": "int8", "rows": 1024, "depth": 1024, "columns": 1024, "peak": "vpdpbusd",
               "macs_per_second": {"CONV_2D": 2e11}, "share_of_peak": 0.5}  # fmt: skip
    passes = [{"operation": "histogram", "elements": n, "ratios": {"NumPy": n / 2}} for n in (2, 12)]
    report = {
        "models": section,
        "invoke": section,
        "products": {"rows": [product]},
        "bandwidth": {"rows": passes},
    }
    assert tables.aims(report).splitlines()[2:] == [
        "| geometric mean, all models, 1 thread | 2x XNNPACK | 2.83x | yes |",
        "| models slower than XNNPACK, 1 thread | none | 1 of 2 | **no** |",
        "| mlperf_ad_int8, invoke alone | 1x XNNPACK | 16.00x | yes |",
        "| int8 product with requantization, 1024 x 1024 x 1024 | 60% of the peak "
        "| 200 GMAC/s, 50% of the peak | **no** |",
        "| histogram, 12 values | 5x NumPy | 6.00x NumPy | yes |",
    ]


def test_every_place_of_the_page_has_a_table(load: Any) -> None:
    tables: ModuleType = load("write_tables")
    page = (FOLDER.parent / "docs" / "performance.md").read_text()
    assert {found["name"] for found in tables.PLACE.finditer(page)} == set(tables.TABLES)
