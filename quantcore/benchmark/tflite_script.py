"""Times TensorFlow Lite. Run as a script, in a process of its own.

Arguments: the import name of the package, ``tensorflow`` or ``ai_edge_litert``, and the resolver. Reads one
JSON object per line from stdin and answers each with one on stdout:

- ``{"path": ..., "threads": n, "inputs": path of an .npz}`` prepares an interpreter in place of the last, its
  inputs resized to the shapes of the arrays;
- ``{"calls": n}`` gives the mean seconds of n calls: set the inputs, invoke, get the outputs; with
  ``"invoke_only": true`` of the middle part alone.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from quantcore.oracle.lite import LiteBackend


class Timed:
    """An interpreter with its inputs."""

    def __init__(self, interpreter: Any, inputs: str) -> None:
        self.interpreter = interpreter
        with np.load(inputs) as arrays:
            values = [arrays[f"input{i}"] for i in range(len(arrays.files))]
        for detail, value in zip(interpreter.get_input_details(), values, strict=True):
            if tuple(detail["shape"]) != value.shape:
                interpreter.resize_tensor_input(detail["index"], value.shape)
        interpreter.allocate_tensors()
        self.inputs = [(d["index"], v) for d, v in zip(interpreter.get_input_details(), values, strict=True)]
        self.outputs = [d["index"] for d in interpreter.get_output_details()]

    def seconds(self, calls: int) -> float:
        """Return the mean time of `calls` calls."""
        interpreter = self.interpreter
        start = time.perf_counter()
        for _ in range(calls):
            for index, value in self.inputs:
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            for index in self.outputs:
                interpreter.get_tensor(index)
        return (time.perf_counter() - start) / calls

    def invoke_seconds(self, calls: int) -> float:
        """Return the mean time of `calls` calls of ``invoke``."""
        invoke = self.interpreter.invoke
        start = time.perf_counter()
        for _ in range(calls):
            invoke()
        return (time.perf_counter() - start) / calls


def main(package: str, resolver: str) -> None:
    """Answer requests until stdin is closed."""
    backend = LiteBackend(package)
    timed: Timed | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "path" in request:
                timed = None
                interpreter = backend.interpreter_class(
                    model_path=request["path"],
                    num_threads=request["threads"],
                    experimental_op_resolver_type=getattr(backend.resolvers, resolver),
                )
                timed = Timed(interpreter, request["inputs"])
            elif timed is not None:
                measure = timed.invoke_seconds if request.get("invoke_only") else timed.seconds
                answer["seconds"] = measure(request["calls"])
        except (RuntimeError, ValueError) as error:
            answer["refused"] = " ".join(str(error).split())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
