"""Calibrate and quantize: quantcore beside TensorFlow Lite's converter and ai-edge-quantizer.

    python benchmarks/bench_quantize.py                       # float models of QUANTCORE_MODELS, 100 samples
    python benchmarks/bench_quantize.py model.tflite --samples 20
    python benchmarks/bench_quantize.py --keras MobileNetV2 --keras ResNet101V2     # dynamic range

Every contender runs in a process of its own, on as many cores as threads (one, unless asked for more), with
the same model and samples; imports are not counted. Of a ``.tflite``, the converter's last two steps are
timed (its calibrator, its MLIR quantizer), of a Keras network the whole conversion. ai-edge-quantizer comes
with the extra ``bench``; without it, its rows are left out with a message.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import quantize_contenders
from _models import FOLDER, folder_models, keras_network
from quantize_contenders import CONTENDERS

from quantcore.cli._tables import console, print_table, table
from quantcore.errors import QuantcoreError
from quantcore.files import write_arrays
from quantcore.flatbuffer import read_model, save
from quantcore.graph import Model, Signature
from quantcore.oracle import convert
from quantcore.quantizer.checks import check_float_model
from quantcore.quantizer.settings import Settings
from quantcore.samples import random_samples

CONVERTER = "converter"


@dataclass
class Row:
    """What one contender took."""

    model: str
    contender: str
    float_bytes: int
    seconds: dict[str, float]
    peak_mb: float = 0.0
    idle_mb: float = 0.0
    bytes: int = 0
    note: str = ""

    @property
    def total(self) -> float:
        """Seconds of all steps."""
        return sum(self.seconds.values())


def float_models() -> list[Path]:
    """Return the float models of the folder."""
    found = []
    for path in folder_models():
        try:
            model = read_model(path)
            check_float_model(model, Settings("int16x8"))  # which takes no quantized weights
            random_samples(model, 0, 1, 0)
        except QuantcoreError:
            continue
        if all(model.subgraphs[0].tensors[t].dtype == "float32" for t in model.subgraphs[0].inputs):
            found.append(path)
    return found


def peer_copy(model: Model, path: Path) -> dict[str, Any]:
    """Write `model` as ai-edge-quantizer reads it, with operator codes as of today and a signature."""
    main = model.subgraphs[0]
    if not model.signatures:
        inputs = {f"input{i}": t for i, t in enumerate(main.inputs)}
        outputs = {f"output{i}": t for i, t in enumerate(main.outputs)}
        model.signatures = [Signature("serving_default", 0, inputs, outputs)]
    save(model, path)
    signature = model.signatures[0]
    names = [name for t in main.inputs for name, index in signature.inputs.items() if index == t]
    return {"peer_model": str(path), "signature": signature.key, "names": names}


def static_task(path: Path, folder: Path, count: int, threads: int) -> dict[str, Any]:
    """Return what the contenders are given for a ``.tflite``."""
    model = read_model(path)
    samples = random_samples(model, 0, count, 0)
    stacked = {f"input{i}": np.stack(parts) for i, parts in enumerate(zip(*samples, strict=True))}
    write_arrays(folder / "samples.npz", stacked)
    task = {"mode": "int8", "model": str(path), "samples": str(folder / "samples.npz"), "threads": threads}
    return task | peer_copy(model, folder / "peer.tflite")


def keras_task(name: str, size: int, folder: Path, threads: int) -> dict[str, Any]:
    """Return what the contenders are given for a network of ``keras.applications``."""
    keras, path = keras_network(name, size, folder), folder / f"{name}.tflite"
    path.write_bytes(convert(keras, "float"))
    task = {"mode": "dynamic", "model": str(path), "keras": str(keras), "threads": threads}
    return task | peer_copy(read_model(path), folder / "peer.tflite")


def measure(contender: str, name: str, task: dict[str, Any], turns: int) -> Row:
    """Run a contender in a process of its own, `turns` times; the fastest counts."""
    size = Path(task["model"]).stat().st_size
    rows = []
    for _ in range(turns):
        command = [sys.executable, str(quantize_contenders.__file__), contender, json.dumps(task)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return Row(name, contender, size, {}, note=f"failed: {lines[-1]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        if "missing" in answer:
            return Row(name, contender, size, {}, note=f"{answer['missing']} is not installed")
        rows.append(Row(name, contender, size, **answer))
    return min(rows, key=lambda row: row.total)


def print_rows(title: str, rows: list[Row]) -> None:
    """Print a table, and what could not be measured below it."""
    columns = (">calibrate s", ">quantize s", ">total s", ">faster", ">peak MB", ">idle MB", ">size")
    result = table("model", "contender", *columns, title=title)
    for row in rows:
        if row.note:
            continue
        theirs = next((r.total for r in rows if (r.model, r.contender) == (row.model, CONVERTER)), 0.0)
        calibrate = row.seconds.get("calibrate")
        result.add_row(
            row.model,
            row.contender,
            "" if calibrate is None else f"{calibrate:.3f}",
            f"{row.seconds['quantize']:.3f}",
            f"{row.total:.3f}",
            f"{theirs / row.total:.1f}x" if theirs else "",
            f"{row.peak_mb:.0f}",
            f"{row.idle_mb:.0f}",
            f"{row.bytes / row.float_bytes:.3f}",
        )
    print_table(result)
    for note in dict.fromkeys(f"{row.contender}: {row.note}" for row in rows if row.note):
        console().print(f"left out: {note}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", type=Path, help="float .tflite files; default: those of the folder"
    )
    parser.add_argument(
        "--keras", nargs="*", action="extend", default=[], help="networks of keras.applications"
    )
    parser.add_argument("--size", type=int, default=224, help="side of their input")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=2, help="the fastest of so many counts")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    models = options.models or ([] if options.keras else float_models())
    if not models and not options.keras:
        print(f"left out: no float models; name some, or a folder of them in {FOLDER}", file=sys.stderr)
        return 0
    rows = []
    for path in models:
        with tempfile.TemporaryDirectory() as folder:
            task = static_task(path, Path(folder), options.samples, options.threads)
            rows += [measure(contender, path.stem, task, options.turns) for contender in CONTENDERS["int8"]]
    if rows:
        print_rows(f"int8, {options.samples} samples, {options.threads} threads", rows)
    networks = []
    for name in options.keras:
        with tempfile.TemporaryDirectory() as folder:
            task = keras_task(name, options.size, Path(folder), options.threads)
            networks += [measure(contender, name, task, options.turns) for contender in CONTENDERS["dynamic"]]
    if networks:
        print_rows(f"dynamic range, {options.threads} threads", networks)
    if options.json is not None:
        options.json.write_text(json.dumps([vars(row) for row in rows + networks], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
