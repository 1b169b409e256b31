"""Handwritten digits with weights of 4 bits: what post-training quantization loses, and training brings back.

A small multilayer perceptron and a small convolutional network learn the digits of scikit-learn. Each is made
an int8 model, then one with weights of 4 bits, both after training; then it is trained for a few epochs more
with the 4 bits in its forward pass. For comparison, the float network is trained for just as long. Everything
is done with several seeds, since a single run on a few hundred images proves little.

Run it with the Python that has quantcore and its extras 'oracle' and 'plot'; --help lists the options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its log is long
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import quantcore as qc
from quantcore import qat
from quantcore.evaluate import predict, predict_oracle
from quantcore.flatbuffer import write_model
from quantcore.images import prepare_images
from quantcore.oracle import Oracle

FLOAT, INT8, INT4 = "float", "int8", "4 bits"  # weights of 4 bits; both by post-training quantization
LONGER, TRAINED = "4 bits, float longer", "4 bits, trained"
STAGES = {  # what the files are called
    FLOAT: "float",
    INT8: "int8",
    INT4: "int4",
    LONGER: "int4_longer",
    TRAINED: "int4_trained",
}
BATCH_SIZE = 32
VERIFIED = 8  # images on which every operator is compared with each backend


@dataclass(frozen=True)
class Images:
    """Digits, float32 in 0..1 of shape (samples, 8, 8, 1), and labels."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class Row:
    """One stage of one network with one seed.

    Attributes
    ----------
    accuracy, tflite_accuracy : float
        On the held-out images, by our interpreter and by TensorFlow Lite's.
    equal : bool
        Whether all scores of the two are equal, bit for bit.
    """

    network: str
    stage: str
    seed: int
    bytes: int
    accuracy: float
    tflite_accuracy: float
    equal: bool


def load_images() -> Images:
    """Return scikit-learn's 1797 digits of 8 x 8 pixels; half of them are held out, to measure finely."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., np.newaxis]
    train, test, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.5, random_state=0, stratify=digits.target
    )
    return Images(train, train_labels, test, test_labels)


def mlp() -> Any:
    """Return three hidden layers of 16."""
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(3)]
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)]
    return keras.Sequential(layers, name="mlp")


def cnn() -> Any:
    """Return six convolutions of few filters, each with batch normalization and ReLU6."""
    layers = [keras.Input((8, 8, 1))]
    for filters, strides in ((2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2)):
        layers += [
            keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(max_value=6),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(10)], name="cnn")


def train(model: Any, images: Images, epochs: int, learning_rate: float) -> None:
    """Compile a model and fit it, as any Keras model. The rate falls to 0: the last steps would be noise."""
    steps = epochs * -(-len(images.train) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images.train, images.train_labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)


NETWORKS = {"mlp": mlp, "cnn": cnn}


def make_models(
    network: Any, images: Images, options: argparse.Namespace, oracle: Oracle, folder: Path
) -> dict[str, bytes]:
    """Train a network, and return a .tflite for each stage."""

    def as_float_model() -> bytes:
        file = folder / f"{network.name}.keras"
        network.save(file)
        return oracle.convert(file, "float")

    def after_training(float_model: bytes, weight_bits: int) -> bytes:
        model = qc.quantize_model(float_model, images.train, weight_bits=weight_bits)
        return write_model(model)

    train(network, images, options.epochs, 3e-3)
    float_model = as_float_model()
    prepared = qat.prepare(network, "int4", images.train)
    train(prepared, images, options.qat_epochs, 2e-3)
    train(network, images, options.qat_epochs, 2e-3)
    return {
        FLOAT: float_model,
        INT8: after_training(float_model, 8),
        INT4: after_training(float_model, 4),
        LONGER: after_training(as_float_model(), 4),
        TRAINED: qat.convert(prepared, oracle=oracle),
    }


def measure(network: str, seed: int, models: dict[str, bytes], images: Images, oracle: Oracle) -> list[Row]:
    """Run each model over the held-out images, here and by TensorFlow Lite."""
    rows = []
    for stage, data in models.items():
        model = qc.load(data)
        inputs = prepare_images(model, images.test).images
        ours, theirs = predict(model, inputs), predict_oracle(model, inputs, oracle)
        accuracy, expected = (
            float(accuracy_score(images.test_labels, scores.argmax(axis=1))) for scores in (ours, theirs)
        )
        equal = bool(np.array_equal(ours, theirs))
        rows.append(Row(network, stage, seed, len(data), accuracy, expected, equal))
    return rows


def mean(rows: list[Row], network: str, stage: str) -> float:
    """Return the accuracy of a stage over all seeds."""
    return float(np.mean([row.accuracy for row in rows if (row.network, row.stage) == (network, stage)]))


def print_recovery(rows: list[Row], network: str, console: Console) -> None:
    """Print which share of what 4 bits lost is back after training with them, over all seeds."""
    base, lost, trained = (mean(rows, network, stage) for stage in (FLOAT, INT4, TRAINED))
    if lost < base:
        share = (trained - lost) / (base - lost)
        console.print(f"{network}: 4 bits lose {base - lost:.2%}, of which training brings back {share:.0%}")
    else:
        console.print(f"{network}: 4 bits lose nothing that these images could show")


def print_table(rows: list[Row], console: Console) -> None:
    """Print the accuracies: mean, worst and best seed, ours beside TensorFlow Lite's."""
    table = Table("network", "stage", box=SIMPLE_HEAD, show_edge=False)
    for heading in ("bytes", "ours", "lowest", "highest", "TFLite", "scores"):
        table.add_column(heading, justify="right")
    for network in NETWORKS:
        for stage in STAGES:
            found = [row for row in rows if (row.network, row.stage) == (network, stage)]
            accuracies = [row.accuracy for row in found]
            table.add_row(
                network,
                stage,
                f"{found[0].bytes:,}",
                f"{np.mean(accuracies):.2%}",
                f"{min(accuracies):.2%}",
                f"{max(accuracies):.2%}",
                f"{np.mean([row.tflite_accuracy for row in found]):.2%}",
                "equal" if all(row.equal for row in found) else "differ",
            )
    console.print(table)


