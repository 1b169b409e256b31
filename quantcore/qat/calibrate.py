"""`calibrate`: the ranges of activations from data, without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np

from quantcore.calibration.dataset import Sample, read_samples
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph, Tensor
from quantcore.qat.checks import check_prepared, fake_quantizers
from quantcore.qat.passes import observing

__all__ = ["calibrate", "check_ranges", "inputs_alone"]

BATCH = 32


def calibrate(
    model: Any, representative_dataset: Any, *, advance: Callable[[int], None] | None = None
) -> None:
    """Set the ranges of a prepared model to the smallest and largest values that samples lead to in float.

    Parameters
    ----------
    model : keras.Model
        From `prepare`; ranges that it has are forgotten.
    representative_dataset : callable, iterable, ndarray, mapping or path
        Samples of real inputs, as for `quantcore.quantize_model`.
    advance : callable, optional
        Called with the number of samples that have been seen since the last call.

    Raises
    ------
    QuantizationError
        The model is not prepared; no samples, or samples that do not fit it or lead to NaN or infinity. The
        model then has the ranges that it had.
    """
    check_prepared(model)
    quantizers = fake_quantizers(model)
    variables = [variable for layer in quantizers.values() for variable in layer.weights]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    try:
        _observe(model, representative_dataset, advance)
    except BaseException:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        raise


def check_ranges(model: Any) -> None:
    """Refuse a prepared model whose ranges are missing or useless.

    Raises
    ------
    QuantizationError
    """
    for name, layer in fake_quantizers(model).items():
        found = layer.current_range()
        if found is None:
            raise QuantizationError(
                f"layer {name!r} has no range yet; train the model, or call qat.calibrate(model, samples)"
            )
        low, high = found
        if not (np.isfinite(low) and np.isfinite(high)):
            raise QuantizationError(
                f"layer {name!r} has the range ({low:g}, {high:g}), which is not finite; look for NaN or "
                "infinity in the data or weights"
            )
        if low > 0 or high < 0 or low >= high:
            raise QuantizationError(
                f"layer {name!r} has the range ({low:g}, {high:g}); expected min <= 0 <= max and min < max: "
                "its values are always zero, or its range was set by hand; calibrate the model"
            )


def _observe(model: Any, dataset: Any, advance: Callable[[int], None] | None) -> None:
    for layer in fake_quantizers(model).values():
        layer.reset()
    samples = read_samples(inputs_alone(model), dataset)
    for batch in _batches(samples):
        arrays = [np.concatenate(parts) for parts in zip(*batch, strict=True)]
        with observing():
            model(keras.tree.pack_sequence_as(model._inputs_struct, arrays), training=False)
        if advance is not None:
            advance(len(batch))
    for name, layer in fake_quantizers(model).items():
        found = layer.current_range()
        if found is not None and not np.isfinite(found).all():
            raise QuantizationError(
                f"the samples lead to the range ({found[0]:g}, {found[1]:g}) at {name!r}; look for NaN or "
                "infinity in the samples or weights"
            )


def _batches(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    while batch := list(islice(samples, BATCH)):
        yield batch


def inputs_alone(model: Any) -> Model:
    """Return a model with nothing but the inputs, for the functions that read datasets."""
    tensors = [
        Tensor(
            tensor._keras_history.operation.name,
            (1, *(1 if n is None else n for n in tensor.shape[1:])),
            tensor.dtype,
            shape_signature=tuple(-1 if n is None else n for n in (None, *tensor.shape[1:])),
        )
        for tensor in model.inputs
    ]
    return Model(subgraphs=[Subgraph("main", tensors, [], tuple(range(len(tensors))), ())])
