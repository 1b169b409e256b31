"""Which ranges fix parameters, in the mode int8: the others follow from their neighbours.

Source of the rule: TensorFlow's MLIR quantizer, ``RemoveRedundantStatsOps`` (``quantization_utils.cc``).
"""

from __future__ import annotations

from collections.abc import Iterable

from quantcore.quantizer.float_graph import FloatGraph

__all__ = ["prune_statistics"]


def prune_statistics(graph: FloatGraph, measured: Iterable[int]) -> list[int]:
    """Return the values whose own range fixes their parameters, in the order of the graph.

    Forward, a value gives its range to the results of its users of one scale that have a single float
    operand (a pool, a reshape), and so on behind those; operators of a fixed output range need none.
    Backward, a value that still has its range, and comes from an operator of one scale (a concatenation),
    takes those of all operands, and so on before those, also past values that have lost theirs already.

    Parameters
    ----------
    graph : FloatGraph
    measured : iterable of int
        Values that have a range.
    """
    known = set(measured)
    in_order = dict.fromkeys((*graph.subgraph.inputs, *graph.producers))
    order = [t for t in in_order if t in known and graph.is_value(t)]
    redundant: set[int] = set()
    stack = list(order)
    while stack:
        t = stack.pop()
        producer = graph.producers.get(t)
        if producer is not None and "int8" in graph.rules[producer].fixed_output:
            redundant.add(t)
        for user, _ in graph.uses.get(t, ()):
            if graph.rules[user].same_scale and len(graph.float_operands(user)) == 1:
                follow = [r for r in graph.operators[user].outputs if r in known]
                redundant.update(follow)
                stack += follow
    stack = [t for t in order if t not in redundant]
    while stack:
        producer = graph.producers.get(stack.pop())
        if producer is not None and graph.rules[producer].same_scale:
            before = [t for t in graph.operators[producer].inputs if t in known]
            redundant.update(before)
            stack += before
    return [t for t in order if t not in redundant]
