"""A model whose tensors can be read after a run, and one operator of a model, each run many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from quantcore.graph import Model
from quantcore.runtime import Interpreter
from quantcore.subgraphs import single_operator

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
        self.alone, self.inputs = single_operator(model, 0, index)
        self.outputs = [t for t in model.subgraphs[0].operators[index].outputs if t >= 0]
        self.numerics = numerics
        self._interpreter: Interpreter | None = None
        self._known: dict[int, np.ndarray] = {}

    def run(self, value: Values) -> dict[int, np.ndarray]:
        """Return the outputs, for inputs that `value` gives, both by tensor index in the whole model."""
        main = self.alone.subgraphs[0]
        arrays = {place: value(t) for place, t in zip(main.inputs, self.inputs, strict=True)}
        interpreter = self._fitting(arrays)
        inputs = [t for t in main.inputs if t not in self._known]
        _run(interpreter, inputs, [arrays[t] for t in inputs])
        found = [interpreter.get_tensor(t) for t in main.outputs]
        return dict(zip(self.outputs, found, strict=True))

    def _fitting(self, arrays: dict[int, np.ndarray]) -> Interpreter:
        """Return the interpreter for these inputs.

        Integers that may be shapes or axes are constants to it, and it starts with the actual shapes: the
        stored ones of a model of any size need not fit each other.
        """
        main = self.alone.subgraphs[0]
        known = {
            t: a for t, a in arrays.items() if a.dtype.kind in "iub" and not main.tensors[t].is_quantized
        }
        same = all(np.array_equal(array, self._known[t]) for t, array in known.items() if t in self._known)
        if self._interpreter is None or not same:
            self._known = {t: array.copy() for t, array in known.items()}
            tensors = list(main.tensors)
            for t, array in arrays.items():
                tensors[t] = replace(tensors[t], shape=array.shape, data=self._known.get(t))
            inputs = tuple(t for t in main.inputs if t not in known)
            model = self.alone.with_main(replace(main, tensors=tensors, inputs=inputs))
            self._interpreter = Interpreter(model, self.numerics)
        return self._interpreter


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
