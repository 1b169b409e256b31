"""Ranges of activations, measured in the worker: what `quantcore.calibration` asks of TensorFlow Lite.

The interpreter is set up as TensorFlow's calibrator sets up its own: optimized kernels without delegates,
four threads, and state that lasts from sample to sample. It keeps every tensor, so nothing is overwritten
before it has been measured. Activations stay in this process: inputs come in, ranges go out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.calibration.methods import make_tracker, narrow
from quantcore.calibration.trackers import describe_not_finite
from quantcore.errors import KernelError
from quantcore.kernels.min_max import min_max_call
from quantcore.oracle.lite import EMPTY_TENSOR, LiteBackend

__all__ = ["Observing"]

RESOLVER = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
NUM_THREADS = 4

Message = tuple[dict[str, Any], list[np.ndarray]]


class Observing:
    """A model that samples are fed to, and the ranges of its tensors so far."""

    def __init__(self, backend: LiteBackend, data: bytes, header: dict[str, Any]) -> None:
        self.interpreter = backend.interpreter(
            data, RESOLVER, NUM_THREADS, experimental_preserve_all_tensors=True
        )
        self.tensors: list[int] = header["tensors"]
        self.state: list[int] = header["state"]
        self.ends = {t: np.array([[np.inf], [-np.inf]], np.float32) for t in self.tensors}
        self.trackers = {int(t): make_tracker(method) for t, method in header["methods"].items()}
        self.shapes: list[tuple[int, ...]] | None = None

    def feed(self, arrays: list[np.ndarray]) -> dict[str, Any]:
        """Run one sample, its inputs in order, and measure every tensor."""
        self._prepare([array.shape for array in arrays])
        for detail, array in zip(self.interpreter.get_input_details(), arrays, strict=True):
            self.interpreter.set_tensor(detail["index"], array)
        reply = self._measure(self.state)
        if reply["status"] == "ok":
            self.interpreter.invoke()
            reply = self._measure(self.tensors)
        return reply

    def result(self) -> Message:
        """Return the ends of all tensors, shape (tensors, 2), and by their methods ranges and shares outside.

        The latter have the shape (trackers, 3); NaN stands for a share that is not known.
        """
        seen = np.array([self.ends[t][:, 0] for t in self.tensors], np.float32).reshape(-1, 2)
        narrowed = [
            narrow(tracker) if self.ends[t][0] <= self.ends[t][1] else (0, 0, None)
            for t, tracker in self.trackers.items()
        ]
        return {"status": "ok"}, [seen, np.array(narrowed, np.float64).reshape(-1, 3)]

    def _prepare(self, shapes: list[tuple[int, ...]]) -> None:
        if shapes == self.shapes:
            return
        for detail, shape in zip(self.interpreter.get_input_details(), shapes, strict=True):
            if tuple(detail["shape"]) != shape:
                self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()
        self.interpreter.reset_all_variables()
        self.shapes = shapes

    def _measure(self, tensors: list[int]) -> dict[str, Any]:
        """Measure tensors in place. No view may be left when the model runs next."""
        for t in tensors:
            try:
                value = self.interpreter.tensor(t)()
            except ValueError as error:
                if EMPTY_TENSOR in str(error):
                    continue
                raise
            try:
                min_max_call(outer=1, channels=1, inner=value.size)([value], [self.ends[t]])
            except KernelError:
                return {"status": "not finite", "tensor": t, "values": describe_not_finite(value)}
            if t in self.trackers:
                self.trackers[t].update(value)
        return {"status": "ok"}
