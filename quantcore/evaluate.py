"""How good a classifier is: predictions over a whole data set, and scikit-learn's measures of them.

The evaluation loop of TensorFlow's post-training quantization tutorials, for any classifier, in batches.
The class with the largest score is the prediction; of equal scores, the lowest class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.graph import Model
from quantcore.images import classifier_tensors
from quantcore.oracle import Oracle
from quantcore.oracle.prepared import Prepared
from quantcore.runtime import Interpreter

__all__ = ["Evaluation", "predict", "predict_oracle", "score"]

CHUNK = 256  # images of the first movement of the progress bar
CHUNK_SECONDS = 0.1  # which a movement takes from then on: threads begin and end with each
TOP = 5

Advance = Callable[[int], None]


@dataclass(slots=True)
class Evaluation:
    """How good the predictions are.

    Attributes
    ----------
    samples, classes, correct : int
    accuracy : float
    top5 : float or None
        Share of samples whose label is among the five largest scores; None up to five classes. Of equal
        scores, that of the lower class counts as larger.
    confusion : ndarray of int64, shape (classes, classes)
        Row: label; column: prediction.
    report : dict
        `sklearn.metrics.classification_report` as a dict.
    predictions : ndarray of int64, shape (samples,)
    """

    samples: int
    classes: int
    correct: int
    accuracy: float
    top5: float | None
    confusion: np.ndarray
    report: dict[str, Any]
    predictions: np.ndarray


def predict(
    model: Model,
    images: np.ndarray,
    *,
    numerics: str = "reference",
    num_threads: int | None = None,
    advance: Advance | None = None,
) -> np.ndarray:
    """Return the scores, shape (samples, classes), of our interpreter for prepared images.

    By default there is a thread per core. The scores do not depend on how many there are.
    """
    interpreter = Interpreter(model, numerics, num_threads)
    batch = classifier_tensors(model)[0].shape[0]
    return in_chunks(interpreter.run, images, batch, advance)


def predict_oracle(
    model: Model, images: np.ndarray, oracle: Oracle, *, advance: Advance | None = None
) -> np.ndarray:
    """Return the scores of TensorFlow Lite's interpreter for prepared images.

    As for `verify`, operators have versions that the resolver registers; see `quantcore.oracle.registered`.
    """
    batch = classifier_tensors(model)[0].shape[0]
    prepared = Prepared(model).for_resolver(oracle.resolver)

    def run(chunk: np.ndarray) -> np.ndarray:
        samples = list(chunk.reshape(-1, batch, *chunk.shape[1:]))
        return np.concatenate(
            [outputs[0] for outputs in oracle.run_prepared(prepared, samples, keep_state=False)]
        )

    return in_chunks(run, images, batch, advance)


def in_chunks(
    run: Callable[[np.ndarray], np.ndarray], images: np.ndarray, batch: int, advance: Advance | None
) -> np.ndarray:
    """Run images piece by piece; the last batch is filled up with its last image."""
    if len(images) == 0:
        raise QuantcoreError("there are no images")
    step = -(-CHUNK // batch) * batch
    start, results = 0, []
    while start < len(images):
        chunk = images[start : start + step]
        start += step
        missing = -len(chunk) % batch
        filled = np.concatenate([chunk, np.repeat(chunk[-1:], missing, axis=0)]) if missing else chunk
        began = time.perf_counter()
        results.append(run(filled)[: len(chunk)])
        if time.perf_counter() - began < CHUNK_SECONDS / 2:
            step *= 2
        if advance is not None:
            advance(len(chunk))
    return np.concatenate(results)


def score(scores: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Compare scores with labels.

    Parameters
    ----------
    scores : ndarray, shape (samples, classes)
        Quantized scores may stay quantized: only their order matters.
    labels : ndarray of int, shape (samples,), or one-hot, shape (samples, classes)

    Raises
    ------
    QuantcoreError
        Labels that do not fit the scores, or are out of range.
    """
    from sklearn.metrics import classification_report, confusion_matrix

    scores = scores.reshape(len(scores), -1)
    classes = scores.shape[1]
    truth = class_indices(labels, len(scores), classes)
    predictions = scores.argmax(axis=1)
    own = scores[np.arange(len(scores)), truth][:, None]
    # How many classes stand before the label: larger scores, and equal ones of lower classes.
    before = (scores > own) | ((scores == own) & (np.arange(classes) < truth[:, None]))
    correct = int(np.count_nonzero(predictions == truth))
    everything = list(range(classes))
    return Evaluation(
        samples=len(scores),
        classes=classes,
        correct=correct,
        accuracy=correct / len(scores),
        top5=float((before.sum(axis=1) < TOP).mean()) if classes > TOP else None,
        confusion=confusion_matrix(truth, predictions, labels=everything),
        report=classification_report(
            truth, predictions, labels=everything, output_dict=True, zero_division=0.0
        ),
        predictions=predictions,
    )


def class_indices(labels: np.ndarray, samples: int, classes: int) -> np.ndarray:
    """Return labels as class indices, shape (samples,)."""
    if labels.shape == (samples, classes) and classes > 1:
        return np.asarray(labels.argmax(axis=1))
    if labels.size != samples or labels.shape[:1] != (samples,):
        raise QuantcoreError(f"labels have shape {labels.shape} for {samples} images; expected ({samples},)")
    flat = labels.reshape(-1)
    if flat.dtype.kind not in "biuf" or not np.array_equal(flat, np.floor(flat)):
        raise QuantcoreError(f"labels have dtype {flat.dtype}; expected class indices")
    indices = flat.astype(np.int64)
    wrong = np.flatnonzero((indices < 0) | (indices >= classes))
    if wrong.size:
        raise QuantcoreError(
            f"label {indices[wrong[0]]} of image {wrong[0]} is not a class; the model has {classes}, from 0"
        )
    return indices
