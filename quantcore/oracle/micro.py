"""TensorFlow Lite Micro's interpreter as the worker drives it. Refusals are ValueError.

Unlike TFLite it takes every shape from the file (inputs cannot be resized, and shapes of outputs must be
stored), knows no signatures, and prints its reasons to stderr, from where they are read back.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from quantcore.oracle.lite import select_inputs
from quantcore.oracle.packages import MICRO_PACKAGE, installed_version

__all__ = ["MicroBackend", "MicroSession"]

# The default, ten times the file's size, is too little for small files with large activations. The memory
# that is not used is never touched, and costs nothing.
ARENA_BYTES = 1 << 30

STDERR = 2


class MicroBackend:
    """The interpreter of ``tflite_micro``."""

    def __init__(self) -> None:
        package: Any = importlib.import_module(MICRO_PACKAGE)
        self.runtime = package.runtime
        self.version = installed_version(MICRO_PACKAGE)

    def open(self, data: bytes, header: dict[str, Any]) -> MicroSession:
        """Return a new interpreter for a model."""
        if header["signature"] is not None:
            raise ValueError("TensorFlow Lite Micro enters a model by its first subgraph only")
        if data[4:8] != b"TFL3":  # nothing in TFLM checks
            raise ValueError("the file is not a TFLite model: its identifier is not TFL3")
        with _explained():
            graph = self.runtime.schema_fb.Model.GetRootAsModel(data, 0).Subgraphs(0)
            interpreter = self.runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
            return MicroSession(interpreter, graph)


class MicroSession:
    """One interpreter that takes samples one after the other."""

    can_reset = True

    def __init__(self, interpreter: Any, graph: Any) -> None:
        self.interpreter = interpreter
        self.input_names = _names(graph, [graph.Inputs(k) for k in range(graph.InputsLength())])
        outputs = [graph.Outputs(k) for k in range(graph.OutputsLength())]
        self.output_names = _names(graph, outputs)
        self.empty = [0 in [graph.Tensors(t).Shape(d) for d in range(graph.Tensors(t).ShapeLength())]
                      for t in outputs]  # fmt: skip

    def run(self, names: list[str] | None, values: list[np.ndarray], *, reset: bool) -> list[np.ndarray]:
        """Return the outputs for one sample; `reset` gives it fresh variable tensors."""
        order = select_inputs(self.input_names, names, len(values))
        with _explained():
            if reset:
                self.interpreter.reset()
            for k, value in zip(order, values, strict=True):
                self.interpreter.set_input(value, k)
            self.interpreter.invoke()
            return [self._fetch(k) for k in range(len(self.output_names))]

    def _fetch(self, k: int) -> np.ndarray:
        if self.empty[k]:  # there is no memory to read
            details = self.interpreter.get_output_details(k)
            return np.empty(tuple(details["shape"]), details["dtype"])
        return np.asarray(self.interpreter.get_output(k))


def _names(graph: Any, tensors: list[int]) -> list[str]:
    return [(graph.Tensors(t).Name() or b"").decode(errors="replace") for t in tensors]


@contextmanager
def _explained() -> Iterator[None]:
    """Make whatever TFLM raises a ValueError that also says what it has printed."""
    before = os.fstat(STDERR).st_size
    try:
        yield
    except Exception as error:  # its schema code raises whatever damaged offsets lead to
        printed = os.pread(STDERR, max(0, os.fstat(STDERR).st_size - before), before)
        said = printed.decode(errors="replace").strip()
        reason = str(error) or type(error).__name__
        raise ValueError(f"{said} ({reason})" if said else reason) from None
