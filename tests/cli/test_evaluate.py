"""``quantcore evaluate``, and what it assumes about images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantcore.evaluate import predict, score
from quantcore.graph import Model
from quantcore.images import prepare_images
from tests.cli.conftest import CLASSES, Cli, classifier_model
from tests.ops.harness import op_model, tensor


def test_measures(cli: Cli, classifier: Path, data: Path) -> None:
    found = cli("evaluate", classifier, "--data", data, "--json").json()
    assert (found["samples"], found["correct"], found["accuracy"]) == (10, 9, 0.9)
    assert found["top5"] is None
    # Labels 0, 1, 2, 0, ... of which the last, a 0, was relabelled 1.
    assert found["confusion_matrix"] == [[3, 0, 0], [1, 3, 0], [0, 0, 3]]
    assert found["classification_report"]["1"]["recall"] == 0.75
    assert any("0..1" in assumption for assumption in found["assumptions"])


def test_tables(cli: Cli, classifier: Path, data: Path) -> None:
    result = cli("evaluate", classifier, "--data", data, "--threads", "2")
    assert (result.code, result.err) == (0, "")
    for part in ("90.0000% (9 of 10)", "confusion matrix", "f1-score", "assumed"):
        assert part in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_named_arrays(cli: Cli, classifier: Path, data: Path, tmp_path: Path) -> None:
    with np.load(data) as arrays:
        one_hot = np.eye(CLASSES)[arrays["labels"]]
        np.savez(tmp_path / "renamed.npz", photos=arrays["images"][..., None], tags=one_hot)
    words = ("--data", tmp_path / "renamed.npz", "--images", "photos", "--labels", "tags")
    found = cli("evaluate", classifier, *words, "--json").json()
    assert found["correct"] == 9
    assert any("reshaped" in assumption for assumption in found["assumptions"])


@pytest.mark.oracle
def test_oracle(cli: Cli, classifier: Path, data: Path) -> None:
    result = cli("evaluate", classifier, "--data", data, "--oracle", "--json")
    assert result.code == 0
    compared = result.json()["oracle"]
    assert (compared["accuracy"], compared["differing_scores"], compared["scores"]) == (0.9, 0, 30)


def input_model(dtype: str, scale: float | None = None, zero_point: int = 0, *, batch: int = 1) -> Model:
    """Return a model of which only the input, of two pixels, matters."""
    x, y = (tensor((batch, 2), dtype, scale, zero_point) for _ in range(2))
    return op_model("RELU", [x], [y])


@pytest.mark.parametrize(
    ("model", "images", "expected"),
    [
        # float input: pixels become 0..1, floats are left alone
        (input_model("float32"), np.uint8([[0, 255]]), np.float32([[0, 1]])),
        (input_model("float32"), np.float64([[0.25, 7]]), np.float32([[0.25, 7]])),
        # int8 over 0..1, -1..1 and 0..255, all guessed from scale and zero point
        (input_model("int8", 1 / 255, -128), np.uint8([[0, 255]]), np.int8([[-128, 127]])),
        (input_model("int8", 2 / 255, -1), np.uint8([[0, 255]]), np.int8([[-128, 126]])),
        (input_model("int8", 1.0, -128), np.uint8([[3, 255]]), np.int8([[-125, 127]])),
        # uint8 pixels for a uint8 input of 0..1 are themselves
        (input_model("uint8", 1 / 255, 0), np.uint8([[3, 254]]), np.uint8([[3, 254]])),
        # int8 images for an int8 input are quantized already
        (input_model("int8", 0.5, 3), np.int8([[-7, 7]]), np.int8([[-7, 7]])),
        # floats are quantized: 0.5 / 0.5 + 3; saturating
        (input_model("int8", 0.5, 3), np.float32([[0.5, 1e9]]), np.int8([[4, 127]])),
    ],
)
def test_preparation(model: Model, images: np.ndarray, expected: np.ndarray) -> None:
    prepared = prepare_images(model, images).images
    assert prepared.dtype == expected.dtype
    np.testing.assert_array_equal(prepared, expected)


def test_pixel_range_on_request() -> None:
    prepared = prepare_images(input_model("float32"), np.uint8([[0, 255]]), (-1.0, 1.0))
    np.testing.assert_array_equal(prepared.images, np.float32([[-1, 1]]))


def test_batched_model_is_filled_up() -> None:
    model = input_model("float32", batch=4)
    images = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
    np.testing.assert_array_equal(predict(model, images), np.maximum(images, 0))


def test_progress_counts_every_image() -> None:
    images = np.zeros((1000, 2, 2), np.int8)
    counted: list[int] = []
    predict(classifier_model(), images, advance=counted.append)
    assert sum(counted) == 1000
    assert len(counted) > 1


def test_top5_counts_equal_scores_once() -> None:
    scores = np.zeros((7, 7), np.int8)  # all equal: classes 0 to 4 come first
    found = score(scores, np.arange(7))
    assert found.top5 == 5 / 7
    assert found.accuracy == 1 / 7
