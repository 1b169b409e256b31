"""``quantcore demo``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantcore.cli._command import COUNT, seed_option, verb
from quantcore.cli._output import print_json, step_progress, write_json

if TYPE_CHECKING:
    from quantcore.demo.pipeline import Converted, DemoResult

EXAMPLES = """
quantcore demo
quantcore demo --out results --seed 7
quantcore demo --mnist mnist.npz --epochs 3
"""

DIGITS_EPOCHS = 30
MNIST_EPOCHS = 3
DRAWN_MODE = "int8"  # whose predictions are drawn, and whose confusion matrix is printed


@verb(examples=EXAMPLES)
@click.option("--out", type=click.Path(path_type=Path), default="demo-output", help="Folder to write to.")
@click.option("--mnist", type=click.Path(), help="Use MNIST, from this mnist.npz, instead of the 8x8 digits.")
@click.option("--epochs", type=COUNT, help="Epochs of training.  [default: 30; with MNIST 3]")
@seed_option("the training and of the held-out choice")
@click.option("--threads", type=COUNT, default=1, help="Threads of our interpreter.")
def command(out: Path, mnist: str | None, epochs: int | None, seed: int, threads: int, as_json: bool) -> int:
    """Train, convert, run and verify two small networks.

    A multilayer perceptron (128 ReLU, 10 softmax) and a convolutional network (12 filters of 3x3,
    max-pooling, 10) learn handwritten digits with Keras. TensorFlow Lite converts each as float, dynamic
    range, int8 with float input and output, int8, int8 with uint8 input and output, and float16. Each
    model is run over the held-out images here and by TensorFlow Lite, and compared operator by operator.
    Writes the models, summary.json and predictions.png. Exit code 1 if a single bit differs. Needs the
    extras 'oracle' (TensorFlow) and 'plot' (matplotlib).
    """
    from quantcore.demo.data import load_digits, load_mnist
    from quantcore.demo.picture import draw_predictions, require_matplotlib
    from quantcore.demo.pipeline import run_demo, step_count
    from quantcore.files import atomic_write

    data = load_mnist(mnist) if mnist is not None else load_digits(seed)
    epochs = epochs or (MNIST_EPOCHS if mnist is not None else DIGITS_EPOCHS)
    require_matplotlib()
    make_folder(out)
    total, done = step_count(epochs), 0
    with step_progress("starting TensorFlow") as show:

        def step(what: str) -> None:
            nonlocal done
            show(done, total, what)
            done += 1

        result = run_demo(data, out, epochs=epochs, seed=seed, threads=threads, step=step)
    draw_predictions(result, data, DRAWN_MODE, out / "predictions.png")
    with atomic_write(out / "summary.json", "w") as file:
        write_json(result.to_json(), file)
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result, out)
    return 0 if result.bit_exact else 1


def make_folder(path: Path) -> None:
    """Create the output folder, and refuse one that cannot be written before any work is done."""
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise click.UsageError(f"--out {path}: the folder cannot be written")


def print_result(result: DemoResult, out: Path) -> None:
    """Print the table, a confusion matrix per network, and the verdict."""
    from quantcore.cli._classification import print_confusion
    from quantcore.cli._tables import console, print_fields, print_table, table
    from quantcore.cli._verify_tables import oracle_line
    from quantcore.demo.pipeline import MODES

    rows = [
        ("data", f"{result.data}: {result.train_images} images to learn from, {result.test_images} held out"),
        ("oracle", oracle_line(result.oracle)),
    ]
    for network, accuracy in result.keras_accuracy.items():
        rows.append((f"{network}, in Keras", f"accuracy {accuracy:.2%}"))
    print_fields(rows)
    columns = ("network", "mode", ">bytes", ">ratio", "input", "output", ">ours", ">TFLite", ">exact")
    listing = table(*columns, title="accuracy of ours and of TensorFlow Lite; operators that are bit-exact")
    for model in result.models:
        listing.add_row(
            model.network,
            MODES[model.mode],
            f"{model.bytes:,}",
            f"{model.ratio:.3f}",
            model.input_dtype,
            model.output_dtype,
            f"{model.accuracy:.2%}",
            f"{model.oracle_accuracy:.2%}",
            f"{model.operators_exact}/{model.operators}",
        )
    print_table(listing)
    for model in result.models:
        if model.mode == DRAWN_MODE:
            title = f"{model.network}, {model.mode}: label (row) and prediction (column)"
            print_confusion(model.confusion, title)
    console().print()
    for model in result.models:
        if not model.bit_exact:
            console().print(complaint(model))
    scores = sum(model.scores for model in result.models)
    count = len(result.models)
    if result.bit_exact:
        console().print(f"bit-exact: every operator of {count} models, and all {scores:,} scores")
    console().print(f"written to {out}: {count} models, summary.json, predictions.png")


def complaint(model: Converted) -> str:
    """Say what of a model is not bit-exact."""
    parts = [f"{row['op'] or 'output'} {row['status']} ({row['mismatches']})" for row in model.mismatches]
    if model.differing_scores:
        parts.append(f"{model.differing_scores} of {model.scores} scores differ")
    return f"NOT bit-exact: {model.file}: {'; '.join(parts)}"
