"""The oracle's side: ``python -m quantcore.oracle.worker FD PACKAGE`` serves requests on a socket.

Only here, in the modules that this one uses, are TensorFlow, ai-edge-litert and tflite-micro imported. Every
``run`` builds its own interpreter and destroys it before it answers: nothing (variable tensors, resized
shapes) survives from one call to the next, and a heap that the interpreter has corrupted shows up in the call
that did it.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import traceback
from typing import Any

import numpy as np

from quantcore.oracle import protocol
from quantcore.oracle.lite import LiteBackend
from quantcore.oracle.micro import MicroBackend
from quantcore.oracle.packages import MICRO_PACKAGE

__all__ = ["main"]

Message = tuple[dict[str, Any], list[np.ndarray]]


def refused(reason: str) -> dict[str, Any]:
    """Return the reply that passes on why TFLite said no, as one line."""
    return {"status": "refused", "reason": " ".join(reason.split())}


class Worker:
    """Answers requests with the interpreter of one package."""

    def __init__(self, package: str) -> None:
        self.models: dict[str, bytes] = {}
        self.backend = MicroBackend() if package == MICRO_PACKAGE else LiteBackend(package)
        self.observing: Any = None

    def answer(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Return the reply to one request."""
        command = header["command"]
        if command == "hello":
            return {"status": "ok", "version": self.backend.version}, []
        if command == "load":
            self.models[header["model"]] = arrays[0].tobytes()
            for key in header["drop"]:
                del self.models[key]
            return {"status": "ok"}, []
        if command == "run":
            return self.run(header, arrays)
        if command in ("convert", "calibrate", "quantize", "functions"):
            answer = {"convert": self.convert, "functions": self.functions}.get(command, self.quantize)
            reply = answer(header, arrays)
            freeze_tensorflow()  # which they have imported
            return reply
        if command in ("observe", "feed", "ranges"):
            return self.observe(header, arrays)
        raise ValueError(f"unknown command {command!r}")

    def run(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Run samples through a loaded model; ``arrays`` holds the inputs of all samples in turn."""
        samples = _samples(header, arrays)
        model = self.models[header["model"]]
        try:
            session = self.backend.open(model, header)
            results = session.run(header["names"], samples[0], reset=True)
            for sample in samples[1:]:
                if not session.can_reset and not header["keep_state"]:
                    session = self.backend.open(model, header)
                results += session.run(header["names"], sample, reset=not header["keep_state"])
            names = session.output_names
        except (ValueError, RuntimeError, KeyError) as error:
            return refused(str(error)), []
        del session
        gc.collect()  # signature runners and interpreters refer to each other
        return {"status": "ok", "names": names}, results

    def convert(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Convert a saved Keras model or SavedModel folder."""
        conversion = importlib.import_module("quantcore.oracle.conversion")
        try:
            data = conversion.convert_file(header["path"], header["mode"], arrays)
        except Exception as error:  # the converter raises whatever TensorFlow's passes raise
            return refused(f"{type(error).__name__}: {error}"), []
        return {"status": "ok"}, [np.frombuffer(data, np.uint8)]

    def quantize(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Calibrate, or quantize, the model in the first array; the other arrays are the samples."""
        quantization = importlib.import_module("quantcore.oracle.quantization")
        data, samples = arrays[0].tobytes(), _samples(header, arrays[1:])
        try:
            if header["command"] == "calibrate":
                result = quantization.calibrate_file(data, samples)
            else:
                result = quantization.quantize_file(data, samples, header["options"])
        except Exception as error:  # as for convert
            return refused(f"{type(error).__name__}: {error}"), []
        return {"status": "ok"}, [np.frombuffer(result, np.uint8)]

    def functions(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Call functions of TensorFlow; the reply has a report for each."""
        tensorflow_ops = importlib.import_module("quantcore.oracle.tensorflow_ops")
        try:
            reports, results = tensorflow_ops.call_functions(header["calls"], arrays, header["num_threads"])
        except tensorflow_ops.OtherThreads:
            return {"status": "other threads"}, []
        return {"status": "ok", "reports": reports}, results

    def observe(self, header: dict[str, Any], arrays: list[np.ndarray]) -> Message:
        """Start to observe the model in the array; feed it a sample; return the ranges and end."""
        try:
            if header["command"] == "observe":
                observing = importlib.import_module("quantcore.oracle.observing")
                self.observing = observing.Observing(self.backend, arrays[0].tobytes(), header)
                return {"status": "ok"}, []
            if self.observing is None:
                return {"status": "failed", "reason": "no model is observed"}, []
            if header["command"] == "feed":
                return self.observing.feed(arrays), []
            result: Message = self.observing.result()
        except (ValueError, RuntimeError) as error:
            return refused(str(error)), []
        self.observing = None
        gc.collect()
        return result


def freeze_tensorflow() -> None:
    """Have collecting not walk the objects of imported packages each time: TensorFlow's take 0.2 s."""
    gc.collect()
    gc.freeze()


def _samples(header: dict[str, Any], arrays: list[np.ndarray]) -> list[list[np.ndarray]]:
    step = header["inputs_per_sample"]
    return [arrays[i * step : (i + 1) * step] for i in range(header["samples"])]


def main() -> None:
    """Serve requests on the inherited socket until it is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    worker = Worker(sys.argv[2])
    freeze_tensorflow()
    while True:
        try:
            header, arrays = protocol.receive(channel)
        except EOFError:
            os._exit(0)  # no interpreter is alive; skipping TensorFlow's teardown saves seconds
        try:
            reply, results = worker.answer(header, arrays)
        except Exception:  # whatever it is, the parent must hear of it
            reply, results = {"status": "failed", "reason": traceback.format_exc()}, []
        protocol.send(channel, reply, results)


if __name__ == "__main__":
    main()
