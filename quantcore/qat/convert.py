"""`convert`: from a trained model to a quantized ``.tflite``."""

from __future__ import annotations

import tempfile
from typing import Any

from quantcore.errors import QuantizationError
from quantcore.flatbuffer import read_model, write_model
from quantcore.oracle import Oracle
from quantcore.qat.calibrate import check_ranges
from quantcore.qat.checks import check_prepared
from quantcore.qat.export import export_saved_model
from quantcore.quantizer.quantize import quantize_model

__all__ = ["ENGINES", "IO", "convert"]

ENGINES = ("tflite", "quantcore")
# Dtype of inputs and outputs: the mode of the oracle
IO = {"int8": "int8_trained", "uint8": "uint8_trained", "float32": "float_fallback_trained"}


def convert(model: Any, engine: str = "tflite", io: str = "int8", *, oracle: Oracle | None = None) -> bytes:
    """Return a prepared model as a quantized ``.tflite`` file, with the ranges that it has.

    Parameters
    ----------
    model : keras.Model
        From `prepare`, trained or calibrated.
    engine : {"tflite", "quantcore"}
        Who quantizes: TensorFlow Lite's converter, or `quantcore.quantize_model`, for which the converter
        only translates the float model. Both give the same model.
    io : {"int8", "uint8", "float32"}
        Dtype of inputs and outputs.
    oracle : Oracle, optional
        Whose process runs the converter, for several conversions; default: one that ends afterwards.

    Returns
    -------
    bytes
        A model for a batch of 1, whose shapes are all known.

    Raises
    ------
    QuantizationError
        The model is not prepared; a layer, which is named, has no range yet, or a useless one; `io` wants
        integers of a layer that is left in float.
    OracleUnavailable, OracleRefused, OracleCrashed
        The converter is not installed, or failed.

    Examples
    --------
    >>> Path("model.tflite").write_bytes(qat.convert(model))              # doctest: +SKIP
    """
    if engine not in ENGINES:
        raise QuantizationError(f"engine is {engine!r}; expected {' or '.join(map(repr, ENGINES))}")
    if io not in IO:
        raise QuantizationError(f"io is {io!r}; expected {', '.join(map(repr, IO))}")
    check_prepared(model)
    check_ranges(model)
    if oracle is None:
        with Oracle() as started:
            return _convert(model, engine, io, started)
    return _convert(model, engine, io, oracle)


def _convert(model: Any, engine: str, io: str, oracle: Oracle) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        export_saved_model(model, folder)
        data = oracle.convert(folder, IO[io] if engine == "tflite" else "float_trained")
    if engine == "quantcore":
        data = write_model(quantize_model(data, io=io, allow_float=True))
    _check_ends(data, io)
    return data


def _check_ends(data: bytes, io: str) -> None:
    """Refuse a model whose inputs and outputs are not as asked, which the converter does not say."""
    subgraph = read_model(data).subgraphs[0]
    for number in (*subgraph.inputs, *subgraph.outputs):
        tensor = subgraph.tensors[number]
        if tensor.dtype != io:
            raise QuantizationError(
                f"{tensor.name!r} at an end of the model is {tensor.dtype}, since layers that are left in "
                f"float stand there; io is {io!r}: quantize them, or convert with io='float32'"
            )