def draw(rows: list[Row], path: Path) -> None:
    """Draw the accuracies of all seeds and their means, a panel per network."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for position, network in enumerate(NETWORKS):
        axes = figure.add_subplot(1, len(NETWORKS), position + 1)
        axes.set_title(network)
        axes.plot([100 * mean(rows, network, stage) for stage in STAGES], color="#0969da", label="mean")
        for row in rows:
            if row.network == network:
                axes.plot(list(STAGES).index(row.stage), 100 * row.accuracy, ".", color="#8c959f")
        axes.set_xticks(range(len(STAGES)), [stage.replace(", ", ",\n") for stage in STAGES], fontsize=7)
        axes.set_ylabel("accuracy on held-out images, %")
        axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=120)


def verify(name: str, data: bytes, images: Images, console: Console) -> bool:
    """Compare each operator of a model with all backends, bit for bit, and print a line."""
    model = qc.load(data)
    result = qc.verify(model, prepare_images(model, images.test[:VERIFIED]).images, numerics="all")
    found = [
        f"{profile}: {'bit-exact' if each.bit_exact else 'NOT proved bit-exact'}"
        for profile, each in result.profiles.items()
    ]
    console.print(f"{name}: {', '.join(found)}")
    return result.bit_exact


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("qat-output"), help="folder to write to")
    parser.add_argument("--seeds", type=int, default=3, help="how many times all is done [%(default)s]")
    parser.add_argument("--epochs", type=int, default=60, help="of training in float [%(default)s]")
    parser.add_argument("--qat-epochs", type=int, default=20, help="of training with 4 bits [%(default)s]")
    options = parser.parse_args()
    for name in ("seeds", "epochs", "qat_epochs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}; expected 1 or more")
    return options


def main() -> int:
    """Train, convert, measure, print; return the exit code: 0 if every bit agrees."""
    options, console, images = arguments(), Console(highlight=False), load_images()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    models: dict[str, dict[str, bytes]] = {}
    with Oracle("BUILTIN_REF", package="tensorflow") as oracle, Progress(console=console) as progress:
        task = progress.add_task("training", total=options.seeds * len(NETWORKS))
        for seed in range(options.seeds):
            for name, build in NETWORKS.items():
                progress.update(task, description=f"{name}, seed {seed}")
                keras.utils.set_random_seed(seed)
                models[name] = make_models(build(), images, options, oracle, options.out)
                rows += measure(name, seed, models[name], images, oracle)
                progress.advance(task)
    print_table(rows, console)
    for network in NETWORKS:
        print_recovery(rows, network, console)
    exact = all(row.equal for row in rows)
    for network, made in models.items():
        for stage, data in made.items():
            (options.out / f"{network}_{STAGES[stage]}.tflite").write_bytes(data)
        exact &= verify(f"{network}, {TRAINED}", made[TRAINED], images, console)
    draw(rows, options.out / "accuracy.png")
    (options.out / "accuracy.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    console.print(f"written to {options.out}: the models of the last seed, accuracy.json, accuracy.png")
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
