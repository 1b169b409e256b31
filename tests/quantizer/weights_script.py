"""Converts small networks with TFLiteConverter. Run as a script, in a process of its own.

Argument: a folder, which gets ``<network>.<mode>.tflite`` for each network and each of the modes float,
dynamic and float16.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NETWORKS"]

NETWORKS = ("products", "tables", "calls", "constants")


def weights(*shape: int) -> np.ndarray:
    """Return float32 values around zero, the same in each run for a shape."""
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def products(tf: Any) -> tuple[Any, list[Any]]:
    """Every operator whose weights become int8, and weights that are too small by one element."""
    dense = weights(32, 32)
    dense[:2, 0] = (-1.8816792, 2.162654)  # a tie, if the scale is rounded before the division
    dense[2:, 0] = 0
    dense[:, 1] = 0
    dense[:, 2] *= np.float32(1e-8)

    def network(x: Any, y: Any, z: Any) -> Any:
        a = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 4, 32), 1, "SAME") + weights(32))
        b = tf.nn.depthwise_conv2d(a, weights(4, 4, 32, 2), (1, 1, 1, 1), "SAME")
        c = tf.nn.conv2d_transpose(x, weights(4, 4, 32, 4), (1, 16, 16, 32), 2, "SAME")
        d = tf.matmul(y, dense) + weights(32)
        e = tf.matmul(tf.matmul(d, weights(32, 32).T), weights(32, 31)[:, :31])
        f = tf.matmul(tf.reshape(e, (1, 31)), weights(31, 33))
        return (
            b,
            c,
            d,
            f,
            tf.matmul(z, weights(2, 32, 16)),
            tf.matmul(weights(2, 16, 32), z, transpose_b=True),
        )

    specs = [(1, 8, 8, 4), (1, 32), (2, 3, 32)]
    return network, [tf.TensorSpec(shape, tf.float32) for shape in specs]


def tables(tf: Any) -> tuple[Any, list[Any]]:
    """Rows of tables: with one user, with two, with one of other axes, and made smaller further on."""

    def network(i: Any, x: Any) -> Any:
        once, twice, tied = (weights(rows, 16) for rows in (100, 90, 80))
        a = tf.nn.relu(tf.gather(once, i))
        b = tf.gather(twice, i) + tf.gather(twice, i + 1)
        c = tf.gather(tied, i), tf.matmul(x, tied, transpose_b=True)
        d = tf.gather(weights(70, 16), i)[:, 2:9] + 1.0
        return a, b, *c, d, tf.gather(weights(8, 16), i)

    return network, [tf.TensorSpec((5,), tf.int32), tf.TensorSpec((5, 16), tf.float32)]


def calls(tf: Any) -> tuple[Any, list[Any]]:
    """Weights in the subgraphs of a loop and of a condition."""

    def network(x: Any, i: Any) -> Any:
        w = tf.constant(weights(32, 32))
        looped = tf.while_loop(
            lambda n, _: n < 3, lambda n, v: (n + 1, tf.nn.relu(tf.matmul(v, w))), (tf.constant(0), x)
        )[1]
        chosen = tf.cond(i > 0, lambda: tf.matmul(x, w), lambda: tf.matmul(x, weights(32, 33)[:, :32]) + 1.0)
        return looped, chosen

    return network, [tf.TensorSpec((1, 32), tf.float32), tf.TensorSpec((), tf.int32)]


def constants(tf: Any) -> tuple[Any, list[Any]]:
    """Operands of every kind, values beyond float16, and a constant that is an output too."""
    extreme = weights(32, 32)
    extreme[0, :8] = [65503, 65504, 65519.9, 65520, 1e30, -1e30, 6e-8, 2.9e-8]
    extreme[1, :6] = [2.0**-24, 2.0**-25, 1 + 2.0**-11, 1 + 3 * 2.0**-11, -0.0, 5e-41]

    def network(x: Any) -> Any:
        w = tf.constant(weights(32, 33)[:, :32])
        a = tf.matmul(x, extreme) * weights(32) + 1.5
        b = tf.pad(a, [[0, 0], [2, 3]], constant_values=1.25)
        return b, tf.maximum(a, 0.25) / 3.0, tf.matmul(x, w, transpose_b=True), w

    return network, [tf.TensorSpec((1, 32), tf.float32)]


def main(folder: str) -> None:
    """Convert all networks in all modes."""
    import tensorflow as tf

    for name in NETWORKS:
        network, specs = globals()[name](tf)
        function = tf.function(network, input_signature=specs)
        concrete = function.get_concrete_function()
        for mode in ("float", "dynamic", "float16"):
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
            converter.optimizations = [] if mode == "float" else [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16] if mode == "float16" else []
            Path(folder, f"{name}.{mode}.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main(sys.argv[1])
