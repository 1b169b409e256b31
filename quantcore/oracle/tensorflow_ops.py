"""Functions of TensorFlow, called by name on arrays, as the worker runs them."""

from __future__ import annotations

import importlib
from functools import reduce
from typing import Any

import numpy as np

__all__ = ["OtherThreads", "call_functions"]

# How the numbers of TensorFlow's quantized dtypes are passed on
PLAIN = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}


class OtherThreads(Exception):
    """TensorFlow's threads in this process are of another number, which cannot change any more."""


def call_functions(
    calls: list[dict[str, Any]], arrays: list[np.ndarray], num_threads: int
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Call functions; return a report per call and all their results in turn.

    Parameters
    ----------
    calls : list of dict
        ``name`` below ``tf.``, and ``arguments`` by name: ``{"array": index}``, with ``dtype`` where the
        array holds a quantized dtype, or ``{"value": plain value}``.
    arrays : list of ndarray
    num_threads : int
        Intra-op threads.

    Returns
    -------
    list of dict
        ``results``: how many arrays the call gave; or ``refused``: why there are none.
    list of ndarray
        Quantized dtypes as integers of their width, bfloat16 as float32.
    """
    tf: Any = importlib.import_module("tensorflow")
    set_threads(tf, num_threads)
    reports: list[dict[str, Any]] = []
    results: list[np.ndarray] = []
    for call in calls:
        try:
            found = call_function(tf, call, arrays)
        except Exception as error:  # whatever TensorFlow raises is its answer
            reports.append({"refused": f"{type(error).__name__}: {error}"})
        else:
            reports.append({"results": len(found)})
            results += found
    return reports, results


def set_threads(tf: Any, num_threads: int) -> None:
    """Set the number of intra-op threads, on which the order of float sums depends."""
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != num_threads:
        try:
            threading.set_intra_op_parallelism_threads(num_threads)
        except RuntimeError as error:
            raise OtherThreads from error


def call_function(tf: Any, call: dict[str, Any], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Call one function and return its results as plain arrays."""
    function = reduce(getattr, call["name"].split("."), tf)
    arguments = {name: argument(tf, given, arrays) for name, given in call["arguments"].items()}
    return [plain(tf, result) for result in tf.nest.flatten(function(**arguments))]


def argument(tf: Any, given: dict[str, Any], arrays: list[np.ndarray]) -> Any:
    """Return an argument as the function takes it."""
    if "array" not in given:
        return given["value"]
    array = arrays[given["array"]]
    return tf.bitcast(array, given["dtype"]) if "dtype" in given else array


def plain(tf: Any, result: Any) -> np.ndarray:
    """Return a result as an array of NumPy's own dtypes."""
    result = tf.convert_to_tensor(result)
    if result.dtype == tf.bfloat16:
        result = tf.cast(result, tf.float32)
    stored = PLAIN.get(result.dtype.name)
    return np.asarray((tf.bitcast(result, stored) if stored else result).numpy())
