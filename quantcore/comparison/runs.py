"""A model whose tensors can be read after a run, and one operator of a model, each run many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantcore.graph import Model
from quantcore.oracle.rewrite import single_operator
from quantcore.runtime import Interpreter

__all__ = ["OperatorRun", "Values", "WholeRun"]

Values = Callable[[int], np.ndarray]  # of a tensor, by index


class WholeRun:
    """The main subgraph of a model, whose tensors can be read after a run."""

    def __init__(self, model: Model, numerics: str = "reference") -> None:
        self.inputs = model.subgraphs[0].inputs
        self.interpreter = Interpreter(model, numerics, experimental_preserve_all_tensors=True)

    def run(self, sample: Sequence[np.ndarray]) -> None:
        """Run once, from fresh state, on one array per input; shapes may differ from the stored ones."""
        _run(self.interpreter, self.inputs, sample)

    def value(self, t: int) -> np.ndarray:
        """Return a tensor, valid until the next run."""
        return self.interpreter.tensor(t)()


class OperatorRun:
    """One operator of the main subgraph of a model."""

    def __init__(self, model: Model, index: int, numerics: str = "reference") -> None:
        alone, self.inputs = single_operator(model, 0, index)
        self.outputs = [t for t in model.subgraphs[0].operators[index].outputs if t >= 0]
        self.main = alone.subgraphs[0]
        self.interpreter = Interpreter(alone, numerics)

    def run(self, value: Values) -> dict[int, np.ndarray]:
        """Return the outputs, for inputs that `value` gives, both by tensor index in the whole model."""
        _run(self.interpreter, self.main.inputs, [value(t) for t in self.inputs])
        found = [self.interpreter.get_tensor(t) for t in self.main.outputs]
        return dict(zip(self.outputs, found, strict=True))


def _run(interpreter: Interpreter, inputs: Sequence[int], arrays: Sequence[np.ndarray]) -> None:
    shapes = [tuple(detail["shape"]) for detail in interpreter.get_input_details()]
    for t, shape, array in zip(inputs, shapes, arrays, strict=True):
        if shape != array.shape:
            interpreter.resize_tensor_input(t, array.shape)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    for t, array in zip(inputs, arrays, strict=True):
        interpreter.set_tensor(t, array)
    interpreter.invoke()
