"""Cold start of ``quantcore inspect`` beside a script that lists the same things with TensorFlow.

Prints seconds and the ratio, measured in one run, taking turns. Options: a model, and how many turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from _timing import medians

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
    quantization = Quantization(np.array([0.1], np.float32), np.array([0]))
    tensors = [Tensor(name, (1, 64), "int8", quantization=quantization) for name in ("x", "y")]
    save(Model([Subgraph("main", tensors, [Operator("RELU", 1, (0,), (1,))], (0,), (1,))]), path)


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
        run = partial(subprocess.run, check=True, capture_output=True)
        a, b = medians((partial(run, ours), partial(run, theirs)), options.turns)
    print(f"cold `quantcore inspect`: {a:.3f} s; a script with TensorFlow: {b:.3f} s; ratio {b / a:.1f}")


if __name__ == "__main__":
    main()
