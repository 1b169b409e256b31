"""One operator alone, on given values: what verification needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.runtime.lowered import Lowered
from quantcore.runtime.lowering import contiguous, numpy_dtype, operator_lowering
from quantcore.runtime.state import initial_state

__all__ = ["run_operator"]


def run_operator(
    model: Model,
    subgraph_index: int,
    operator_index: int,
    values: Mapping[int, np.ndarray],
    numerics: str = "reference",
) -> list[np.ndarray]:
    """Run one operator on `values`.

    Parameters
    ----------
    model : Model
    subgraph_index, operator_index : int
    values : dict of int to ndarray
        Value of each of the operator's inputs by tensor index; constants of the model may be left out.
        A contiguous array that is given for a state tensor is updated in place.
    numerics : str

    Returns
    -------
    list of ndarray
        The outputs, in the operator's order.

    Raises
    ------
    KernelError
        If a value is missing or has the wrong dtype.
    UnsupportedOperatorError
        If the operator cannot be lowered.
    """
    subgraph = model.subgraphs[subgraph_index]
    op = subgraph.operators[operator_index]
    lowered = Lowered(list(subgraph.tensors))
    given: dict[int, np.ndarray] = {}
    for t in op.inputs:
        if t < 0:
            continue
        tensor = subgraph.tensors[t]
        if tensor.data is not None:
            lowered.add_known(t, tensor)
            continue
        if t not in values:
            raise KernelError(f"operator {operator_index} ({op.op}): no value given for input tensor {t}")
        value = np.asarray(values[t])
        if value.dtype != numpy_dtype(tensor, t):
            raise KernelError(f"tensor {t} ({tensor.name!r}) has dtype {tensor.dtype}, got {value.dtype}")
        given[t] = contiguous(value)
        lowered.shapes[t] = value.shape
        if value.dtype.kind in "iub" and tensor.quantization is None:
            # Unquantized integers may be shapes, axes, indices or conditions that lowering must know.
            lowered.values[t] = value
    operator_lowering(model, subgraph_index, get_profile(numerics), lowered)(subgraph, operator_index)
    known = _run_steps(lowered, given, len(subgraph.tensors))
    return [known[t] for t in op.outputs if t >= 0]


def _run_steps(lowered: Lowered, given: dict[int, np.ndarray], own: int) -> dict[int, np.ndarray]:
    """Return the value of every tensor; from `own` on they are those of subgraphs that are called."""
    known = {**lowered.values, **given}
    for t, tensor in enumerate(lowered.tensors[own:], own):
        if tensor.is_variable:
            known[t] = initial_state(tensor)
    for step in lowered.steps:
        count = len(step.tensors) - step.outputs
        inputs = [None if t < 0 else contiguous(known[t]) for t in step.tensors[:count]]
        outputs = [np.empty(lowered.shapes[t], lowered.tensors[t].dtype) for t in step.tensors[count:]]
        step.call(inputs, outputs)
        known.update(zip(step.tensors[count:], outputs, strict=True))
    return known
