"""TensorFlow's calibrator and quantizers for a float ``.tflite``, as the worker runs them.

``TFLiteConverter.convert`` ends in these two steps; here they start from a file, in the order and with the
arguments of ``tensorflow/lite/python/lite.py`` (``TFLiteConverterBase._quantize``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["calibrate_file", "quantize_file"]

Samples = list[list[np.ndarray]]


def calibrate_file(data: bytes, samples: Samples) -> bytes:
    """Return the model with the range of each float tensor in its quantization record.

    Tensors for values inside of LSTM operators are added first, as the converter does.
    """
    return _calibrate(data, samples)[1]


def quantize_file(data: bytes, samples: Samples, options: dict[str, Any]) -> bytes:
    """Return the quantized model.

    Parameters
    ----------
    data : bytes
        A float model; without samples one that holds ranges, as `calibrate_file` returns it.
    samples : list of list of ndarray
        One array per input of the graph.
    options : dict
        ``mode`` (``int8`` or ``int16x8``), ``io`` (dtype of inputs and outputs), ``allow_float``,
        ``per_channel``, ``per_channel_dense``, ``denylisted_ops`` and ``denylisted_nodes`` (lists of str).
    """
    tf: Any = importlib.import_module("tensorflow")
    io_type = getattr(tf, options["io"])
    if options["mode"] == "int16x8":
        calibrator, _ = _calibrate(data, samples)
        quantized = calibrator.calibrate_and_quantize(
            _feed(samples),
            io_type,
            io_type,
            options["allow_float"],
            activations_type=tf.int16,
            bias_type=tf.int64,
            disable_per_channel=not options["per_channel"],
            disable_per_channel_quantization_for_dense_layers=not options["per_channel_dense"],
        )
        return bytes(quantized)
    convert: Any = importlib.import_module("tensorflow.lite.python.convert")
    quantized = convert.mlir_quantize(
        _calibrate(data, samples)[1] if samples else data,
        not options["per_channel"],
        input_data_type=io_type,
        output_data_type=io_type,
        denylisted_ops=set(options["denylisted_ops"]) or None,
        denylisted_nodes=set(options["denylisted_nodes"]) or None,
        disable_per_channel_for_dense_layers=not options["per_channel_dense"],
    )
    return bytes(quantized)


def _calibrate(data: bytes, samples: Samples) -> tuple[Any, bytes]:
    optimize: Any = importlib.import_module("tensorflow.lite.python.optimize.calibrator")
    calibrator = optimize.Calibrator(optimize.add_intermediate_tensors(data))
    return calibrator, bytes(calibrator.calibrate(_feed(samples)))


def _feed(samples: Samples) -> Callable[[], Iterator[list[np.ndarray]]]:
    return lambda: iter(samples)
