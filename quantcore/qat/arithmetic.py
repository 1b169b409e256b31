"""Fake quantization as operations of TensorFlow, of which its converter makes the same integers.

Weights are symmetric, of narrow range.

The range of a channel is [-m, m] with m the largest absolute weight, so a weight is k * scale with
scale = 2m / (2^bits - 2) and k in [1 - 2^(bits-1), 2^(bits-1) - 1].
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["ends_on_grid", "fake_quantize_activations", "fake_quantize_weights"]

ACTIVATION_BITS = 8


def fake_quantize_activations(inputs: Any, low: Any, high: Any) -> Any:
    """Return values on a grid of 8 bits, which holds zero; gradients go straight through.

    Parameters
    ----------
    inputs : tensor of float32
    low, high : float or scalar tensor of float32
        What the grid spans, but for less than a step; ``low <= 0 <= high``. If both are 0, so is everything.

    Notes
    -----
    The range is moved onto the grid here, as ``tf.quantization.fake_quant_with_min_max_vars`` would do it in
    float32. The converter would do it in float64, and for a range whose zero point lies between two integers,
    as of many symmetric ones, come to the other of them; ends on the grid leave neither a choice.
    """
    ends = ends_on_grid(low, high)
    return tf.quantization.fake_quant_with_min_max_vars(inputs, *ends, num_bits=ACTIVATION_BITS)


def ends_on_grid(low: Any, high: Any) -> list[Any]:
    """Return the ends of a range, moved onto its grid; see `fake_quantize_activations`."""
    on_grid = _nudged(tf.stop_gradient(low), tf.stop_gradient(high))
    return [tf.stop_gradient(on - end) + end for on, end in zip(on_grid, (low, high), strict=True)]


def _nudged(low: Any, high: Any) -> tuple[Any, Any]:
    steps = 2.0**ACTIVATION_BITS - 1.0
    span = high - low
    scale = tf.where(span > 0.0, span, 1.0) / steps
    zero_point = tf.floor(-low / scale + 0.5)
    empty = span <= 0.0
    return tf.where(empty, low, -zero_point * scale), tf.where(empty, high, (steps - zero_point) * scale)


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
