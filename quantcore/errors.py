"""The exceptions that quantcore raises on purpose.

Every message says what was found, what was expected, and what to do next. Anything else that
escapes from quantcore is a defect in quantcore.
"""

from __future__ import annotations

__all__ = [
    "KernelError",
    "ModelFormatError",
    "OracleCrashed",
    "OracleError",
    "OracleRefused",
    "OracleUnavailable",
    "QuantcoreError",
    "QuantizationError",
    "TargetError",
    "UnsupportedOperatorError",
]


class QuantcoreError(Exception):
    """Base class of all errors that quantcore raises on purpose."""


class ModelFormatError(QuantcoreError):
    """A file is not a valid ``.tflite`` model.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    path : str, optional
        Table path inside the model, such as ``subgraphs[0].tensors[3].shape``.
    offset : int, optional
        Byte offset in the file at which the fault was found.
    """

    def __init__(self, message: str, path: str | None = None, offset: int | None = None) -> None:
        self.reason = message
        self.path = path
        self.offset = offset
        where = []
        if path:
            where.append(path)
        if offset is not None:
            where.append(f"byte {offset}")
        super().__init__(f"{message} (at {', '.join(where)})" if where else message)


class UnsupportedOperatorError(QuantcoreError):
    """The model uses an operator, version, dtype or option that quantcore does not run.

    Parameters
    ----------
    message : str
        What is missing.
    op : str, optional
        Operator name as in TFLite's ``BuiltinOperator``, such as ``CONV_2D``.
    index : int, optional
        Index of the operator in its subgraph.
    """

    def __init__(self, message: str, op: str | None = None, index: int | None = None) -> None:
        self.reason = message
        self.op = op
        self.index = index
        prefix = ""
        if op is not None:
            prefix = f"operator {index} ({op}): " if index is not None else f"{op}: "
        super().__init__(prefix + message)


class QuantizationError(QuantcoreError, ValueError):
    """Quantization parameters, ranges or samples are unusable, or a model cannot be quantized as asked."""


class KernelError(QuantcoreError, ValueError):
    """A kernel was called with arguments outside its contract."""


class TargetError(QuantcoreError):
    """A program for a microcontroller does not fit or build, or what builds or runs it is missing."""


class OracleError(QuantcoreError):
    """The oracle (TensorFlow Lite) could not give an answer."""


class OracleUnavailable(OracleError):
    """The package that provides the oracle is not installed."""


class OracleRefused(OracleError):
    """The oracle rejected the model or its inputs, and said why."""


class OracleCrashed(OracleError):
    """The oracle's process died.

    Parameters
    ----------
    message : str
        What the oracle was doing.
    signal : str, optional
        Name of the signal that ended it, such as ``SIGSEGV``.
    """

    def __init__(self, message: str, signal: str | None = None) -> None:
        self.signal = signal
        super().__init__(message)
