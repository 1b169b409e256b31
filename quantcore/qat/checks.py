"""What is refused before anything is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import keras

from quantcore.errors import QuantizationError
from quantcore.qat.fake_quantize import FakeQuantize
from quantcore.qat.layers import FakeQuantizedWeights

__all__ = ["all_layers", "check_float_model", "check_prepared", "fake_quantizers"]


def check_float_model(model: Any) -> None:
    """Refuse what `quantcore.qat.prepare` cannot make ready.

    Raises
    ------
    QuantizationError
    """
    check_keras_model(model)
    if any(isinstance(layer, (FakeQuantize, FakeQuantizedWeights)) for layer in all_layers(model)):
        raise QuantizationError(
            f"the model {model.name!r} is prepared for quantization-aware training already; train it, or "
            "start from the float model"
        )
    sequential = isinstance(model, keras.Sequential)
    if not sequential and not hasattr(model, "_nodes_by_depth"):
        raise QuantizationError(
            f"the model {model.name!r} is a subclassed model ({type(model).__name__}), whose layers cannot "
            "be seen; build it as a Sequential or Functional model"
        )
    if not model.built or (sequential and model._functional is None):
        raise QuantizationError(
            f"the model {model.name!r} has no weights yet; give it an Input layer, or call it on data first"
        )
    for tensor in model.inputs:
        if tensor.dtype != "float32":
            name = tensor._keras_history.operation.name
            raise QuantizationError(
                f"the model's input {name!r} is {tensor.dtype}; only float32 inputs can be quantized"
            )
    for layer in all_layers(model):
        if layer.dtype_policy.name != "float32":
            raise QuantizationError(
                f"layer {layer.name!r} has the dtype policy {layer.dtype_policy.name!r}; quantization-aware "
                "training is in float32: build the model with keras.config.set_dtype_policy('float32')"
            )


def check_keras_model(model: Any) -> None:
    """Refuse what is no model of Keras 3.

    Raises
    ------
    QuantizationError
    """
    if isinstance(model, keras.Model):
        return
    old = sys.modules.get("tf_keras")
    if old is not None and isinstance(model, old.Model):
        raise QuantizationError(
            "the model is one of tf_keras (Keras 2); save it in the .keras format and load it with Keras 3, "
            "or build it with Keras 3"
        )
    raise QuantizationError(f"the model is a {type(model).__name__}; expected a keras.Model")


def check_prepared(model: Any) -> None:
    """Refuse a model that `quantcore.qat.prepare` did not make.

    Raises
    ------
    QuantizationError
    """
    check_keras_model(model)
    if not any(isinstance(layer, FakeQuantize) for layer in all_layers(model)):
        raise QuantizationError(
            f"the model {model.name!r} has no fake quantization; make it with quantcore.qat.prepare first"
        )


def all_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and those inside of them."""
    yield from model._flatten_layers(include_self=False, recursive=True)


def fake_quantizers(model: Any) -> dict[str, FakeQuantize]:
    """Return the layers of a prepared model that hold ranges, by name."""
    found: dict[str, FakeQuantize] = {}
    for layer in model.layers:
        if isinstance(layer, FakeQuantize):
            found[layer.name] = layer
        elif isinstance(getattr(layer, "product_range", None), FakeQuantize):
            found[f"{layer.name}/product"] = layer.product_range
    return found
