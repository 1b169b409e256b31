"""What each improvement of the quantizer gains: output SQNR, agreement with the float model, accuracy.

    python benchmarks/bench_improvements.py                           # float models of QUANTCORE_MODELS
    python benchmarks/bench_improvements.py cnn_float.tflite --data digits.npz

Models without data are calibrated on smoothed noise and measured on other noise; with `--data` (an .npz file
of images and labels) on its images, the first half and the second. The SQNR is that of the last tensor before
a SOFTMAX, whose fixed scale would hide differences.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _models import folder_models

import quantcore as qc
from quantcore.calibration import collect_ranges
from quantcore.cli._tables import print_table, table
from quantcore.files import read_arrays
from quantcore.graph import Model
from quantcore.images import find_array, prepare_images
from quantcore.quantizer.bias_correction import correct_biases
from quantcore.quantizer.equalization import equalize
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply

MODELS = ("mlperf_ic_float", "mlperf_kws_float", "mlperf_ad_float", "aeq_conv_fc_mnist_float",
          "support_mobilenet_v1_025_224_float")  # fmt: skip
METHODS = ("percentile:99.99", "mse", "entropy")
LARGE = 100_000  # elements of an input from which on a model counts as large
SAMPLES, SAMPLES_OF_LARGE = 32, 8
EDGES = ("SOFTMAX", "LOGISTIC", "DEQUANTIZE")


@dataclass
class Case:
    """A model, what to calibrate it on and what to measure it on."""

    model: Model
    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None = None


def noise(model: Model, seed: int) -> np.ndarray:
    """Return noise, smoothed where the input is an image."""
    shape = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape
    count = SAMPLES if np.prod(shape) < LARGE else SAMPLES_OF_LARGE
    x: np.ndarray = np.random.default_rng(seed).standard_normal((count, *shape[1:])).astype(np.float32)
    if x.ndim == 4:
        for axis in (1, 2):
            x = sum((np.roll(x, k, axis) for k in range(1, 4)), x) / 2
    return x


def make_case(path: Path, data: Path | None) -> Case:
    """Return the model of `path` with its data."""
    model = qc.load(path)
    if data is None:
        return Case(model, noise(model, 1), noise(model, 2))
    arrays = read_arrays(data)
    images, labels = (find_array(arrays, what, None, str(data)) for what in ("images", "labels"))
    prepared = prepare_images(model, images).images
    half = len(prepared) // 2
    return Case(model, prepared[:half], prepared[half:], labels[half:])


def variants(case: Case, settings: Settings) -> Iterator[tuple[str, Model]]:
    """Yield the ways to quantize, each with the quantized model."""

    def made(model: Model, method: str = "min_max", correct: bool = False) -> Model:
        ranges = collect_ranges(model, case.calibration, method=method)
        if correct:
            model = correct_biases(model, ranges, case.calibration, settings).model
        return apply(Plan(model, settings), ranges)

    yield "as the converter", made(case.model)
    for method in METHODS:
        yield method, made(case.model, method)
    equal = equalize(case.model, case.calibration if settings.per_channel else None)
    if equal.pairs:
        yield f"equalized ({len(equal.pairs)} pairs)", made(equal.model)
    yield "biases corrected", made(case.model, correct=True)
    if equal.pairs:
        yield "equalized, biases corrected", made(equal.model, correct=True)


def measured(case: Case, quantized: Model) -> tuple[str, str, str]:
    """Return SQNR, share of equal predictions, and accuracy."""
    rows = qc.compare(case.model, quantized, case.test).tensors
    inner = [row for row in rows if row.op not in EDGES]
    ours = predictions(quantized, case.test)
    accuracy = "" if case.labels is None else f"{np.mean(ours == case.labels):.2%}"
    agreement = np.mean(ours == predictions(case.model, case.test))
    return f"{inner[-1].measures.sqnr_db:.2f}", f"{agreement:.1%}", accuracy


def predictions(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the index of the largest output of each sample."""
    outputs = qc.Interpreter(model, num_threads=2).run(x).reshape(len(x), -1)
    largest: np.ndarray = np.argmax(outputs, axis=1)
    return largest


def bench(path: Path, data: Path | None) -> None:
    """Print the table of one model."""
    case = make_case(path, data)
    columns = (">output SQNR, dB", ">same prediction", ">accuracy")
    result = table("weights", "variant", *columns, title=path.stem)
    if case.labels is not None:
        accuracy = np.mean(predictions(case.model, case.test) == case.labels)
        result.add_row("", "float", "", "", f"{accuracy:.2%}")
    for per_channel in (True, False):
        settings = Settings("int8", "float32", per_channel=per_channel, per_channel_dense=per_channel)
        settings = replace(settings, allow_float=True)
        for name, quantized in variants(case, settings):
            kind = "per channel" if per_channel else "per tensor"
            result.add_row(kind, name, *measured(case, quantized))
    print_table(result)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    for path in arguments.models or [path for path in folder_models() if path.stem in MODELS]:
        bench(path, arguments.data)


if __name__ == "__main__":
    main()
