"""Our quantizer beside TensorFlow Lite's converter: tensors compared and equal, per model, mode and io.

    python benchmarks/agree_with_converter.py                    # the folder's models, digits networks
    python benchmarks/agree_with_converter.py model.tflite ...   # float .tflite files
    python benchmarks/agree_with_converter.py --keras MobileNetV2 --keras DenseNet121
    python benchmarks/agree_with_converter.py --engine quantcore # ranges by our float kernels
    python benchmarks/agree_with_converter.py saved_model ...    # quantization-aware networks

A ``.tflite`` is quantized by TensorFlow's calibrator and quantizers (int8, int16x8), a Keras network by
``tf.lite.TFLiteConverter`` in every mode; Keras networks have seeded random weights. A SavedModel folder with
fake quantization is quantized by its trained ranges, in mode int8. With ``--engine tflite``
(the default) and the converter's ranges all bits must be equal; the outputs of both files are compared too,
in TensorFlow's interpreter, on the samples.
With ``--engine quantcore`` the scales may differ by 2e-6, nothing else.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from _models import folder_models, is_float, keras_network
from rich.console import Console
from rich.table import Table

import quantcore as qc
from quantcore.calibration import Ranges, collect_ranges
from quantcore.calibration.collect import ENGINES
from quantcore.comparison.agreement import compare_structure
from quantcore.demo.data import load_digits
from quantcore.demo.training import NETWORKS, train
from quantcore.errors import OracleError, QuantcoreError
from quantcore.graph import Model, Tensor
from quantcore.oracle import Oracle
from quantcore.quantizer.settings import MODES, STATIC
from quantcore.samples import random_samples

TOLERANCE = 2e-6  # of scales, between float engines
# (mode, io): name of the conversion in Oracle.convert
CONVERSIONS = {
    ("int8", "int8"): "int8",
    ("int8", "uint8"): "uint8",
    ("int8", "float32"): "float_fallback",
    ("int16x8", "int16"): "int16x8",
    ("int16x8", "float32"): "int16x8_float_io",
    ("dynamic", "float32"): "dynamic_range",
    ("float16", "float32"): "float16",
}
TRAINED = {  # of quantization-aware networks
    ("int8", "int8"): "int8_trained",
    ("int8", "uint8"): "uint8_trained",
    ("int8", "float32"): "float_fallback_trained",
}


@dataclass
class Subject:
    """A float model, and how the converter gets it."""

    name: str
    model: Model
    samples: list[list[np.ndarray]]
    keras: Path | None = None
    found: Ranges | None = None
    trained: bool = False

    def ranges(self, engine: str, oracle: Oracle) -> Ranges:
        """Return the ranges as the converter records them; calibrates once."""
        if self.found is None:
            shared: dict[str, Any] = {"oracle": oracle} if engine == "tflite" else {}
            self.found = collect_ranges(self.model, self.samples, engine=engine, ranges="converter", **shared)
        return self.found

    def expected(self, oracle: Oracle, mode: str, io_type: str) -> bytes | None:
        """Return the converter's file; None where it has no way to this mode from a .tflite."""
        if self.keras is not None and self.trained:
            name = TRAINED.get((mode, io_type))
            return None if name is None else oracle.convert(self.keras, name)
        if self.keras is not None:
            arrays = [np.concatenate(parts) for parts in zip(*self.samples, strict=True)]
            return oracle.convert(self.keras, CONVERSIONS[mode, io_type], arrays)
        if mode not in STATIC:
            return None
        return oracle.quantize(self.model, self.samples, mode=mode, io=io_type)


@dataclass
class Row:
    """What one comparison found."""

    model: str
    mode: str
    io: str
    compared: int = 0
    equal: int = 0
    operators: int = 0
    outputs: str = ""
    seconds: float = 0.0
    worst_scale: float = 0.0
    differences: list[str] = field(default_factory=list)
    note: str = ""


def subjects(
    files: tuple[Path, ...], networks: tuple[str, ...], size: int, count: int, oracle: Oracle, folder: Path
) -> Iterator[Subject]:
    """Yield the float models that were asked for."""
    if not files and not networks:
        digits = load_digits(0)
        train(digits, folder, epochs=3, seed=0, on_epoch=lambda network, epoch: None)
        images = [[image[np.newaxis]] for image in digits.train_images[:count]]
        for network in NETWORKS:
            yield from_keras(folder / f"{network}.keras", count, oracle, images)
        files = tuple(folder_models())
    for path in files:
        if path.is_dir():
            yield trained_subject(path, count, oracle)
            continue
        model = qc.load(path)
        if is_float(model):
            yield Subject(path.stem, model, random_samples(model, 0, count, seed=0))
    for name in networks:
        yield from_keras(keras_network(name, size, folder, classes=100), count, oracle)


def trained_subject(path: Path, count: int, oracle: Oracle) -> Subject:
    """Return a SavedModel with fake quantization."""
    model = qc.load(oracle.convert(path, "float_trained"))
    return Subject(path.name, model, random_samples(model, 0, count, seed=0), path, trained=True)


