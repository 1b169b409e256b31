"""Operator versions of a quantized model."""

from __future__ import annotations

from quantcore.graph import Model, Operator, Subgraph
from quantcore.numerics import get_profile
from quantcore.ops.registry import build_node, load_operators

__all__ = ["set_versions"]


def set_versions(model: Model, mode: str) -> None:
    """Set the version of each operator: for all operators of a kind the highest that one of them needs.

    A file of the converter has one operator code per kind. In the mode int16x8 versions are raised to a fixed
    number per kind; in the other modes they follow from the operands. Operators that quantcore does not run
    keep the version that they have.
    """
    versions: dict[str, int] = {}
    for graph in model.subgraphs:
        for i, op in enumerate(graph.operators):
            needed = int16x8_version(op, graph) if mode == "int16x8" else needed_version(graph, i)
            versions[op.name] = max(needed, versions.get(op.name, 1))
    for _, _, op in model.operators():
        op.version = versions[op.name]


def needed_version(graph: Subgraph, i: int) -> int:
    """Return the lowest version that expresses operator `i` with its operands."""
    node = build_node(graph, i, get_profile("reference"), {}, {})
    if node.definition is None or node.op.op == "CUSTOM":
        return node.op.version
    return node.definition.version(node)


def int16x8_version(op: Operator, graph: Subgraph) -> int:
    """Return the version that the quantizer of the mode int16x8 writes.

    It raises the version of QUANTIZE before it adds those that convert float inputs.
    """
    definition = load_operators().get(op.name)
    (t, *_) = op.inputs or (-1,)
    converts_input = op.op == "QUANTIZE" and t in graph.inputs and graph.tensors[t].dtype == "float32"
    if definition is None or converts_input:
        return op.version
    return max(op.version, definition.int16x8_version)
