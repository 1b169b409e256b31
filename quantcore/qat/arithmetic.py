"""Fake quantization of weights as TensorFlow operations: symmetric, of narrow range, in the form that
TensorFlow Lite's converter turns into integers.

The range of a channel is [-m, m] with m the largest absolute weight, so a weight is k * scale with
scale = 2m / (2^bits - 2) and k in [1 - 2^(bits-1), 2^(bits-1) - 1].
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["fake_quantize_weights"]


def fake_quantize_weights(weights: Any, axis: int | None, bits: int, *, elementary: bool = False) -> Any:
    """Return float weights that lie on the grid of `bits` bits; the gradient goes straight through.

    Parameters
    ----------
    weights : tensor of float32
    axis : int or None
        Axis of the channels, each of which has a range of its own; None: one range for all.
    bits : int
    elementary : bool
        In elementary operations, bit-equal to ``tf.quantization.fake_quant_with_min_max_vars_per_channel``.
        The converter stores some filters in another order of axes (of Dense and Conv2DTranspose), and fails
        where that operation stands before the reordering. It folds elementary operations into a constant,
        whose integers it finds itself: weights on a grid of 8 bits are on its grid.
    """
    if elementary:
        return _elementary(weights, axis, bits)
    if axis is None:
        largest = tf.reduce_max(tf.abs(weights))
        return tf.quantization.fake_quant_with_min_max_vars(
            weights, -largest, largest, num_bits=bits, narrow_range=True
        )
    rank = len(weights.shape)
    axis %= rank
    others = [i for i in range(rank) if i != axis]
    largest = tf.reduce_max(tf.abs(weights), others)
    order = [*others, axis]  # the operation has the channels last
    moved = weights if axis == rank - 1 else tf.transpose(weights, order)
    quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        moved, -largest, largest, num_bits=bits, narrow_range=True
    )
    return quantized if axis == rank - 1 else tf.transpose(quantized, [order.index(i) for i in range(rank)])


def _elementary(weights: Any, axis: int | None, bits: int) -> Any:
    rank = len(weights.shape)
    others = [i for i in range(rank) if axis is None or i != axis % rank]
    largest = tf.reduce_max(tf.abs(weights), others, keepdims=True)
    steps = 2.0**bits - 2.0
    span = largest + largest
    span = tf.where(span > 0.0, span, 1.0)  # a channel of zeros stays zeros
    scale, inverse = span / steps, steps / span
    low = scale * (-steps / 2.0)
    zero = tf.floor(-low * inverse + 0.5)
    clipped = tf.maximum(tf.minimum(weights, -low), low)
    quantized = tf.floor((clipped - low) * inverse - zero + 0.5) * scale
    # weights - weights is zero: the value is `quantized` to the bit, the gradient that of `weights`.
    return tf.stop_gradient(quantized) + (weights - tf.stop_gradient(weights))
