"""Samples for a model: taken from arrays or a file, or drawn at random."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.files import read_arrays
from quantcore.graph import Model, Subgraph, Tensor
from quantcore.shape_arguments import fitting_value, index_limit

__all__ = ["SampleSource", "order_inputs", "random_batch", "random_samples", "split_samples"]

SampleSource = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray] | str | os.PathLike[str]

INDEX_LIMIT = 10  # integers without a scale are mostly indices; small ones are valid in most tables


def split_samples(model: Model, subgraph_index: int, inputs: SampleSource) -> list[list[np.ndarray]]:
    """Return `inputs` as samples, each a list of one array per graph input in the stored shape.

    Parameters
    ----------
    model : Model
    subgraph_index : int
    inputs : ndarray, sequence, mapping, or path
        One array (for a model with one input), one per input in order, or by name of the tensor or of a
        signature's input; or a ``.npy`` or ``.npz`` file of these. Each array holds one or more samples along
        the first axis, a multiple of the model's own batch, or along an axis of their own in front of it.

    Raises
    ------
    KernelError
        Wrong number of arrays, name, dtype or shape.
    OSError, QuantcoreError
        The file cannot be read.
    """
    subgraph = model.subgraphs[subgraph_index]
    if isinstance(inputs, (str, os.PathLike)):
        arrays = read_arrays(Path(inputs))
        inputs = next(iter(arrays.values())) if len(arrays) == len(subgraph.inputs) == 1 else arrays
    ordered = order_inputs(model, subgraph_index, inputs)
    tensors = [subgraph.tensors[t] for t in subgraph.inputs]
    parts = [_split(tensor, np.asarray(array)) for tensor, array in zip(tensors, ordered, strict=True)]
    counts = {len(part) for part in parts}
    if len(counts) > 1:
        raise KernelError(f"the inputs hold different numbers of samples: {sorted(counts)}")
    return [list(sample) for sample in zip(*parts, strict=True)] if parts else [[]]


def order_inputs(model: Model, subgraph_index: int, inputs: Any) -> list[np.ndarray]:
    """Return `inputs`, an array, a sequence, or a mapping by name, as a list in the order of the inputs.

    Raises
    ------
    KernelError
        Wrong number of arrays, or a wrong name.
    """
    subgraph = model.subgraphs[subgraph_index]
    if isinstance(inputs, Mapping):
        known = {subgraph.tensors[t].name: t for t in subgraph.inputs}
        for signature in model.signatures:
            if signature.subgraph_index == subgraph_index and set(inputs) == set(signature.inputs):
                known = signature.inputs
        if set(inputs) != set(known):
            raise KernelError(f"the inputs are called {sorted(known)}, got {sorted(inputs)}")
        by_tensor = {known[name]: array for name, array in inputs.items()}
        return [by_tensor[t] for t in subgraph.inputs]
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    if len(arrays) != len(subgraph.inputs):
        raise KernelError(f"the model has {len(subgraph.inputs)} inputs, got {len(arrays)} arrays")
    return arrays


def _split(tensor: Tensor, array: np.ndarray) -> list[np.ndarray]:
    if array.dtype.name != tensor.dtype:
        raise KernelError(
            f"input {tensor.name!r} has dtype {tensor.dtype}, got {array.dtype}; convert it explicitly "
            "(an integer input takes quantized values, see quantcore.quantize)"
        )
    shape = tensor.shape
    if array.shape == shape:
        return [array]
    if shape and shape[0] == 1 and array.shape == shape[1:]:
        return [array.reshape(shape)]
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return list(array)
    if (
        shape
        and array.shape[1:] == shape[1:]
        and array.shape[0]
        and shape[0]
        and array.shape[0] % shape[0] == 0
    ):
        return list(array.reshape(-1, *shape))
    raise KernelError(
        f"input {tensor.name!r} has shape {shape}, or a multiple along the first axis; got {array.shape}"
    )


def random_samples(model: Model, subgraph_index: int, count: int, seed: int) -> list[list[np.ndarray]]:
    """Draw `count` samples in the stored shapes; the same seed gives the same samples.

    Integers with a scale cover the whole range of their dtype. Without one they are what the stored shapes
    imply where they say a shape or an axis, valid indices where they point into a table, and else in
    [0, 10). Floats are uniform over the range that the model expects, and a little beyond, where it says so
    (the QUANTIZE operator that reads them, or the recorded min and max); otherwise samples alternate
    between standard normal and uniform in [0, 1).

    Raises
    ------
    UnsupportedOperatorError
        An input is of a dtype that has no random values (strings, handles).
    KernelError
        An input does not fit in memory.
    """
    subgraph = model.subgraphs[subgraph_index]
    rng = np.random.default_rng([seed, subgraph_index])
    try:
        return [[random_value(rng, subgraph, t, sample) for t in subgraph.inputs] for sample in range(count)]
    except (MemoryError, ValueError) as error:  # NumPy's, for what it cannot allocate or count
        shapes = [subgraph.tensors[t].shape for t in subgraph.inputs]
        raise KernelError(f"the inputs have shapes {shapes}, too large for random values: {error}") from None


def random_batch(model: Model, subgraph_index: int, count: int, seed: int) -> list[np.ndarray]:
    """Return what `random_samples` draws as one array per input, samples joined along the first axis."""
    samples = random_samples(model, subgraph_index, count, seed)
    return [np.concatenate(arrays) if count > 1 else arrays[0] for arrays in zip(*samples, strict=True)]


def random_value(rng: np.random.Generator, subgraph: Subgraph, t: int, sample: int) -> np.ndarray:
    """Draw a value for one tensor, as described at `random_samples`."""
    tensor = subgraph.tensors[t]
    shape = tuple(max(1, n) for n in tensor.shape)
    try:
        dtype = np.dtype(tensor.dtype)
    except TypeError:
        raise UnsupportedOperatorError(
            f"tensor {t} ({tensor.name!r}) has dtype {tensor.dtype}, which has no random values; give inputs"
        ) from None
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        if not tensor.is_quantized and (fitting := fitting_value(subgraph, t)) is not None:
            return fitting
        info = np.iinfo(dtype)
        limit = index_limit(subgraph, t) or INDEX_LIMIT
        low, high = (int(info.min), int(info.max)) if tensor.is_quantized else (0, limit - 1)
        return rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    bounds = expected_range(subgraph, t)
    if bounds is not None:
        margin = 0.05 * (bounds[1] - bounds[0])
        return rng.uniform(bounds[0] - margin, bounds[1] + margin, shape).astype(dtype)
    values = rng.standard_normal(shape) if sample % 2 == 0 else rng.random(shape)
    return values.astype(dtype)


def expected_range(subgraph: Subgraph, t: int) -> tuple[float, float] | None:
    """Return the real range that the model expects of tensor `t`, if it says so."""
    tensor = subgraph.tensors[t]
    quantize = [op.outputs[0] for op in subgraph.operators if op.op == "QUANTIZE" and op.inputs[:1] == (t,)]
    for stored in (tensor, *(subgraph.tensors[y] for y in quantize)):
        if ranges := stored.real_range:
            low, high = ranges[0]
            return low, high
    recorded = tensor.quantization
    if recorded is not None and recorded.min is not None and recorded.max is not None and recorded.min.size:
        low, high = float(recorded.min[0]), float(recorded.max[0])
        return (low, high) if np.isfinite([low, high]).all() and low < high else None
    return None
