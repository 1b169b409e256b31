"""The images to learn from: scikit-learn's handwritten digits, or MNIST from a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.files import read_arrays

__all__ = ["DataSet", "load_digits", "load_mnist"]

DIGITS_MAX = 16.0  # scikit-learn's digits are counts in 0..16
MNIST_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(slots=True)
class DataSet:
    """Images, float32 in 0..1 of shape (samples, height, width), and labels, int64 in 0..9."""

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits(seed: int) -> DataSet:
    """Return the 1797 digits of 8 x 8 pixels that come with scikit-learn; a quarter is held out."""
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    digits = sklearn_digits()
    images = (digits.images / DIGITS_MAX).astype(np.float32)
    labels = digits.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.25, random_state=seed, stratify=labels
    )
    return DataSet("digits of scikit-learn", train_images, train_labels, test_images, test_labels)


def load_mnist(path: str | os.PathLike[str]) -> DataSet:
    """Read MNIST from an ``mnist.npz`` as Keras distributes it.

    Raises
    ------
    QuantcoreError
        The file lacks an array, or one has another shape than MNIST's.
    """
    arrays = read_arrays(path)
    missing = [key for key in MNIST_KEYS if key not in arrays]
    if missing:
        found = ", ".join(arrays) or "nothing"
        expected = ", ".join(MNIST_KEYS)
        raise QuantcoreError(f"{path}: no array {', '.join(missing)}; expected {expected}; found {found}")
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or not len(labels):
            raise QuantcoreError(
                f"{path}: x_{part} has shape {images.shape} and y_{part} {labels.shape}; "
                "expected (samples, 28, 28) and (samples,)"
            )
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
            raise QuantcoreError(f"{path}: y_{part} is {labels.dtype}; expected digits 0 to 9 as integers")
    return DataSet(
        f"MNIST from {path}",
        unit_range(arrays["x_train"]),
        arrays["y_train"].astype(np.int64),
        unit_range(arrays["x_test"]),
        arrays["y_test"].astype(np.int64),
    )


def unit_range(images: np.ndarray) -> np.ndarray:
    """Return pixels of 0..255 as float32 in 0..1; floats are left as they are."""
    if images.dtype.kind in "iu":
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32)
