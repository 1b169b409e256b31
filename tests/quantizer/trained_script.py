"""Saves small quantization-aware networks. Run as a script, in a process of its own.

Argument: a folder, which gets a SavedModel for each network, and ``four_bits_float``, which is `four_bits`
without fake quantization.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NETWORKS"]

NETWORKS: dict[str, tuple[Callable[[Ops, Any], Any], tuple[int | None, ...]]] = {}
IMAGE = (1, 8, 8, 4)


def network(
    shape: tuple[int | None, ...] = IMAGE,
) -> Callable[[Callable[[Ops, Any], Any]], Callable[[Ops, Any], Any]]:
    """Add a function to the networks; `shape` is that of its input."""

    def add(function: Callable[[Ops, Any], Any]) -> Callable[[Ops, Any], Any]:
        NETWORKS[function.__name__] = function, shape
        return function

    return add


class Ops:
    """Layers with fake quantization, whose weights and ranges are the same in each run.

    Parameters
    ----------
    tf : module
        TensorFlow.
    plain : bool
        Without fake quantization.
    """

    def __init__(self, tf: Any, plain: bool = False) -> None:
        self.tf = tf
        self.plain = plain
        self.rng = np.random.default_rng(7)

    def weights(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(np.float32)

    def fake(self, x: Any, low: float | None = None, high: float | None = None, bits: int = 8) -> Any:
        """Fake quantization of an activation; by default over a range that is not a round one."""
        drawn = self.rng.uniform(0.5, 4, 2).astype(np.float32)
        low, high = (-drawn[0] if low is None else low), (drawn[1] if high is None else high)
        if self.plain:
            return x
        return self.tf.quantization.fake_quant_with_min_max_vars(x, np.float32(low), np.float32(high), bits)

    def relu(self, x: Any) -> Any:
        return self.fake(self.tf.nn.relu(x), 0.0)

    def per_channel(self, w: np.ndarray, bits: int = 8) -> Any:
        """Symmetric and narrow fake quantization, with a range for each index of the last dimension."""
        if self.plain:
            return w
        largest = self.tf.reduce_max(self.tf.abs(w), list(range(w.ndim - 1)))
        fake = self.tf.quantization.fake_quant_with_min_max_vars_per_channel
        return fake(self.tf.constant(w), -largest, largest, bits, narrow_range=True)

    def per_tensor(self, w: np.ndarray, bits: int = 8) -> Any:
        if self.plain:
            return w
        largest = self.tf.reduce_max(self.tf.abs(w))
        fake = self.tf.quantization.fake_quant_with_min_max_vars
        return fake(self.tf.constant(w), -largest, largest, bits, narrow_range=True)

    def conv(
        self, x: Any, units: int, size: int = 3, stride: int = 1, bits: int = 8, bias: bool = True
    ) -> Any:
        w = self.weights(size, size, x.shape[-1], units)
        w[..., 1] = (np.arange(w[..., 1].size).reshape(w.shape[:-1]) % 29 - 14) / 8  # ties
        w[..., 2] *= np.float32(bits > 4)  # zeros
        w = self.per_channel(w, bits)
        y = self.tf.nn.conv2d(x, w, stride, "SAME")
        return y + self.weights(units) if bias else y

    def depthwise(self, x: Any, bits: int = 8) -> Any:
        w = self.per_channel(self.weights(3, 3, x.shape[-1]), bits)
        y = self.tf.nn.depthwise_conv2d(x, self.tf.reshape(w, (3, 3, -1, 1)), (1, 1, 1, 1), "SAME")
        return y + self.weights(x.shape[-1])

    def dense(self, x: Any, units: int, bits: int = 8, bias: bool = True) -> Any:
        """A product with weights that the converter quantizes per channel itself, or with 4 bits."""
        w = self.weights(x.shape[-1], units)
        y = self.tf.matmul(x, w if bits == 8 else self.per_tensor(w, bits))
        return y + self.weights(units) if bias else y


@network()
def classifier(ops: Ops, x: Any) -> Any:
    """Convolutions and a dense layer; softmax has a range of its own."""
    y = ops.relu(ops.conv(ops.fake(x), 8, stride=2))
    y = ops.relu(ops.depthwise(y))
    y = ops.fake(ops.tf.reduce_mean(y, [1, 2]))
    return ops.tf.nn.softmax(ops.fake(ops.dense(y, 10)))


@network((None, 8, 8, 4))
def four_bits(ops: Ops, x: Any) -> Any:
    """4-bit weights of each kind, an odd number of them, and any number of samples."""
    y = ops.relu(ops.conv(ops.fake(x), 7, bits=4))
    y = ops.fake(ops.depthwise(y, bits=4))
    y = ops.relu(ops.conv(y, 5, 1, bits=4, bias=False))
    y = ops.tf.reshape(ops.tf.nn.max_pool2d(y, 8, 8, "SAME"), (-1, 5))
    return ops.fake(ops.dense(y, 3, bits=4))


@network()
def residual(ops: Ops, x: Any) -> Any:
    """Values with two users, and operators that join several scales."""
    x = ops.fake(x)
    a = ops.relu(ops.conv(x, 4))
    b = ops.relu(ops.fake(ops.conv(a, 4, bias=False)) + a)
    c = ops.fake(ops.tf.concat([a, b], -1))
    d = ops.tf.concat([b, ops.relu(ops.conv(c, 3))], -1)  # the converter adds a range
    return ops.fake(ops.conv(d, 4)), ops.fake(ops.tf.concat([c, d], -1))


@network()
def moves(ops: Ops, x: Any) -> Any:
    """Operators of one scale, between ranges that are not theirs."""
    tf = ops.tf
    y = tf.pad(ops.relu(ops.conv(ops.fake(x), 8)), [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = tf.image.resize(tf.nn.avg_pool2d(tf.nn.max_pool2d(y, 2, 2, "SAME"), 2, 1, "SAME"), (9, 9))
    return tf.transpose(ops.fake(ops.conv(y, 4)), [0, 3, 1, 2])


@network()
def products(ops: Ops, x: Any) -> Any:
    """Squeeze and excitation, a hard swish, constants as operands, a transposed convolution."""
    tf = ops.tf
    y = ops.relu(ops.conv(ops.fake(x), 4))
    s = ops.fake(tf.reduce_mean(y, [1, 2], keepdims=True))
    s = tf.sigmoid(ops.fake(ops.conv(s, 4, 1)))
    y = ops.fake(y * s)
    y = ops.fake(y * tf.nn.relu6(y + 3.0) * (1 / 6.0))
    y = ops.fake(tf.maximum(ops.fake(y * ops.weights(4) + ops.weights(4)), 0.1))
    w = ops.per_tensor(ops.weights(3, 3, 6, 4))
    up = ops.fake(tf.nn.conv2d_transpose(y, w, (1, 16, 16, 6), 2, "SAME") + ops.weights(6))
    flat = ops.fake(tf.reshape(y, (1, 64, 4)))
    return up, ops.fake(tf.matmul(flat, flat, transpose_b=True))


@network()
def activations(ops: Ops, x: Any) -> Any:
    """RELU that fake quantization keeps apart from the operator before."""
    relu = ops.tf.nn.relu
    y = ops.fake(relu(ops.fake(ops.conv(ops.fake(x), 4))), 0.0)
    y = ops.fake(ops.fake(y * ops.weights(4)) + ops.weights(4))
    return ops.fake(ops.conv(ops.fake(ops.tf.nn.relu6(y), 0.0), 4))


@network()
def floats(ops: Ops, x: Any) -> Any:
    """Operators without an int8 form, and some without a range."""
    tf = ops.tf
    y = ops.fake(tf.sin(ops.fake(ops.conv(ops.fake(x), 4))))
    a = tf.nn.relu(ops.conv(y, 4))  # read past its range
    return ops.fake(tf.cos(y)), ops.fake(tf.sin(a)), ops.fake(ops.conv(ops.fake(a), 4)), ops.conv(y, 3)


@network()
def extremes(ops: Ops, x: Any) -> Any:
    """Ranges that do not hold 0 or are tiny, weights of zeros, biases that do not fit; two pairs in a row."""
    tf = ops.tf
    y = ops.fake(ops.conv(ops.fake(x, 0.5, 2.0), 4), -3.0, -1.0)
    y = ops.fake(ops.conv(y, 4, 1), 0.0, 1e-7)
    w = ops.weights(256, 5)
    w[:, 1] = 0
    w[:, 2] *= np.float32(1e-12)
    z = ops.fake(ops.conv(ops.fake(x, 0.5, 2.0), 4))
    return y, ops.fake(tf.matmul(tf.reshape(z, (1, 256)), w) + ops.weights(5) * 100)


def main(folder: str) -> None:
    """Save all networks."""
    import tensorflow as tf

    networks = {name: (False, *network) for name, network in NETWORKS.items()}
    networks["four_bits_float"] = (True, *NETWORKS["four_bits"])
    for name, (plain, function, shape) in networks.items():
        module = tf.Module()
        module.call = tf.function(
            partial(run, tf, plain, function), input_signature=[tf.TensorSpec(shape, name="x")]
        )
        tf.saved_model.save(module, Path(folder) / name, signatures={"serving_default": module.call})


def run(tf: Any, plain: bool, function: Callable[[Ops, Any], Any], x: Any) -> dict[str, Any]:
    """Return the outputs of a network by name."""
    return {f"y{i}": y for i, y in enumerate(tf.nest.flatten(function(Ops(tf, plain), x)))}


if __name__ == "__main__":
    main(sys.argv[1])
