"""The places of a prepared model at which values are rounded, and which tensors of a ``.tflite`` they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from quantcore.errors import QuantizationError
from quantcore.graph import Subgraph, Tensor
from quantcore.qat.checks import fake_quantizers
from quantcore.qat.fake_quantize import FakeQuantize
from quantcore.qat.graph import calls_in_order
from quantcore.qat.listening import listening
from quantcore.rounding_error.real import SCALE, gamma
from quantcore.tf_quantization.nudging import nudge
from quantcore.wording import counted

__all__ = ["Place", "forward_places", "match_places"]

LOWEST, STEPS = -128, 255  # of int8


@dataclass
class Place:
    """One call of `FakeQuantize` in a forward pass.

    Attributes
    ----------
    name : str
        Of the layer whose output is rounded there.
    scale : float32
    zero_point : int
        Of int8, as TensorFlow nudges the layer's range.
    integers : ndarray of float64
        What it returned, as int8 values.
    """

    name: str
    scale: np.float32
    zero_point: int
    integers: np.ndarray


def forward_places(
    model: Any, arrays: Sequence[np.ndarray], given: Sequence[np.ndarray | None] | None = None
) -> tuple[list[Place], list[np.ndarray]]:
    """Run a prepared model's forward pass; return the places in the order of the calls, and the outputs.

    Parameters
    ----------
    model : keras.Model
    arrays : list of ndarray of float32
        One per input, all samples along the first axis.
    given : list of (ndarray of float32 or None), optional
        By place, the values that stand for its output from there on; None: its own.
    """
    names = place_names(model)
    places: list[Place] = []

    def listener(layer: Any, outputs: Any) -> Any:
        nudged = nudge(*layer.current_range())
        scale, zero_point = nudged.scale, int(nudged.zero_point) + LOWEST
        steps = np.rint(np.asarray(outputs, np.float64) / np.float64(scale)) + zero_point
        places.append(Place(next(names[id(layer)]), scale, zero_point, steps))
        instead = None if given is None else given[len(places) - 1]
        return outputs if instead is None else keras.ops.convert_to_tensor(instead)

    with listening(listener):
        results = model(keras.tree.pack_sequence_as(model._inputs_struct, list(arrays)), training=False)
    return places, [keras.ops.convert_to_numpy(result) for result in keras.tree.flatten(results)]


def place_names(model: Any) -> dict[int, Iterator[str]]:
    """Return for each `FakeQuantize` by its id, call by call, the name of the layer whose output it has."""
    names = {id(layer): [name] for name, layer in fake_quantizers(model).items() if layer not in model.layers}
    for call in calls_in_order(model):
        if isinstance(call.operation, FakeQuantize):
            source = call.input_tensors[0]._keras_history.operation.name
            names.setdefault(id(call.operation), []).append(source)
    return {layer: iter(found) for layer, found in names.items()}


def match_places(places: Sequence[Place], subgraph: Subgraph, values: Mapping[int, np.ndarray]) -> list[int]:
    """Return the tensor that each place is.

    A place's tensor has its scale (to the rounding of float32), zero point and shape, or size. Where several
    have them, it is the one whose values, from the same samples, are nearest, of equal ones the first.

    Parameters
    ----------
    places : list of Place
    subgraph : Subgraph
    values : dict of int to ndarray
        The int8 tensors, all samples along the first axis.

    Raises
    ------
    QuantizationError
        A place has no such tensor: the file is not of this model.
    """
    order = {t: i for i, op in enumerate(subgraph.operators) for t in op.outputs}
    tensors = sorted(values, key=lambda t: order.get(t, -1))
    pairs: list[tuple[float, int, int, int]] = []
    for index, place in enumerate(places):
        fitting = [t for t in tensors if fits(place, subgraph.tensors[t], values[t])]
        found = [t for t in fitting if values[t].shape == place.integers.shape] or fitting
        if not found:
            raise QuantizationError(missing(place, len(places), subgraph, values))
        for t in found:
            apart = np.abs(values[t].ravel() - place.integers.ravel()) if len(found) > 1 else np.zeros(1)
            distance = float(apart.mean())
            pairs.append((distance, order.get(t, -1), index, t))
    matched: dict[int, int] = {}
    for _, _, index, t in sorted(pairs):
        if index not in matched and t not in matched.values():
            matched[index] = t
    for _, _, index, t in sorted(pairs):  # the converter has one tensor for values that are the same
        matched.setdefault(index, t)
    return [matched[index] for index in range(len(places))]


def fits(place: Place, tensor: Tensor, value: np.ndarray) -> bool:
    """Whether a tensor has a place's size, scale and zero point; the converter may reshape first."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale.size != 1 or value.size != place.integers.size:
        return False
    return near(quantization.scale[0], place.scale) and int(quantization.zero_point[0]) == place.zero_point


def near(scale: np.float32, other: np.float32) -> bool:
    """Whether scales are equal, to the rounding of float32."""
    return bool(abs(np.float64(scale) - np.float64(other)) <= gamma(SCALE) * np.float64(other))


def missing(place: Place, count: int, subgraph: Subgraph, values: Mapping[int, np.ndarray]) -> str:
    """Return the message for a place without a tensor."""
    what = f"the .tflite is not of this model: the output of layer {place.name!r}"
    shape = place.integers.shape[1:]
    same = [subgraph.tensors[t] for t in values if values[t].size == place.integers.size]
    if not same:
        have = counted(len(values), "int8 tensor")
        return (
            f"{what} has shape {shape}, and none of the file's {have} has; the model rounds at "
            f"{counted(count, 'place')}. Convert the model again: qat.convert(model)"
        )
    pairs = [(q.scale[0], int(q.zero_point[0])) for tensor in same if (q := tensor.quantization) is not None]

    def distance(pair: tuple[np.float32, int]) -> float:
        return abs(float(np.log(pair[0] / place.scale))) + abs(pair[1] - place.zero_point) / STEPS

    scale, zero_point = min(pairs, key=distance)
    if near(scale, place.scale) and abs(zero_point - place.zero_point) == 1:
        return (
            f"layer {place.name!r}: its range has the zero point {place.zero_point} in the forward pass and "
            f"{zero_point} in the .tflite: it lies between the two, and TensorFlow and its converter round "
            "it apart, as often for symmetric ranges. Every value is a step off: give the layer another range"
        )
    return (
        f"{what} has scale {place.scale:.8g} and zero point {place.zero_point}, and no tensor of shape "
        f"{shape} has them; the nearest has scale {scale:.8g} and zero point {zero_point}. Was the model "
        "trained after it was converted? Convert it again: qat.convert(model)"
    )
