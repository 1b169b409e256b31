"""Cold start of ``quantcore inspect`` beside a script that lists the same things with TensorFlow.

Prints seconds and the ratio, measured in one run, taking turns. Options: a model, and how many turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from quantcore.flatbuffer import save
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor

TENSORFLOW = """
import sys
import tensorflow as tf
interpreter = tf.lite.Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
for detail in interpreter.get_tensor_details():
    print(*(detail[key] for key in ("index", "name", "shape", "dtype", "quantization_parameters")))
for op in interpreter._get_ops_details():
    print(op["index"], op["op_name"], op["inputs"], op["outputs"])
"""


def small_model(path: Path) -> None:
    """Write a model, for those who have none at hand."""
    quantization = Quantization(np.float32([0.1]), np.array([0]))
    tensors = [Tensor(name, (1, 64), "int8", quantization=quantization) for name in ("x", "y")]
    save(Model([Subgraph("main", tensors, [Operator("RELU", 1, (0,), (1,))], (0,), (1,))]), path)


def seconds(command: list[str]) -> float:
    """Return the wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", help="a .tflite file; default: a model of one operator")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(Path(folder) / "small.tflite")
        if not options.model:
            small_model(Path(model))
        ours = [sys.executable, "-m", "quantcore", "inspect", model]
        theirs = [sys.executable, "-W", "ignore", "-c", TENSORFLOW, model]
        for command in (ours, theirs):  # fills the file cache
            seconds(command)
        times = [(seconds(ours), seconds(theirs)) for _ in range(options.turns)]
    a, b = (median(column) for column in zip(*times, strict=True))
    print(f"cold `quantcore inspect`: {a:.3f} s; a script with TensorFlow: {b:.3f} s; ratio {b / a:.1f}")


if __name__ == "__main__":
    main()
