"""The models that the benchmarks measure: those of a folder, and networks of Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from quantcore.graph import Model

__all__ = ["FOLDER", "folder_models", "is_float", "keras_network"]

FOLDER = "QUANTCORE_MODELS"
MAKE = """
import sys, keras
name, size, classes, path = sys.argv[1:]
keras.utils.set_random_seed(0)
build = getattr(keras.applications, name)
build(weights=None, input_shape=(int(size), int(size), 3), classes=int(classes)).save(path)
"""


def folder_models() -> list[Path]:
    """Return the ``.tflite`` files of the folder that the variable names; none without it."""
    folder = os.environ.get(FOLDER)
    return sorted(Path(folder).glob("*.tflite")) if folder else []


def is_float(model: Model) -> bool:
    """Whether the model has float activations; its weights may be int8 already."""
    main = model.subgraphs[0]
    return not any(t.is_quantized and not t.is_constant for t in main.tensors) and all(
        main.tensors[t].dtype == "float32" for t in main.inputs
    )


def keras_network(name: str, size: int, folder: Path, classes: int = 1000) -> Path:
    """Return a network of ``keras.applications``, saved with seeded random weights by another process."""
    path = folder / f"{name}.keras"
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", MAKE, name, str(size), str(classes), str(path)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return path
