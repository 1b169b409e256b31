"""The ranges that a network was trained with, recorded in the float model that the converter makes of it.

The converter computes with the float64 scales of these ranges, but writes float32 ones, from which biases
cannot be told to their last bit. `Quantization.min` and `max` are the schema's own place for ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Tensor
from quantcore.qparams import trained_range

__all__ = ["FakeQuantization", "fake_quantizations", "has_pairs", "with_ranges"]

LARGEST = {"uint8": 255, "uint4": 15}


@dataclass(frozen=True)
class FakeQuantization:
    """One operation ``FakeQuantWithMinMax...`` of a graph.

    Attributes
    ----------
    name : str
    low, high : ndarray of float32, shape (channels,) or (1,)
    narrow : bool
    """

    name: str
    low: np.ndarray
    high: np.ndarray
    narrow: bool

    def gives(self, tensor: Tensor) -> bool:
        """Whether a tensor has the parameters that the converter gives this range."""
        found = tensor.quantization
        if found is None or found.scale.size != self.low.size or found.zero_point.size != self.low.size:
            return False
        scale, zero_point = trained_range(self.low, self.high, int(self.narrow), LARGEST[tensor.dtype])
        return np.array_equal(scale.astype(np.float32), found.scale) and np.array_equal(
            zero_point, found.zero_point
        )


def fake_quantizations(tf: Any, graph: Any) -> list[FakeQuantization]:
    """Return the fake quantizations of a TensorFlow graph without variables, whose ranges are constant.

    Ranges that operations compute of weights are computed.

    Parameters
    ----------
    tf : module
        TensorFlow.
    graph : tf.Graph
    """
    found = []
    with tf.compat.v1.Session(graph=_without_conditions(tf, graph)) as session:
        for op in session.graph.get_operations():
            if not op.type.startswith("FakeQuantWithMinMax") or op.type.endswith("Gradient"):
                continue
            try:
                ends = _ends(op, session)
            except tf.errors.InvalidArgumentError:  # it depends on the network's inputs
                continue
            low, high = (np.atleast_1d(np.asarray(end, np.float32)) for end in ends)
            found.append(FakeQuantization(op.name, low, high, bool(op.get_attr("narrow_range"))))
    return found


def _without_conditions(tf: Any, graph: Any) -> Any:
    """Return a copy of a graph in which both branches of each condition can be evaluated."""
    definition = graph.as_graph_def()
    for node in definition.node:
        inputs = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        if node.op == "Switch":
            kind = node.attr["T"].type
            node.op, inputs = "IdentityN", [inputs[0]] * 2
            node.attr.clear()
            node.attr["T"].list.type.extend([kind] * 2)
        node.input.extend(inputs)
    copied = tf.Graph()
    with copied.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    return copied


def _ends(op: Any, session: Any) -> list[Any]:
    if op.type == "FakeQuantWithMinMaxArgs":
        return [op.get_attr("min"), op.get_attr("max")]
    return list(session.run(list(op.inputs[1:3])))


def has_pairs(data: bytes) -> bool:
    """Whether a model has tensors that fake quantization alone makes."""
    return any(t.dtype in LARGEST and t.is_quantized for t in read_model(data).subgraphs[0].tensors)


def with_ranges(data: bytes, known: list[FakeQuantization]) -> bytes:
    """Return the model with the range of each of its pairs, where one that is known gives its scales.

    Of several, the one is meant whose name is part of the tensor's.
    """
    model = read_model(data)
    for tensor in model.subgraphs[0].tensors:
        fitting = [one for one in known if tensor.dtype in LARGEST and one.gives(tensor)]
        if fitting and tensor.quantization is not None:
            chosen = next((one for one in fitting if one.name in tensor.name.split(";")), fitting[0])
            tensor.quantization.min, tensor.quantization.max = chosen.low, chosen.high
    return write_model(model)
