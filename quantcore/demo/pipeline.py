"""From data to a summary: train, convert, run, evaluate, verify."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import quantcore
from quantcore.demo.data import DataSet
from quantcore.demo.training import NETWORKS, train
from quantcore.differences import differing
from quantcore.evaluate import predict, predict_oracle, score
from quantcore.files import atomic_write
from quantcore.flatbuffer import read_model
from quantcore.images import prepare_images
from quantcore.oracle import Oracle
from quantcore.verify import VerifyResult, verify

__all__ = ["MODES", "Converted", "DemoResult", "run_demo"]

# Conversions, as `quantcore.oracle.convert` names them, and for people.
MODES = {
    "float": "float",
    "dynamic_range": "dynamic range",
    "float_fallback": "float fallback",
    "int8": "int8",
    "uint8": "uint8",
    "float16": "float16",
}
REPRESENTATIVE = 200  # images that the converter calibrates on
VERIFIED = 16  # images on which every operator is compared

Step = Callable[[str], None]


@dataclass(slots=True)
class Converted:
    """One network in one mode.

    Attributes
    ----------
    file : str
        Name in the output folder.
    bytes : int
    ratio : float
        Size relative to the float model of the same network.
    accuracy, oracle_accuracy : float
        On the held-out images, by our interpreter and by TensorFlow Lite's.
    differing_scores, scores : int
        Scores of the held-out images that are not the same bit for bit, and their number.
    operators_exact, operators : int
        Operators that `verify` found bit-exact, and all of them.
    end_to_end_exact : bool
        Whether `verify` found the outputs of the whole model bit-exact.
    confusion : list of list of int
        Row: label; column: prediction.
    predictions : list of int
        Class of each held-out image.
    """

    network: str
    mode: str
    file: str
    bytes: int
    ratio: float
    input_dtype: str
    output_dtype: str
    accuracy: float
    oracle_accuracy: float
    differing_scores: int
    scores: int
    operators_exact: int
    operators: int
    end_to_end_exact: bool
    mismatches: list[dict[str, Any]]
    confusion: list[list[int]]
    predictions: list[int]

    @property
    def bit_exact(self) -> bool:
        """Whether everything that was compared agrees in every bit."""
        return self.operators_exact == self.operators and self.end_to_end_exact and not self.differing_scores


@dataclass(slots=True)
class DemoResult:
    """What the demo found; `to_json` is what ``summary.json`` holds."""

    data: str
    train_images: int
    test_images: int
    epochs: int
    seed: int
    oracle: dict[str, str]
    keras_accuracy: dict[str, float]
    models: list[Converted] = field(default_factory=list)

    @property
    def bit_exact(self) -> bool:
        """Whether every model is."""
        return all(model.bit_exact for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        models = [asdict(model) | {"bit_exact": model.bit_exact} for model in self.models]
        about = {"quantcore": quantcore.__version__, "bit_exact": self.bit_exact}
        return about | asdict(self) | {"models": models}


def run_demo(data: DataSet, out: Path, *, epochs: int, seed: int, threads: int, step: Step) -> DemoResult:
    """Run the demo.

    Parameters
    ----------
    data : DataSet
    out : Path
        An existing folder; receives the ``.tflite`` files.
    epochs, seed, threads : int
    step : callable
        Called with a description when a step begins. There are `step_count` of them.

    Returns
    -------
    DemoResult

    Raises
    ------
    OracleUnavailable
        TensorFlow is not installed.
    QuantcoreError
        Training or a conversion failed, or a model cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder, Oracle("BUILTIN_REF", package="tensorflow") as oracle:
        accuracy = train(
            data,
            Path(folder),
            epochs=epochs,
            seed=seed,
            on_epoch=lambda network, epoch: step(f"training {network}: epoch {epoch}"),
        )
        result = DemoResult(
            data.name, len(data.train_images), len(data.test_images), epochs, seed, oracle.about, accuracy
        )
        for network in NETWORKS:
            keras_file = Path(folder) / f"{network}.keras"
            float_size = 0
            for mode in MODES:
                step(f"{network}, {MODES[mode]}")
                content = oracle.convert(keras_file, mode, data.train_images[:REPRESENTATIVE])
                float_size = float_size or len(content)
                file = out / f"{network}_{mode}.tflite"
                with atomic_write(file) as stream:
                    stream.write(content)
                result.models.append(examine(file, network, mode, float_size, data, oracle, seed, threads))
    return result


def step_count(epochs: int) -> int:
    """Return how often `run_demo` calls `step`."""
    return len(NETWORKS) * (epochs + len(MODES))


def examine(
    file: Path,
    network: str,
    mode: str,
    float_size: int,
    data: DataSet,
    oracle: Oracle,
    seed: int,
    threads: int,
) -> Converted:
    """Run one model over the held-out images, here and in TensorFlow Lite, and verify its operators."""
    model = read_model(file)
    images = prepare_images(model, data.test_images).images
    scores = predict(model, images, num_threads=threads)
    expected = predict_oracle(model, images, oracle)
    ours, theirs = score(scores, data.test_labels), score(expected, data.test_labels)
    verified = verify(model, images[:VERIFIED], samples=VERIFIED, seed=seed, oracle=oracle)
    size = file.stat().st_size
    return Converted(
        network=network,
        mode=mode,
        file=file.name,
        bytes=size,
        ratio=size / float_size,
        input_dtype=images.dtype.name,
        output_dtype=scores.dtype.name,
        accuracy=ours.accuracy,
        oracle_accuracy=theirs.accuracy,
        differing_scores=int(np.count_nonzero(differing(scores, expected))),
        scores=scores.size,
        operators_exact=exact_operators(verified),
        operators=len(model.subgraphs[0].operators),
        end_to_end_exact=all(row.status == "exact" for row in verified.end_to_end),
        mismatches=[row.to_json() for row in verified.rows if row.status != "exact"],
        confusion=ours.confusion.tolist(),
        predictions=ours.predictions.tolist(),
    )


def exact_operators(verified: VerifyResult) -> int:
    """Return the number of operators of the main subgraph of which every output is bit-exact."""
    status: dict[int | None, bool] = {}
    for row in verified.operators:
        if row.subgraph == 0:
            status[row.index] = status.get(row.index, True) and row.status == "exact"
    return sum(status.values())
