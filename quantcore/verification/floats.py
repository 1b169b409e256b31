"""How far float results may be apart where a backend does not define their bits.

An optimized kernel adds the products of a convolution in the order that suits the CPU's vectors; XNNPACK
approximates some functions. For these, and for these only (`quantcore.numerics.Rule.form` marks them),
verification compares in units in the last place (ULPs), within a bound that is stated:

- sums (``summed``): what any two orders of summation can differ by, element by element. The error of a sum
  of n terms is at most about ``n * 2**-24 * (|t1| + ... + |tn|)``, so the bound is twice that, and the sum of
  magnitudes is what the same operator gives for the absolute values of its inputs.
- approximations (``approximate``): 64 ULPs of the tensor's largest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from quantcore.graph import Model, Operator
from quantcore.ops.node import Node
from quantcore.runtime import OperatorRunner
from quantcore.subgraphs import called_subgraphs, reachable_subgraphs
from quantcore.verification.rules import inexact, make_node

__all__ = ["APPROXIMATE_ULPS", "BOUNDS", "allowances", "computed_inexactly"]

APPROXIMATE_ULPS = 64
EXTRA_ROUNDINGS = 4  # beside one per term: the bias, a division by the count, the store
UNIT_ROUNDOFF = 2.0**-24

BOUNDS = {
    "summed": "what two orders of summation can differ by",
    "approximate": f"{APPROXIMATE_ULPS} ULPs of the tensor's largest value",
    "called": "none: the operators of the subgraphs that it calls have bounds",
}


def allowances(
    model: Model,
    subgraph_index: int,
    i: int,
    values: Mapping[int, np.ndarray],
    ours: Sequence[np.ndarray],
    numerics: str,
) -> tuple[str, list[np.ndarray]] | None:
    """Return how far each output of an operator may be from the oracle's.

    Parameters
    ----------
    model : Model
    subgraph_index, i : int
        The operator.
    values : mapping
        Its inputs by tensor index, and anything else.
    ours : sequence of ndarray
        What quantcore computed.
    numerics : str

    Returns
    -------
    tuple of (str, list of ndarray) or None
        The bound in words, and per output the largest allowed difference of each element; None where every
        bit is defined.
    """
    if _calls_inexactly(model, model.subgraphs[subgraph_index].operators[i], numerics):
        return BOUNDS["called"], [np.full(y.shape, np.inf) for y in ours]
    node = make_node(model, subgraph_index, i, values, numerics)
    form = inexact(node)
    if form is None:
        return None
    if form == "approximate":
        return BOUNDS[form], [_ulps_of_largest(y) for y in ours]
    sums = _sums_of_magnitudes(model, subgraph_index, i, values, numerics)
    factor = 2 * (_terms(node, ours[0]) + EXTRA_ROUNDINGS) * UNIT_ROUNDOFF
    return BOUNDS[form], [y.astype(np.float64) * factor for y in sums]


def _ulps_of_largest(y: np.ndarray) -> np.ndarray:
    finite = np.abs(y[np.isfinite(y)])
    largest = finite.max() if finite.size else np.float32(0)
    return np.full(y.shape, APPROXIMATE_ULPS * float(np.spacing(largest)))


def _terms(node: Node, y: np.ndarray) -> int:
    """Return how many terms an output adds."""
    macs = node.definition.macs if node.definition is not None else None
    node.output.shape = y.shape
    total = macs(node) if macs is not None else node.input(0).count
    return -(-total // max(1, y.size))


def _sums_of_magnitudes(
    model: Model, subgraph_index: int, i: int, values: Mapping[int, np.ndarray], numerics: str
) -> list[np.ndarray]:
    """Run a linear operator on the absolute values of its inputs, without activation."""
    subgraph = model.subgraphs[subgraph_index]
    op = subgraph.operators[i]
    tensors = list(subgraph.tensors)
    for t in op.inputs:
        data = tensors[t].data if t >= 0 else None
        if data is not None and data.dtype == np.float32:
            tensors[t] = replace(tensors[t], data=np.abs(data))
    operators = list(subgraph.operators)
    options = dict(op.options)
    if "fused_activation_function" in options:
        options["fused_activation_function"] = "NONE"
    operators[i] = replace(op, options=options)
    subgraphs = list(model.subgraphs)
    subgraphs[subgraph_index] = replace(subgraph, tensors=tensors, operators=operators)
    given = {t: values[t] for t in op.inputs if t in values}
    magnitudes = {t: np.abs(v) if v.dtype == np.float32 else v for t, v in given.items()}
    return OperatorRunner(replace(model, subgraphs=subgraphs), subgraph_index, numerics).run(i, magnitudes)


def computed_inexactly(model: Model, subgraph_index: int, numerics: str) -> set[int]:
    """Return the tensors whose bits are not defined when the whole subgraph is run.

    They are the outputs of inexact operators, and all that is computed from them.
    """
    found: set[int] = set()
    for i, op in enumerate(model.subgraphs[subgraph_index].operators):
        node = make_node(model, subgraph_index, i, {}, numerics)
        if found & set(op.inputs) or inexact(node) is not None or _calls_inexactly(model, op, numerics):
            found.update(op.outputs)
    return found


def _calls_inexactly(model: Model, op: Operator, numerics: str) -> bool:
    """Whether an operator calls subgraphs (but not itself) that compute bits that are not defined."""
    called = [s for s in called_subgraphs(op) if 0 <= s < len(model.subgraphs)]
    return any(
        inexact(make_node(model, s, i, {}, numerics)) is not None
        for s in reachable_subgraphs(model, called)
        for i in range(len(model.subgraphs[s].operators))
    )
