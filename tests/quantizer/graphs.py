"""Small float models, built tensor by tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.graph import Model, Operator, Subgraph, Tensor

__all__ = ["Graph"]


class Graph:
    """A graph in the making; every method returns a tensor index."""

    def __init__(self) -> None:
        self.graph = Subgraph("main", [], [], (), ())

    def _tensor(self, tensor: Tensor) -> int:
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, *shape: int, dtype: str = "float32") -> int:
        """Add an input."""
        t = self._tensor(Tensor(f"input{len(self.graph.inputs)}", shape, dtype))
        self.graph.inputs += (t,)
        return t

    def constant(self, value: np.ndarray) -> int:
        """Add a constant."""
        name = f"constant{len(self.graph.tensors)}"
        return self._tensor(Tensor(name, value.shape, str(value.dtype), data=value))

    def variable(self, *shape: int) -> int:
        """Add float32 state."""
        name = f"state{len(self.graph.tensors)}"
        return self._tensor(Tensor(name, shape, "float32", is_variable=True))

    def add(
        self, op: str, inputs: tuple[int, ...], *shape: int, dtype: str = "float32", **options: Any
    ) -> int:
        """Add an operator with one result."""
        t = self._tensor(Tensor(f"{op.lower()}{len(self.graph.tensors)}", shape, dtype))
        self.graph.operators.append(Operator(op, 1, inputs, (t,), options))
        return t

    def model(self, *outputs: int) -> Model:
        """Return the model with these outputs."""
        self.graph.outputs = outputs
        return Model([self.graph])
