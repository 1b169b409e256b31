"""A trained model as a SavedModel, for the converter."""

from __future__ import annotations

import os
from typing import Any

import keras
import tensorflow as tf

from quantcore.qat.fake_quantize import SUFFIX
from quantcore.qat.passes import exporting

__all__ = ["export_saved_model", "signature_names"]


def export_saved_model(model: Any, folder: str | os.PathLike[str]) -> None:
    """Write the inference pass of a model for a batch of 1, with a signature that has its names.

    Parameters
    ----------
    model : keras.Model
    folder : path
        Where to write the SavedModel.

    Notes
    -----
    With a batch of 1 all shapes are known: Flatten becomes a plain RESHAPE, and TensorFlow Lite Micro can run
    the result.
    """
    inputs, outputs = signature_names(model)
    struct = (model._functional if isinstance(model, keras.Sequential) else model)._inputs_struct
    specs = [
        tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name)
        for name, tensor in zip(inputs, model.inputs, strict=True)
    ]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def serve(*arrays: Any) -> dict[str, Any]:
        with exporting():
            results = model(keras.tree.pack_sequence_as(struct, list(arrays)), training=False)
        return dict(zip(outputs, keras.tree.flatten(results), strict=True))

    module = tf.Module()
    module.held = [variable.value for variable in model.variables]
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def signature_names(model: Any) -> tuple[list[str], list[str]]:
    """Return the names of a prepared model's inputs and outputs: those of the float model's layers."""
    model = model._functional if isinstance(model, keras.Sequential) else model
    inputs = [tensor._keras_history.operation.name for tensor in model.inputs]
    if isinstance(model._outputs_struct, dict):
        return inputs, sorted(model._outputs_struct)
    outputs: list[str] = []
    for tensor in model.outputs:
        name = tensor._keras_history.operation.name.removesuffix(SUFFIX)
        outputs.append(name if name not in outputs else f"{name}_{len(outputs)}")
    return inputs, outputs
