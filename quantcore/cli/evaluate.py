"""``quantcore evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from quantcore.cli._command import COUNT, LibraryChoice, model_argument, numerics_option, verb
from quantcore.cli._output import print_json, progress

if TYPE_CHECKING:
    import numpy as np

    from quantcore.evaluate import Evaluation
    from quantcore.graph import Model
    from quantcore.images import Prepared

EXAMPLES = """
quantcore evaluate model.tflite --data mnist.npz --threads 1
quantcore evaluate model.tflite --data data.npz --images x_val --labels y_val --oracle
quantcore evaluate model.tflite --data photos.npz --pixels=-1..1
"""

MANY_CLASSES = 20  # beyond, a confusion matrix does not fit on a screen


@verb(examples=EXAMPLES)
@model_argument
@click.option("--data", type=click.Path(), required=True, help="An .npz file of images and labels.")
@click.option("--images", "images_key", help="Name of the images in it.  [default: images, x_test, x ...]")
@click.option("--labels", "labels_key", help="Name of the labels in it.  [default: labels, y_test, y ...]")
@click.option("--pixels", default="auto", type=LibraryChoice("quantcore.images", "PIXEL_RANGES", ("auto",)),
              help="Real values that pixels 0..255 stand for.")  # fmt: skip
@click.option("--threads", type=COUNT, help="Threads that share the images.  [default: one per core]")
@click.option("--oracle", "with_oracle", is_flag=True, help="Run TensorFlow Lite too, and compare.")
@numerics_option
def command(
    model: str,
    data: str,
    images_key: str | None,
    labels_key: str | None,
    pixels: str,
    threads: int | None,
    with_oracle: bool,
    numerics: str,
    as_json: bool,
) -> int:
    """Measure the accuracy of a classifier.

    MODEL predicts the class of every image of a data set, and is measured against the labels. Images
    are integer pixels in 0..255, or floats in the real values that the model expects. They are brought
    to the input's shape and, where it is quantized, quantized; what was assumed on the way is said.
    Prints the accuracy, the top-5 accuracy beyond five classes, the confusion matrix and the
    classification report of scikit-learn. With --oracle, exit code 1 if any score differs.
    """
    from quantcore.evaluate import predict, score
    from quantcore.files import read_arrays
    from quantcore.flatbuffer import read_model
    from quantcore.images import PIXEL_RANGES, find_array, prepare_images

    loaded = read_model(model)
    arrays = read_arrays(data)
    images = find_array(arrays, "images", images_key, data)
    labels = find_array(arrays, "labels", labels_key, data)
    prepared = prepare_images(loaded, images, PIXEL_RANGES.get(pixels))
    with progress("evaluating", len(images)) as advance:
        scores = predict(loaded, prepared.images, numerics=numerics, num_threads=threads, advance=advance)
    found = score(scores, labels)
    compared = compare_with_oracle(loaded, prepared, scores, labels, numerics) if with_oracle else None
    if as_json:
        print_json(as_dict(model, data, numerics, found, prepared, compared))
    else:
        print_tables(model, data, found, prepared, compared)
    return 1 if compared is not None and compared["differing_scores"] else 0


def compare_with_oracle(
    model: Model, prepared: Prepared, scores: np.ndarray, labels: np.ndarray, numerics: str
) -> dict[str, Any]:
    """Run TensorFlow Lite on the same inputs; return its accuracy and what differs."""
    from quantcore.cli._verify_tables import oracle_line
    from quantcore.differences import differing
    from quantcore.evaluate import predict_oracle, score
    from quantcore.numerics import get_profile
    from quantcore.oracle import Oracle

    images = prepared.images
    with Oracle(get_profile(numerics).resolver) as oracle, progress("oracle", len(images)) as advance:
        expected = predict_oracle(model, images, oracle, advance=advance)
        name = oracle_line(oracle.about)
    theirs = score(expected, labels)
    return {
        "oracle": name,
        "accuracy": theirs.accuracy,
        "scores": expected.size,
        "differing_scores": int(differing(scores, expected).sum()),
        "differing_predictions": int((scores.argmax(axis=1) != theirs.predictions).sum()),
    }


def as_dict(
    model: str,
    data: str,
    numerics: str,
    found: Evaluation,
    prepared: Prepared,
    compared: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "model": model,
        "data": data,
        "numerics": numerics,
        "assumptions": prepared.assumptions,
        "samples": found.samples,
        "classes": found.classes,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "top5": found.top5,
        "confusion_matrix": found.confusion,
        "classification_report": found.report,
        "oracle": compared,
    }


def print_tables(
    model: str, data: str, found: Evaluation, prepared: Prepared, compared: dict[str, Any] | None
) -> None:
    """Print the measures for people."""
    from quantcore.cli._classification import print_confusion, print_report
    from quantcore.cli._tables import print_fields

    rows = [("model", model), ("data", f"{data}: {found.samples} images, {found.classes} classes")]
    rows += [("assumed", assumption) for assumption in prepared.assumptions]
    rows.append(("accuracy", f"{found.accuracy:.4%} ({found.correct} of {found.samples})"))
    if found.top5 is not None:
        rows.append(("top-5 accuracy", f"{found.top5:.4%}"))
    if compared is not None:
        rows.append(("oracle", f"{compared['oracle']}: accuracy {compared['accuracy']:.4%}"))
        differing = f"{compared['differing_scores']:,} of {compared['scores']:,}"
        rows.append(("differing scores", f"{differing}, {compared['differing_predictions']} predictions"))
    print_fields(rows)
    if found.classes <= MANY_CLASSES:
        print_confusion(found.confusion)
        print_report(found.report)
    else:
        print(f"\n{found.classes} classes: the confusion matrix and the report per class are in --json")