def from_keras(
    path: Path, count: int, oracle: Oracle, samples: list[list[np.ndarray]] | None = None
) -> Subject:
    """Return a saved Keras network, with random samples where none are given."""
    model = qc.load(oracle.convert(path, "float"))
    return Subject(path.stem, model, samples or random_samples(model, 0, count, seed=0), path)


def compare(subject: Subject, mode: str, io_type: str, engine: str, oracle: Oracle) -> Row:
    """Quantize by both, and compare."""
    row = Row(subject.name, mode, io_type)
    try:
        expected = subject.expected(oracle, mode, io_type)
    except OracleError as error:
        row.note = f"converter: {error}"
        return row
    if expected is None:
        row.note = "the converter has no way from a .tflite"
        return row
    start = time.perf_counter()
    calibrated = mode in STATIC and not subject.trained
    options: dict[str, Any] = {"ranges": subject.ranges(engine, oracle)} if calibrated else {}
    ours = qc.quantize_model(subject.model, mode=mode, io=io_type, allow_float=True, **options)
    row.seconds = time.perf_counter() - start
    theirs = qc.load(expected)
    found = compare_structure(ours, theirs, scale_tolerance=0.0 if engine == "tflite" else TOLERANCE)
    row.compared, row.equal = found.compared.total(), found.equal.total()
    row.operators, row.differences = found.operators, found.differences
    row.worst_scale = found.worst_scale
    row.outputs = outputs(oracle, ours, theirs, subject.samples)
    return row


def outputs(oracle: Oracle, ours: Model, theirs: Model, samples: list[list[np.ndarray]]) -> str:
    """Compare the outputs of both files in TensorFlow's interpreter."""
    main = theirs.subgraphs[0]
    inputs = [[quantized(x, main.tensors[t]) for x, t in zip(s, main.inputs, strict=True)] for s in samples]
    try:
        expected = oracle.run_batch(theirs, inputs)
    except OracleError:
        return "not run: TensorFlow refuses the converter's file"
    results = [oracle.run_batch(ours, inputs), expected]
    pairs = [(a, b) for x, y in zip(*results, strict=True) for a, b in zip(x, y, strict=True)]
    same = sum(int((a.view(np.uint8) == b.view(np.uint8)).all()) for a, b in pairs)
    return f"{same}/{len(pairs)}"


def quantized(x: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return a float sample in the dtype of a graph's input."""
    return x if tensor.params is None else qc.quantize(x, tensor.params)


@click.command(help=__doc__.partition("\n")[0])
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--keras", "networks", multiple=True, help="A network of keras.applications, random weights.")
@click.option("--size", default=96, help="Side of the input of Keras networks.")
@click.option("--samples", "count", default=5, help="Samples to calibrate on.")
@click.option("--engine", type=click.Choice(ENGINES), default="tflite")
@click.option("--mode", "modes", multiple=True, type=click.Choice(list(MODES)), help="[default: all]")
@click.option("--show", default=3, help="Differences to print per row.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    files: tuple[Path, ...],
    networks: tuple[str, ...],
    size: int,
    count: int,
    engine: str,
    modes: tuple[str, ...],
    show: int,
    as_json: bool,
) -> None:
    """Compare and print."""
    console = Console(stderr=as_json, highlight=False, markup=False)
    rows = []
    with tempfile.TemporaryDirectory() as folder, Oracle(package="tensorflow", timeout=900) as oracle:
        for one in subjects(files, networks, size, count, oracle, Path(folder)):
            for mode, io_type in CONVERSIONS:
                if modes and mode not in modes:
                    continue
                try:
                    rows.append(compare(one, mode, io_type, engine, oracle))
                except QuantcoreError as error:
                    rows.append(Row(one.name, mode, io_type, note=str(error), differences=[str(error)]))
                console.print(line(rows[-1]))
                for text in rows[-1].differences[:show]:
                    console.print(f"    {text}")
    if as_json:
        print(json.dumps([vars(row) for row in rows], indent=2))
    else:
        console.print(summary(rows))
    # Where nothing was compared, nothing agrees.
    sys.exit(any(row.differences for row in rows) or not any(row.compared for row in rows))


def line(row: Row) -> str:
    """Return a row as a line."""
    if row.note:
        return f"{row.model} {row.mode}/{row.io}: {row.note}"
    return (
        f"{row.model} {row.mode}/{row.io}: {row.equal} of {row.compared} tensors equal, "
        f"{row.operators} operators, outputs equal {row.outputs}, "
        f"scales within {row.worst_scale:.1e}, {row.seconds:.2f} s"
    )


def summary(rows: list[Row]) -> Table:
    """Return one line per mode."""
    table = Table("mode", "io", "models", "tensors", "equal", "models that agree")
    for mode, io_type in CONVERSIONS:
        those = [row for row in rows if (row.mode, row.io) == (mode, io_type) and row.compared]
        if those:
            agree = sum(not row.differences for row in those)
            counts = [sum(getattr(row, name) for row in those) for name in ("compared", "equal")]
            table.add_row(mode, io_type, str(len(those)), *map(str, counts), f"{agree} of {len(those)}")
    return table


if __name__ == "__main__":
    main()
