"""What one may want to change in the course of training."""

from __future__ import annotations

from typing import Any

from quantcore.qat.affine import FakeQuantizedBatchNormalization
from quantcore.qat.checks import all_layers, check_prepared
from quantcore.qat.layers import FakeQuantizedWeights

__all__ = ["freeze_batch_norm"]


def freeze_batch_norm(model: Any) -> None:
    """Let all batch normalizations use their moving statistics from now on, which stay as they are.

    For the last epochs of a training with ``batch_norm="batch"``. The next `fit` traces its step anew.

    Parameters
    ----------
    model : keras.Model
        From `quantcore.qat.prepare`; changed in place.

    Raises
    ------
    QuantizationError
        The model is not prepared.
    """
    check_prepared(model)
    for layer in all_layers(model):
        if isinstance(layer, (FakeQuantizedWeights, FakeQuantizedBatchNormalization)):
            layer.statistics = "moving"
    model.train_function = None  # Keras has traced it with the statistics of the batch
