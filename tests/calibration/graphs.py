"""Small float graphs, written by names."""

from __future__ import annotations

import numpy as np

from quantcore.graph import Model, Operator, Subgraph, Tensor

OPTIONS = {
    "ADD": {"fused_activation_function": "NONE", "pot_scale_int16": True},
    "SUB": {"fused_activation_function": "NONE", "pot_scale_int16": True},
    "MUL": {"fused_activation_function": "NONE"},
    "DIV": {"fused_activation_function": "NONE"},
    "SOFTMAX": {"beta": 1.0},
}


class Graph:
    """A float model with inputs of the given shapes; operators are added in run order."""

    def __init__(self, **inputs: tuple[int, ...]) -> None:
        self.inputs = tuple(range(len(inputs)))
        self.tensors = {name: Tensor(name, shape, "float32") for name, shape in inputs.items()}
        self.operators: list[tuple[str, list[str], str]] = []
        self.outputs: list[str] = []

    def op(self, op: str, *names: str) -> str:
        """Add an operator; the last of `names` is its output, which is returned."""
        *inputs, output = names
        shape = np.broadcast_shapes(*(self.tensors[name].shape for name in inputs))
        self.tensors[output] = Tensor(output, shape, "float32")
        self.operators.append((op, inputs, output))
        return output

    def constant(self, name: str, value: float) -> str:
        """Add a constant of one element."""
        self.tensors[name] = Tensor(name, (1,), "float32", data=np.array([value], np.float32))
        return name

    def reshape(self, name: str, output: str, shape: tuple[int, ...]) -> str:
        """Add a RESHAPE."""
        target = f"shape of {output}"
        self.tensors[target] = Tensor(target, (len(shape),), "int32", data=np.array(shape, np.int32))
        self.tensors[output] = Tensor(output, shape, "float32")
        self.operators.append(("RESHAPE", [name, target], output))
        return output

    def end(self, op: str, *names: str, also: tuple[str, ...] = ()) -> None:
        """Add a last operator, whose output is that of the graph, and so are `also`."""
        self.op(op, *names, "y")
        self.outputs += ["y", *also]

    def model(self) -> Model:
        """Return the model."""
        index = {name: t for t, name in enumerate(self.tensors)}
        operators = [
            Operator(op, 1, tuple(index[x] for x in inputs), (index[output],), dict(OPTIONS.get(op, {})))
            for op, inputs, output in self.operators
        ]
        outputs = tuple(index[name] for name in self.outputs)
        return Model([Subgraph("main", list(self.tensors.values()), operators, self.inputs, outputs)])
