"""Batch normalization as ``inputs * factor + offset``, whose factor and offset follow from the statistics."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["factor_of", "follow_batch", "offset_of"]


def factor_of(norm: Any, variance: Any) -> Any:
    """Return ``gamma / sqrt(variance + epsilon)`` of a batch normalization, per channel."""
    factor = tf.math.rsqrt(variance + norm.epsilon)
    return factor if norm.gamma is None else factor * norm.gamma.value


def offset_of(norm: Any, mean: Any, factor: Any, bias: Any = None) -> Any:
    """Return ``beta - mean * factor``, and what becomes of a bias in front of the batch normalization."""
    offset = -mean * factor if norm.beta is None else norm.beta.value - mean * factor
    return offset if bias is None else bias * factor + offset


def follow_batch(norm: Any, mean: Any, variance: Any) -> None:
    """Move the moving statistics towards those of a batch, as Keras does in training."""
    for moving, batch in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        moving.assign(moving.value * norm.momentum + tf.stop_gradient(batch) * (1.0 - norm.momentum))
