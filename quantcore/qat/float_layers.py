"""Layers that are left in float, where the converter would quantize them all the same."""

from __future__ import annotations

from quantcore.errors import QuantizationError
from quantcore.qat.graph import Graph, Step
from quantcore.qat.kinds import FLOAT, KINDS, OWN, WEIGHTS

__all__ = ["check_float_layers"]


def check_float_layers(graph: Graph) -> None:
    """Refuse to leave single operators in float that stand between quantized ones.

    The converter quantizes whatever has ranges on both sides, with weights that nobody trained for it. Two
    such layers in a row, or one at an end of the model, stay float.

    Raises
    ------
    QuantizationError
    """
    readers, producers = graph.readers(), graph.producers()
    for step in graph.steps:
        if step.kind != FLOAT or _own_kind(step) not in (WEIGHTS, OWN):
            continue
        before = [producers.get(value) for value in step.inputs]
        if any(one is not None and one.kind == FLOAT for one in before):
            continue
        if _leads_to_quantized(graph, readers, step) and not _is_first(graph, readers, step):
            raise QuantizationError(
                f"layer {step.name!r} cannot stay float: the converter quantizes what stands between "
                "quantized layers; take it from float_layers, or leave a layer beside it in float too"
            )


def _own_kind(step: Step) -> str:
    name = type(step.layer).__name__
    return OWN if name in ("Add", "Multiply", "Subtract") else KINDS.get(name, "")


def _is_first(graph: Graph, readers: dict[int, list[Step]], step: Step) -> bool:
    """Whether an input is one of the model's that no quantized step reads, and so has no range."""
    return any(
        value in graph.inputs and all(reader.kind == FLOAT for reader in readers[value])
        for value in step.inputs
    )


def _leads_to_quantized(graph: Graph, readers: dict[int, list[Step]], step: Step) -> bool:
    """Whether what reads the output is quantized, not counting what becomes part of the operator."""
    (value,) = step.outputs
    if value in graph.outputs or not readers[value]:
        return False
    for reader in readers[value]:
        if reader.kind != FLOAT:
            continue
        part = type(reader.layer).__name__ in ("BatchNormalization", "ReLU", "Dropout")
        if not (part and _leads_to_quantized(graph, readers, reader)):
            return False
    return True
