"""``tf.lite.TFLiteConverter`` by mode, as the worker runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MODES", "convert_file"]

# mode: (optimize, needs representative data, integer-only with this input and output dtype, float16 weights)
MODES: dict[str, tuple[bool, bool, str | None, bool]] = {
    "float": (False, False, None, False),
    "dynamic_range": (True, False, None, False),
    "float_fallback": (True, True, None, False),
    "int8": (True, True, "int8", False),
    "uint8": (True, True, "uint8", False),
    "float16": (True, False, None, True),
    "int16x8": (True, True, "int16", False),
    "int16x8_float_io": (True, True, "float32", False),
}
INT16X8 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"


def convert_file(path: str, mode: str, representative: list[np.ndarray]) -> bytes:
    """Return the ``.tflite`` bytes of a saved model; imports TensorFlow.

    Parameters
    ----------
    path : str
        A ``.keras`` or ``.h5`` file, or a SavedModel folder.
    mode : str
        One of ``MODES``.
    representative : list of ndarray
        One array per model input, stacked along the first axis; fed one sample (batch of 1) at a time.
    """
    tf: Any = importlib.import_module("tensorflow")
    optimize, calibrated, io_type, half = MODES[mode]
    if Path(path).is_dir():
        converter = tf.lite.TFLiteConverter.from_saved_model(path)
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.models.load_model(path, compile=False))
    if optimize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibrated:
        converter.representative_dataset = _feed(representative)
    if io_type is not None:
        kernels = INT16X8 if mode.startswith("int16x8") else "TFLITE_BUILTINS_INT8"
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, kernels)]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, io_type)
    if half:
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _feed(arrays: list[np.ndarray]) -> Callable[[], Iterator[list[np.ndarray]]]:
    def samples() -> Iterator[list[np.ndarray]]:
        for i in range(len(arrays[0])):
            yield [array[i : i + 1] for array in arrays]

    return samples
