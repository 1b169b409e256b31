"""Models that TensorFlow's converter writes for the tests: what the folder of real models lacks.

``python -m tests.flatbuffer.converted FOLDER`` writes them; a process of its own, because TensorFlow
is slow to import and hard to unload.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

NAMES = ("control_flow", "strings", "custom_operator", "wide_operator_code")


def build(folder: Path) -> None:
    """Write one ``.tflite`` file for each of `NAMES`."""
    import tensorflow as tf

    class Counter(tf.Module):  # type: ignore[misc]
        """Two entry points that share a variable: a loop and a branch."""

        def __init__(self) -> None:
            self.total = tf.Variable(tf.zeros([4]), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x"), tf.TensorSpec([], tf.int32, "n")])
        def repeat(self, x: Any, n: Any) -> dict[str, Any]:
            _, result = tf.while_loop(lambda i, _: i < n, lambda i, y: (i + 1, y * 2.0 + x), [0, x])
            return {"y": result}

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x")])
        def accumulate(self, x: Any) -> dict[str, Any]:
            step = tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 3.0, lambda: tf.nn.relu6(x) - 1.0)
            self.total.assign_add(step)
            return {"total": self.total.read_value()}

    def of(function: Any, *specs: Any) -> Any:
        concrete = tf.function(function).get_concrete_function(*specs)
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete])

    module = Counter()
    stateful = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.repeat.get_concrete_function(), module.accumulate.get_concrete_function()], module
    )
    stateful.experimental_enable_resource_variables = True
    words = of(lambda i: tf.gather(tf.constant(["", "ein", "zwei Wörter"]), i), tf.TensorSpec([2], tf.int32))
    custom = of(tf.math.bessel_i0e, tf.TensorSpec([3], tf.float32))
    custom.allow_custom_ops = True
    wide = of(lambda x: tf.nn.gelu(x, approximate=True), tf.TensorSpec([None, 3], tf.float32))
    for name, converter in zip(NAMES, (stateful, words, custom, wide), strict=True):
        (folder / f"{name}.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
