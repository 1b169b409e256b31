"""What `Interpreter.run` takes, as one checked array per graph input; and the names of what it gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Model

__all__ = ["Arguments"]


class Arguments:
    """The inputs and outputs of a subgraph, by order and by name."""

    def __init__(self, model: Model, subgraph_index: int) -> None:
        self.tensors = model.subgraphs[subgraph_index].tensors
        self.inputs = model.subgraphs[subgraph_index].inputs
        self.outputs = model.subgraphs[subgraph_index].outputs
        self.signature = next((s for s in model.signatures if s.subgraph_index == subgraph_index), None)

    def ordered(self, x: Any, dtypes: list[np.dtype]) -> list[np.ndarray]:
        """Return `x` as one C-contiguous array per graph input, of these dtypes."""
        values: Sequence[Any]
        if isinstance(x, Mapping):
            values = self._by_name(x)
        elif isinstance(x, (list, tuple)):
            values = x
        else:
            values = (x,)
        if len(values) != len(self.inputs):
            raise KernelError(f"the model has {len(self.inputs)} inputs, got {len(values)} arrays")
        arrays = [np.asarray(value, order="C") for value in values]
        if [array.dtype for array in arrays] != dtypes:
            for t, array, dtype in zip(self.inputs, arrays, dtypes, strict=True):
                self.check_dtype(t, array, dtype)
        return arrays

    def _by_name(self, x: Mapping[str, Any]) -> list[Any]:
        by_name = {self.tensors[t].name: t for t in self.inputs}
        by_name.update(self.signature.inputs if self.signature else {})
        unknown = [name for name in x if name not in by_name]
        given = {by_name[name]: value for name, value in x.items() if name not in unknown}
        missing = [self.tensors[t].name for t in self.inputs if t not in given]
        if unknown or missing:
            known = ", ".join(by_name)
            raise KernelError(f"unknown inputs {unknown}, missing {missing}; known names: {known}")
        return [given[t] for t in self.inputs]

    def sample_count(
        self, arrays: Sequence[np.ndarray], shapes: list[tuple[int, ...]], shared: Collection[int]
    ) -> int:
        """Return how many runs `arrays` hold; all inputs must agree.

        Parameters
        ----------
        arrays : sequence of ndarray
        shapes : list of tuple
            Of the inputs, for one run.
        shared : collection of int
            Inputs that may be given once for all samples.
        """
        if [array.shape for array in arrays] == shapes:
            return 1
        counts = set()
        for t, array, shape in zip(self.inputs, arrays, shapes, strict=True):
            if array.shape == shape:
                counts |= set() if t in shared else {1}
            elif shape and array.shape[1:] == shape[1:] and shape[0] and array.shape[0] % shape[0] == 0:
                counts.add(array.shape[0] // shape[0])
            else:
                raise KernelError(
                    f"{self.describe(t)} has shape {shape}, or a multiple along the first axis; "
                    f"got {array.shape}"
                )
        if len(counts) > 1:
            raise KernelError(f"the inputs hold different numbers of samples: {sorted(counts)}")
        return counts.pop() if counts else 1

    def check_input(self, t: int) -> None:
        """Refuse a tensor that is no input."""
        if t not in self.inputs:
            raise KernelError(f"tensor {t} is not an input; the inputs are {list(self.inputs)}")

    def check_dtype(self, t: int, array: np.ndarray, dtype: np.dtype) -> None:
        """Refuse an array of another dtype than that of tensor `t`."""
        if array.dtype != dtype:
            raise KernelError(
                f"{self.describe(t)} has dtype {dtype}, got {array.dtype}; convert it explicitly"
            )

    def describe(self, t: int) -> str:
        """Return what messages call input `t`."""
        return f"input tensor {t} ({self.tensors[t].name!r})"

    def output_names(self) -> list[str]:
        """Return the name of each graph output: the signature's, else the tensor's."""
        by_tensor = {t: name for name, t in self.signature.outputs.items()} if self.signature else {}
        return [by_tensor.get(t, self.tensors[t].name) for t in self.outputs]
