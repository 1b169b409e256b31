"""WHILE, IF and STABLEHLO_COMPOSITE."""

from __future__ import annotations

from quantcore.ops.node import CallSubgraph, Node, Operand, UnknownValueError
from quantcore.ops.registry import control_flow

COUNTERS = ("bool", "int32", "int64")


@control_flow("WHILE", max_version=1, page="control_flow")
def expand_while(node: Node, call: CallSubgraph) -> list[Operand]:
    """Write out one iteration after the other, as long as the condition holds."""
    condition, body = (node.options[f"{part}_subgraph_index"] for part in ("cond", "body"))
    state = all_inputs(node)
    while is_true(node, call(condition, state)):
        state = call(body, state)
    return state


@control_flow("IF", max_version=1, page="control_flow")
def expand_if(node: Node, call: CallSubgraph) -> list[Operand]:
    """Write out the branch that is taken."""
    condition, *arguments = all_inputs(node)
    branch = "then" if is_true(node, [condition]) else "else"
    return call(node.options[f"{branch}_subgraph_index"], arguments)


@control_flow("STABLEHLO_COMPOSITE", max_version=1, page="control_flow")
def expand_composite(node: Node, call: CallSubgraph) -> list[Operand]:
    """Write out the decomposition that the model gives for a composite operator."""
    return call(node.options["decomposition_subgraph_index"], all_inputs(node))


def all_inputs(node: Node) -> list[Operand]:
    """Return the inputs, none of which may be left out."""
    if not node.inputs:
        raise node.refuse("has no inputs; expected at least one")
    return [node.input(k) for k in range(len(node.inputs))]


def is_true(node: Node, condition: list[Operand]) -> bool:
    """Return a condition, which must be known before running."""
    if len(condition) != 1 or condition[0].dtype != "bool" or condition[0].count != 1:
        found = [f"{operand.dtype} {operand.shape}" for operand in condition]
        raise node.refuse(f"the condition is {', '.join(found) or 'missing'}; expected one bool")
    if condition[0].value is not None:
        return bool(condition[0].value.reshape(-1)[0])
    message = (
        "the condition is computed from data at run time; expected one that follows from constants, shapes "
        "and integer inputs, as in the loops of recurrent layers"
    )
    for x in node.inputs:
        if x is not None and x.value is None and x.dtype in COUNTERS:
            raise UnknownValueError(message, node.op.op, node.index, x.index)
    raise node.refuse(message)
