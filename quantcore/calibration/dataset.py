"""Representative datasets in the forms that people have, as samples: one array per graph input, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from quantcore.errors import KernelError, QuantizationError
from quantcore.graph import Model, Tensor
from quantcore.samples import order_inputs, split_samples

__all__ = ["Dataset", "Sample", "read_samples"]

Sample = list[np.ndarray]
Dataset = Any  # what `read_samples` takes

MAIN = 0  # the subgraph that is calibrated


def read_samples(model: Model, dataset: Dataset) -> Iterator[Sample]:
    """Yield the samples of a representative dataset, checked, one C-contiguous array per graph input.

    Parameters
    ----------
    model : Model
    dataset : callable, iterable, ndarray, sequence, mapping, or path
        A function without arguments that returns an iterable (the ``representative_dataset`` of
        ``tf.lite.TFLiteConverter``), or that iterable itself. Each item is one sample: a list of one array
        per input in order, a dict by name of the tensor or of a signature's input, a tuple of a signature's
        key and such a dict, or, for a model with one input, an array. Or arrays that hold many samples along
        the first axis: one array, one per input in order, a dict by name, a ``.npy`` or ``.npz`` file of
        these.
        Whatever NumPy reads as an array is one, TensorFlow's tensors among others.

    Raises
    ------
    QuantizationError
        No samples; wrong number of inputs, name, dtype or shape; the iterable raised. The message names the
        sample, from 0. Every sample must have the shapes of the first one, to which the model is resized, as
        TensorFlow Lite's calibrator does; that may have another batch than the model, and other sizes in
        dimensions that the model marks as unknown.
    OSError, QuantcoreError
        The file cannot be read.
    """
    tensors = [model.subgraphs[MAIN].tensors[t] for t in model.subgraphs[MAIN].inputs]
    first: list[tuple[int, ...]] | None = None
    for index, item in enumerate(_items(model, dataset)):
        try:
            arrays = _ordered(model, item)
            sample = [_fitted(array, tensor) for array, tensor in zip(arrays, tensors, strict=True)]
        except KernelError as error:
            raise QuantizationError(f"sample {index}: {error}") from error
        shapes = [array.shape for array in sample]
        first = shapes if first is None else first
        for tensor, shape, expected in zip(tensors, shapes, first, strict=True):
            if shape != expected:
                raise QuantizationError(
                    f"sample {index}: input {tensor.name!r} has shape {shape}, in sample 0 it has {expected}"
                    "; all samples must have the same shapes"
                )
        yield sample
    if first is None:
        raise QuantizationError("the dataset holds no samples; calibration needs at least one")


def _items(model: Model, dataset: Dataset) -> Iterator[Any]:
    """Yield the samples as they were given; errors of the dataset's own code name the sample."""
    if callable(dataset):
        dataset = _guarded(dataset, 0)
    if isinstance(dataset, (str, os.PathLike, Mapping)) or hasattr(dataset, "__array__"):
        yield from _split(model, dataset)
    elif isinstance(dataset, (list, tuple)) and dataset and all(hasattr(x, "__array__") for x in dataset):
        yield from _split_list(model, list(dataset))
    elif isinstance(dataset, Iterable):
        iterator = iter(dataset)
        index = 0
        while (item := _guarded(lambda: next(iterator, _END), index)) is not _END:
            yield item
            index += 1
    else:
        raise QuantizationError(
            f"the dataset is {type(dataset).__name__}; expected a function that returns samples, an "
            "iterable of samples, arrays, or a .npy or .npz file"
        )


_END = object()


def _guarded(call: Callable[[], Any], index: int) -> Any:
    try:
        return call()
    except Exception as error:  # whatever the user's code raises
        raise QuantizationError(
            f"the dataset failed at sample {index}: {type(error).__name__}: {error}"
        ) from error


def _split(model: Model, dataset: Any) -> list[Sample]:
    """Return the samples of arrays that hold them along the first axis."""
    if not isinstance(dataset, (str, os.PathLike, Mapping, list)):
        dataset = np.asarray(dataset)
    try:
        return split_samples(model, MAIN, dataset)
    except KernelError as error:
        raise QuantizationError(f"the dataset does not fit the model: {error}") from error


def _split_list(model: Model, arrays: list[Any]) -> list[Sample]:
    """Return the samples of a list of arrays: one per input; of a model with one input, any number."""
    count = len(model.subgraphs[MAIN].inputs)
    if count == 1:
        return [sample for array in arrays for sample in _split(model, array)]
    return _split(model, [np.asarray(array) for array in arrays])


def _ordered(model: Model, item: Any) -> list[np.ndarray]:
    """Return the arrays of one sample in the order of the graph's inputs."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        item = _by_signature(model, *item)
    elif hasattr(item, "__array__"):
        item = [item]
    elif not isinstance(item, (list, tuple, Mapping)):
        raise KernelError(f"a sample is {type(item).__name__}; expected arrays in a list, or a dict by name")
    return [np.asarray(array, order="C") for array in order_inputs(model, MAIN, item)]


def _by_signature(model: Model, key: str, inputs: Any) -> Any:
    signatures = {signature.key: signature for signature in model.signatures}
    if key not in signatures:
        known = ", ".join(map(repr, signatures)) or "none"
        raise KernelError(f"no signature {key!r} in the model; it has: {known}")
    if signatures[key].subgraph_index != MAIN:
        raise KernelError(
            f"signature {key!r} runs subgraph {signatures[key].subgraph_index}; only 0 is calibrated"
        )
    if not isinstance(inputs, Mapping):
        raise KernelError(
            f"signature {key!r} comes with {type(inputs).__name__}; expected a dict by input name"
        )
    return inputs


def _fitted(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return an input of one sample with a batch axis; refuse another dtype or shape.

    The batch may be another than the stored one, and so may dimensions that the model marks as unknown.
    """
    if array.dtype.name != tensor.dtype:
        raise KernelError(
            f"input {tensor.name!r} has dtype {tensor.dtype}, got {array.dtype}; convert it explicitly"
        )
    if tensor.shape[:1] == (1,) and array.shape == tensor.shape[1:]:
        return array.reshape(tensor.shape)
    known = tensor.shape_signature or tensor.shape
    fits = array.ndim == len(tensor.shape) == len(known) and all(
        n in (-1, extent) for n, extent in zip(known[1:], array.shape[1:], strict=True)
    )
    if not fits or array.size == 0:
        raise KernelError(
            f"input {tensor.name!r} has shape {tensor.shape}, got {array.shape}; only the first dimension, "
            "and those that the model marks as unknown, may differ"
        )
    return array
