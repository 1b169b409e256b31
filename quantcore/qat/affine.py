"""Multiplication by constants and addition of constants: what the converter makes of a batch normalization
that follows no convolution, and of Rescaling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from quantcore.qat.arithmetic import fake_quantize_activations
from quantcore.qat.batch_norm import factor_of, follow_batch, offset_of
from quantcore.qat.fake_quantize import PACKAGE, FakeQuantize
from quantcore.qat.passes import is_observing

__all__ = ["FakeQuantizedBatchNormalization", "FakeQuantizedRescaling"]


class _FakeQuantizedAffine:
    """What the two share: ``inputs * factor + offset``, two operators with a range in between."""

    product_range: FakeQuantize | None  # None: there is only one of the two operators
    product: dict[str, Any]

    def __init__(self, *args: Any, product: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.product_range = (
            FakeQuantize(**(product or {}), name="product") if self.is_two_operators() else None
        )
        self.product = product or {}
        self.supports_jit = False

    def is_two_operators(self) -> bool:
        """Whether there are both a multiplication and an addition."""
        return True

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        base: Any = super()
        base.build(input_shape)
        if self.product_range is not None:
            self.product_range.build()

    def apply(self, inputs: Any, factor: Any, offset: Any, training: bool | None) -> Any:
        """Return ``inputs * factor + offset``; either may be None."""
        outputs = inputs
        if factor is not None:
            outputs = outputs * _constant(factor)
            if self.product_range is not None:
                outputs = self.product_range(outputs, member=0, training=training)
        return outputs if offset is None else outputs + _constant(offset)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        base: Any = super()
        return {**base.get_config(), "product": self.product}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedBatchNormalization(_FakeQuantizedAffine, keras.layers.BatchNormalization):
    """A batch normalization that is folded into no layer: MUL and ADD, with fake-quantized constants."""

    def __init__(self, *args: Any, statistics: str = "moving", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.statistics = statistics

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalized inputs."""
        mean, variance = self.moving_mean.value, self.moving_variance.value
        if training and self.trainable and self.statistics == "batch":
            batch_mean, batch_variance = tf.nn.moments(inputs, list(range(len(inputs.shape) - 1)))
            follow_batch(self, batch_mean, batch_variance)
            mean, variance = batch_mean, batch_variance
        factor = factor_of(self, variance)
        return self.apply(inputs, factor, offset_of(self, mean, factor), training)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "statistics": self.statistics}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedRescaling(_FakeQuantizedAffine, keras.layers.Rescaling):
    """Rescaling with fake-quantized constants: MUL, ADD, or both."""

    def is_two_operators(self) -> bool:
        """Whether both change something; the converter leaves out what does not."""
        return bool(np.any(np.asarray(self.scale) != 1) and np.any(np.asarray(self.offset) != 0))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return ``inputs * scale + offset``."""
        factor = tf.constant(self.scale, tf.float32) if np.any(np.asarray(self.scale) != 1) else None
        offset = tf.constant(self.offset, tf.float32) if np.any(np.asarray(self.offset) != 0) else None
        return self.apply(inputs, factor, offset, training)


def _constant(values: Any) -> Any:
    """Return constants of a MUL or ADD on the grid that the converter finds for them.

    It reaches from the smallest to the largest, and holds zero.
    """
    if is_observing():
        return values
    low, high = tf.minimum(tf.reduce_min(values), 0.0), tf.maximum(tf.reduce_max(values), 0.0)
    return fake_quantize_activations(values, low, high)
