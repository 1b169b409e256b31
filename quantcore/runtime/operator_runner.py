"""`OperatorRunner`: one operator at a time, on given values, as verification needs it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantcore.custom_kernels.keys import Assignment, KernelTable
from quantcore.errors import KernelError
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.runtime.custom_operators import lowering_lock
from quantcore.runtime.lowered import Lowered
from quantcore.runtime.lowering import contiguous, numpy_dtype, operator_lowering
from quantcore.runtime.state import initial_state

__all__ = ["OperatorRunner"]


class OperatorRunner:
    """Runs the operators of a subgraph one by one, each on values that are given to it.

    State (variable tensors) starts at its initial value, and stays from one operator and sample to the next.

    Parameters
    ----------
    model : Model
    subgraph_index : int
    numerics : str
    kernels : KernelTable, optional
        Kernels of the user's.
    """

    def __init__(
        self, model: Model, subgraph_index: int, numerics: str, kernels: KernelTable | None = None
    ) -> None:
        self.model, self.subgraph_index = model, subgraph_index
        self.kernels = kernels or KernelTable({})
        self.subgraph = model.subgraphs[subgraph_index]
        self.profile = get_profile(numerics)
        self.state = {t: initial_state(self.subgraph.tensors[t]) for t in self.subgraph.variables()}

    def run(self, operator_index: int, values: Mapping[int, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of an operator, in its order.

        Parameters
        ----------
        operator_index : int
        values : dict of int to ndarray
            Value of each of the operator's inputs by tensor index, but for constants and state; others may
            be there.

        Raises
        ------
        KernelError
            If a value is missing or has the wrong dtype.
        UnsupportedOperatorError
            If the operator cannot be lowered.
        """
        op = self.subgraph.operators[operator_index]
        lowered = Lowered(list(self.subgraph.tensors))
        given: dict[int, np.ndarray] = {}
        for t in op.inputs:
            if t < 0:
                continue
            tensor = self.subgraph.tensors[t]
            if tensor.data is not None:
                lowered.add_known(t, tensor)
                continue
            known = self.state if t in self.state else values
            if t not in known:
                raise KernelError(f"operator {operator_index} ({op.op}): no value given for input tensor {t}")
            value = np.asarray(known[t])
            if value.dtype != numpy_dtype(tensor, t):
                raise KernelError(f"tensor {t} ({tensor.name!r}) has dtype {tensor.dtype}, got {value.dtype}")
            given[t] = contiguous(value)
            lowered.shapes[t] = value.shape
            if value.dtype.kind in "iub" and tensor.quantization is None:
                # Unquantized integers may be shapes, axes, indices or conditions that lowering must know.
                lowered.values[t] = value
        lower_next = operator_lowering(
            self.model, self.subgraph_index, self.profile, lowered, assignment=Assignment(self.kernels)
        )
        with lowering_lock:
            lower_next(self.subgraph, operator_index)
        results = _run_steps(lowered, given, len(self.subgraph.tensors))
        return [results[t] for t in op.outputs if t >= 0]


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
        step.run(inputs, outputs)
        known.update(zip(step.tensors[count:], outputs, strict=True))
    return known
