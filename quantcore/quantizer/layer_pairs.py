"""Pairs of layers between which channels can be scaled: nothing but positively homogeneous operators between.

See `quantcore.quantizer.equalization`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantcore.graph import Tensor
from quantcore.quantizer.float_graph import FloatGraph

__all__ = ["BIAS", "INPUT_AXIS", "OUTPUT_AXIS", "WEIGHTS", "LayerPair", "channel_count", "find_pairs"]

HOMOGENEOUS = ("NONE", "RELU")  # fused activations f with f(a * x) = a * f(x) for every positive a
POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
# Dimension of the output channels of the weights, and of the input channels
OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
INPUT_AXIS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 1}
WEIGHTS, BIAS = 1, 2  # positions among the inputs


@dataclass(frozen=True, slots=True)
class LayerPair:
    """Two operators between which channels can be scaled: `first` writes `tensor`, `second` reads it, or what
    pooling and the like make of it."""

    first: int
    second: int
    tensor: int


def find_pairs(graph: FloatGraph) -> tuple[list[LayerPair], dict[int, str]]:
    """Return the pairs in execution order, and why other operators with weights begin none."""
    pairs, skipped = [], {}
    for i, op in enumerate(graph.operators):
        if op.op in OUTPUT_AXIS:
            found = _pair(graph, i)
            if isinstance(found, LayerPair):
                pairs.append(found)
            else:
                skipped[i] = found
    return pairs, skipped


def _pair(graph: FloatGraph, i: int) -> LayerPair | str:
    """Return the pair that begins with operator `i`, or why there is none."""
    op = graph.operators[i]
    reason = _unfit(graph, i)
    if reason:
        return reason
    value = op.outputs[0]
    activation = op.options.get("fused_activation_function", "NONE")
    while True:
        if activation not in HOMOGENEOUS:
            return f"{activation} is bounded or not homogeneous"
        if value in graph.subgraph.outputs:
            return "its output is an output of the model"
        uses = [use for use in graph.uses.get(value, []) if graph.operators[use[0]].op != "SHAPE"]
        if len(uses) != 1 or uses[0][1] != 0:
            return "its output is read by several, or beside another value"
        after = uses[0][0]
        reader = graph.operators[after]
        if reader.op in INPUT_AXIS:
            reason = _unfit(graph, after) or _channels_fit(graph, i, after)
            return f"operator {after} behind it: {reason}" if reason else LayerPair(i, after, op.outputs[0])
        if not _passes_channels(graph, after):
            return f"{reader.name} follows"
        value = reader.outputs[0]
        activation = reader.options.get("fused_activation_function", "NONE")


def _unfit(graph: FloatGraph, i: int) -> str:
    """Return why the weights and bias of operator `i` cannot be scaled; empty if they can."""
    for t in graph.operators[i].inputs[WEIGHTS:]:
        if t < 0:
            continue
        tensor = graph.tensor(t)
        if tensor.data is None or tensor.dtype != "float32" or tensor.sparsity is not None:
            return f"tensor {t} ({tensor.name!r}) is no plain float32 constant"
        if len(graph.uses[t]) > 1:
            return f"tensor {t} ({tensor.name!r}) is shared with other operators"
    return ""


def _channels_fit(graph: FloatGraph, i: int, after: int) -> str:
    """Return why the input channels of `after` are not the output channels of `i`; empty if they are.

    A FULLY_CONNECTED may read a flattened image, in which channels are the innermost dimension.
    """
    outputs = channel_count(graph, i, OUTPUT_AXIS)
    inputs = channel_count(graph, after, INPUT_AXIS)
    flat = graph.operators[after].op == "FULLY_CONNECTED"
    if inputs == outputs or (flat and inputs % outputs == 0):
        if graph.operators[after].options.get("depth_multiplier", 1) == 1:
            return ""
        return "its depth multiplier is not 1"
    return f"it has {inputs} input channels, not {outputs}"


def channel_count(graph: FloatGraph, i: int, axes: Mapping[str, int]) -> int:
    """Return how many channels the weights of operator `i` have along the axis that `axes` gives."""
    op = graph.operators[i]
    return graph.tensor(op.inputs[WEIGHTS]).shape[axes[op.op]]


def _passes_channels(graph: FloatGraph, i: int) -> bool:
    """Whether operator `i` is positively homogeneous and keeps channels innermost."""
    op = graph.operators[i]
    if op.op in ("RELU", "LEAKY_RELU", "PAD", *POOLS):
        return op.op != "PAD" or not _pads_channels(graph, i)
    if op.op in ("RESHAPE", "SQUEEZE"):
        return _flattens(graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0]))
    if op.op == "MEAN":
        axes = graph.tensor(op.inputs[1]).data
        rank = len(graph.tensor(op.inputs[0]).shape)
        return axes is not None and all(0 <= a % rank < rank - 1 for a in axes.reshape(-1).tolist())
    return False


def _pads_channels(graph: FloatGraph, i: int) -> bool:
    paddings = graph.tensor(graph.operators[i].inputs[1]).data
    return paddings is None or bool(paddings[-1].any())


def _flattens(before: Tensor, after: Tensor) -> bool:
    """Whether a reshape keeps the channels innermost: as they are, or flattened behind the batch."""
    same = before.shape[-1:] == after.shape[-1:]
    flat = len(after.shape) == 2 and after.shape[0] == before.shape[0]
    return bool(before.shape and after.shape) and (same or flat)
