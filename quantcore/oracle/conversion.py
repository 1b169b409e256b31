"""``tf.lite.TFLiteConverter`` by mode, as the worker runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.oracle.fake_quantizations import fake_quantizations, has_pairs, with_ranges

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
    # Quantization-aware networks: with the ranges that fake quantization was trained with
    "float_trained": (False, False, None, False),
    "int8_trained": (True, False, "int8", False),
    "uint8_trained": (True, False, "uint8", False),
    "float_fallback_trained": (True, False, "float32", False),
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
    loaded = None if Path(path).is_dir() else tf.keras.models.load_model(path, compile=False)
    if loaded is None:
        converter = tf.lite.TFLiteConverter.from_saved_model(path)
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(loaded)
    if optimize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibrated:
        converter.representative_dataset = _feed(representative)
    if io_type is not None:
        if calibrated:
            kernels = INT16X8 if mode.startswith("int16x8") else "TFLITE_BUILTINS_INT8"
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, kernels)]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, io_type)
    if half:
        converter.target_spec.supported_types = [tf.float16]
    data = bytes(converter.convert())
    if mode != "float_trained" or not has_pairs(data):
        return data
    return with_ranges(data, fake_quantizations(tf, _frozen(tf, path, loaded)))


def _frozen(tf: Any, path: str, model: Any) -> Any:
    """Return the graph of a Keras model or, without one, of the SavedModel at `path`, without variables."""
    freezing: Any = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    loaded = tf.saved_model.load(path) if model is None else model  # whose variables live as long as it
    if model is None:
        function = next(iter(loaded.signatures.values()))
    else:
        inputs = [tf.TensorSpec(x.shape, x.dtype) for x in model.inputs]
        call = tf.function(lambda *arrays: model(list(arrays) if len(arrays) > 1 else arrays[0]))
        function = call.get_concrete_function(*inputs)
    return freezing.convert_variables_to_constants_v2(function).graph


def _feed(arrays: list[np.ndarray]) -> Callable[[], Iterator[list[np.ndarray]]]:
    def samples() -> Iterator[list[np.ndarray]]:
        for i in range(len(arrays[0])):
            yield [array[i : i + 1] for array in arrays]

    return samples
