"""Whether Keras is there, and on which backend."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from quantcore.errors import OracleUnavailable, QuantizationError

__all__ = ["check_backend"]


def check_backend() -> None:
    """Refuse to work without Keras 3 on TensorFlow.

    Raises
    ------
    OracleUnavailable
        Keras or TensorFlow is not installed.
    QuantizationError
        Keras has another backend.
    """
    try:
        keras: Any = import_module("keras")
    except ImportError as error:
        raise OracleUnavailable(
            f"quantization-aware training needs Keras 3 and TensorFlow ({error}): pip install tensorflow"
        ) from error
    backend = keras.backend.backend() if keras.__version__.startswith("3.") else "Keras 2"
    if backend != "tensorflow":
        raise QuantizationError(
            f"Keras runs on {backend}; quantization-aware training needs Keras 3 on TensorFlow: set the "
            "environment variable KERAS_BACKEND=tensorflow before Keras is imported"
        )
