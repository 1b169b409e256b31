"""The float model that is to be quantized, from whatever a user has: a ``.tflite`` or something of Keras."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from quantcore.errors import OracleUnavailable, QuantizationError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.oracle import convert

__all__ = ["FloatModel", "load_float_model", "tflite_source"]

FloatModel = Any  # Model, path, bytes-like, or a Keras model, whose class is not ours to import
KERAS_STARTS = (b"PK\x03\x04", b"\x89HDF")  # of a .keras file and of an .h5 file
KERAS_SUFFIXES = (".keras", ".h5")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")


def load_float_model(source: FloatModel) -> Model:
    """Return a model in TFLite's form.

    Parameters
    ----------
    source : Model, path, bytes-like or Keras model
        A ``.tflite`` file or its bytes; or, through TensorFlow's conversion without quantization, a
        ``.keras`` or ``.h5`` file, a SavedModel folder, or a Keras model.

    Raises
    ------
    ModelFormatError, OSError
        The file is not a model, or cannot be read.
    OracleUnavailable, OracleRefused, OracleCrashed
        Something of Keras, and TensorFlow is not installed, or cannot convert it.
    QuantizationError
        Nothing of these.

    Notes
    -----
    TensorFlow runs in a process of its own, which ends with the conversion. A Keras model is handed over as a
    ``.keras`` file.
    """
    if isinstance(source, Model):
        return source
    model = read_model(tflite_source(source))
    if isinstance(source, str | os.PathLike):
        model.source = os.fspath(source)
    return model


def tflite_source(source: FloatModel) -> Path | bytes | bytearray | memoryview:
    """Return what `quantcore.load` reads: the path or the bytes of a ``.tflite``; see `load_float_model`."""
    if isinstance(source, bytes | bytearray | memoryview):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if is_saved_model(path) or is_keras_file(path):
            return converted(path, str(path))
        refuse_by_name(path)
        return path
    if is_keras_model(source):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            source.save(path)
            return converted(path, f"the Keras model {source.name!r}")
    raise QuantizationError(
        f"the model is a {type(source).__name__}; expected a quantcore Model, a .tflite file or its bytes, a "
        ".keras or .h5 file, a SavedModel folder, or a Keras model"
    )


def is_saved_model(path: Path) -> bool:
    """Whether `path` is a SavedModel folder."""
    return path.is_dir() and any((path / name).is_file() for name in SAVED_MODEL)


def is_keras_file(path: Path) -> bool:
    """Whether `path` is a file of Keras, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4).startswith(KERAS_STARTS)


def refuse_by_name(path: Path) -> None:
    """Refuse what is meant for TensorFlow, by its name, and is not what TensorFlow reads.

    Raises
    ------
    QuantizationError
    """
    if path.is_dir():
        raise QuantizationError(
            f"{path} is a folder without {SAVED_MODEL[0]}; expected a .tflite, .keras or .h5 file or a "
            "SavedModel"
        )
    if path.suffix in KERAS_SUFFIXES and path.is_file():
        raise QuantizationError(f"{path} is no Keras file; expected a ZIP archive (.keras) or HDF5 (.h5)")


def is_keras_model(source: object) -> bool:
    """Whether `source` is a Keras model; whoever made it has imported Keras."""
    keras = [sys.modules[name] for name in ("keras", "tf_keras") if name in sys.modules]
    return any(isinstance(source, module.Model) for module in keras)


def converted(path: Path, name: str) -> bytes:
    """Return what TensorFlow's converter makes of something of Keras, in float."""
    try:
        return convert(path, "float_trained")
    except OracleUnavailable as error:
        raise OracleUnavailable(
            f"TensorFlow must convert {name} first: {error}; or give a float .tflite file"
        ) from None
