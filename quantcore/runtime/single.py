"""One operator alone, on given values: what verification needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.runtime.lowering import Lowered, check_constant, contiguous, lower_operator, numpy_dtype

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
    lowered = Lowered()
    given: dict[int, np.ndarray] = {}
    for t in op.inputs:
        if t < 0:
            continue
        tensor = subgraph.tensors[t]
        if tensor.data is not None:
            check_constant(tensor, t)
            lowered.values[t] = tensor.data
            lowered.shapes[t] = tensor.shape
            continue
        if t not in values:
            raise KernelError(f"operator {operator_index} ({op.op}): no value given for input tensor {t}")
        value = np.asarray(values[t])
        if value.dtype != numpy_dtype(tensor, t):
            raise KernelError(f"tensor {t} ({tensor.name!r}) has dtype {tensor.dtype}, got {value.dtype}")
        given[t] = contiguous(value)
        lowered.shapes[t] = value.shape
        if value.dtype.kind in "iu" and tensor.quantization is None:
            # Unquantized integers may be shapes, axes or indices that lowering must know.
            lowered.values[t] = value
    lower_operator(subgraph, operator_index, get_profile(numerics), lowered)
    if lowered.steps:
        step = lowered.steps[0]
        known = {**lowered.values, **given}
        written = [t for t in op.outputs if t >= 0]
        produced = {t: np.empty(lowered.shapes[t], numpy_dtype(subgraph.tensors[t], t)) for t in written}
        inputs = [None if t < 0 else contiguous(known[t]) for t in step.tensors[: -len(produced)]]
        step.call(inputs, list(produced.values()))
        lowered.values.update(produced)
    return [lowered.values[t] for t in op.outputs if t >= 0]
