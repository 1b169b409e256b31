"""Functions of TensorFlow on arrays, called in an oracle's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quantcore.errors import OracleRefused
from quantcore.oracle.client import Oracle

__all__ = ["Answer", "Call", "call_tensorflow"]

Call = tuple[str, Mapping[str, Any]]
Answer = list[np.ndarray] | OracleRefused


def call_tensorflow(oracle: Oracle, calls: Sequence[Call]) -> list[Answer]:
    """Call functions of TensorFlow, all in one request.

    They run on ``oracle.num_threads`` intra-op threads. That number is fixed for a process: one that has run
    TensorFlow with another is replaced.

    Parameters
    ----------
    oracle : Oracle
        Of the package ``tensorflow``.
    calls : sequence of (name, arguments)
        A name below ``tf.``, as ``"quantization.quantize"`` or ``"raw_ops.QuantizeV2"``, and keyword
        arguments: arrays, which go as they are, dtype included; ``(array, "qint8")`` for integers that stand
        for a quantized dtype; and plain values, names of dtypes among them.

    Returns
    -------
    list of (list of ndarray or OracleRefused)
        The results of each call, those of quantized dtypes as integers of the same width, those of bfloat16
        as float32; where TensorFlow raised an exception, its type and message.

    Raises
    ------
    OracleCrashed, OracleUnavailable, OracleError
        As for `Oracle.run`.

    Examples
    --------
    >>> x = np.array([0.1, 7.0], np.float32)
    >>> [[y]] = call_tensorflow(oracle, [("quantization.fake_quant_with_min_max_args", {"inputs": x})])
    """
    encoded, arrays = encode(calls)
    request = {"command": "functions", "calls": encoded, "num_threads": oracle.num_threads}
    doing = f"calling {len(encoded)} functions of TensorFlow"
    reply, results = oracle.request(request, arrays, doing)
    if reply["status"] == "other threads":
        oracle.close()
        reply, results = oracle.request(request, arrays, doing)
    left = iter(results)
    return [
        OracleRefused(report["refused"])
        if "refused" in report
        else [next(left) for _ in range(report["results"])]
        for report in reply["reports"]
    ]


def encode(calls: Sequence[Call]) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Return the calls as plain values, and the arrays among their arguments in turn."""
    arrays: list[np.ndarray] = []

    def described(value: Any) -> dict[str, Any]:
        array, dtype = value if isinstance(value, tuple) else (value, None)
        if not isinstance(array, np.ndarray | np.generic):
            return {"value": value}
        arrays.append(np.asarray(array))
        where = {"array": len(arrays) - 1}
        return where if dtype is None else {**where, "dtype": dtype}

    encoded = [
        {"name": name, "arguments": {key: described(value) for key, value in arguments.items()}}
        for name, arguments in calls
    ]
    return encoded, arrays
