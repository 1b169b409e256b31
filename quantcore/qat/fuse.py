"""Batch normalizations folded, activations fused, as TensorFlow Lite's converter does."""

from __future__ import annotations

from typing import Any

import keras

from quantcore.errors import QuantizationError
from quantcore.qat.graph import Graph, Step
from quantcore.qat.kinds import AFFINE, FUSABLE, OWN, ROUNDS, SAME, WEIGHTS

__all__ = ["fold_batch_norms", "fuse_activations"]

POOLS = ("MaxPooling2D", "AveragePooling2D", "MaxPooling1D", "AveragePooling1D")


def fold_batch_norms(graph: Graph) -> None:
    """Fold each BatchNormalization that alone reads a convolution or dense layer into that layer.

    Raises
    ------
    QuantizationError
        A shared layer, followed by different batch normalizations.
    """
    readers, producers = graph.readers(), graph.producers()
    folded: dict[int, Any] = {}
    for step in list(graph.steps):
        if step.kind != AFFINE or not isinstance(step.layer, keras.layers.BatchNormalization):
            continue
        before = producers.get(step.inputs[0])
        if before is None or before.kind != WEIGHTS or not _only_reader(graph, readers, step):
            continue
        before.options["batch_norm"] = step.layer
        before.outputs = step.outputs
        graph.steps.remove(step)
    for step in graph.steps:
        if step.kind == WEIGHTS:
            norm = step.options.get("batch_norm")
            if folded.setdefault(id(step.layer), norm) is not norm:
                raise QuantizationError(
                    f"layer {step.name!r} is called more than once, and not always followed by the same "
                    "batch normalization, so there is no one set of folded weights; use a layer for each call"
                )


def fuse_activations(graph: Graph) -> None:
    """Mark the activations that become part of the operator before them; others become operators.

    A step that is followed by such an activation has the option ``fused``: its own output is never seen.
    """
    readers, producers = graph.readers(), graph.producers()
    for step in graph.steps:
        if step.kind != FUSABLE:
            continue
        before = producers.get(step.inputs[0])
        if before is not None and _fuses(before) and _only_reader(graph, readers, step):
            before.options["fused"] = True
            step.options["output"] = before.name
        elif before is not None and type(before.layer).__name__ in POOLS and before.kind in (SAME, ROUNDS):
            step.kind = SAME  # a pool with an activation: what it leaves is on the same grid
        else:
            step.kind = OWN


def _fuses(step: Step) -> bool:
    """Whether an activation becomes part of an operator; of TRANSPOSE_CONV only where a bias is added."""
    if isinstance(step.layer, keras.layers.Conv2DTranspose):
        return step.layer.use_bias or "batch_norm" in step.options
    return step.kind in (WEIGHTS, AFFINE) or (step.kind == OWN and bool(step.options.get("fuses")))


def _only_reader(graph: Graph, readers: dict[int, list[Step]], step: Step) -> bool:
    (value,) = step.inputs
    return len(readers[value]) == 1 and value not in graph.outputs
