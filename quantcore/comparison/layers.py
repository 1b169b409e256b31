"""Run two models on the same samples and add the error of every tensor to its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantcore.affine import quantize
from quantcore.comparison.constants import constant_values, fixed_tensors
from quantcore.comparison.matching import Matching, Pair
from quantcore.comparison.measures import params_of, real_values
from quantcore.comparison.result import Row
from quantcore.comparison.runs import OperatorRun, Values, WholeRun
from quantcore.errors import KernelError, QuantcoreError
from quantcore.graph import Model, Tensor

__all__ = ["FEEDS", "Layers"]

FEEDS = ("quantized", "float", "pairwise")


class Layers:
    """Two matched models, fed as `feed` says.

    Parameters
    ----------
    float_model, quant_model : Model
    matching : Matching
    rows : list of Row
    feed : str
        One of `FEEDS`.
    numerics : str
    """

    def __init__(
        self,
        float_model: Model,
        quant_model: Model,
        matching: Matching,
        rows: Sequence[Row],
        feed: str,
        numerics: str,
    ) -> None:
        self.float_model, self.quant_model = float_model, quant_model
        self.matching, self.feed, self.numerics = matching, feed, numerics
        self.floats, self.quants = float_model.subgraphs[0], quant_model.subgraphs[0]
        self.rows: dict[int | None, list[Row]] = {}
        for row in rows:
            self.rows.setdefault(row.index, []).append(row)
        self.whole_float = WholeRun(float_model, numerics)
        self.whole_quant = None if feed == "float" else WholeRun(quant_model, numerics)
        self.fixed = fixed_tensors(self.quants)
        self.alone: dict[tuple[int, bool], OperatorRun] = {}

    @property
    def steps(self) -> int:
        """How often `add` calls its `step`."""
        return len(self.matching.pairs)

    def add(self, sample: Sequence[np.ndarray], step: Callable[[str], None]) -> None:
        """Run one sample, an array for each input of the float model, and add it to the rows."""
        self.whole_float.run(sample)
        given = dict(zip(self.floats.inputs, sample, strict=True))
        inputs = [
            as_input(given[self.matching.tensors[t]], self.quants.tensors[t]) for t in self.quants.inputs
        ]
        if self.whole_quant is not None:
            self.whole_quant.run(inputs)
        for row, array in self._graph_inputs(inputs):
            row.sums.update(given[row.float_tensor], array, row.params)
        for pair in self.matching.pairs:
            rows = self.rows.get(pair.quant, [])
            try:
                self._add_pair(pair, rows)
            except QuantcoreError as error:
                for row in rows:
                    row.reason = row.reason or str(error)
            step(f"operator {pair.quant} {self.quants.operators[pair.quant].op}")

    def _graph_inputs(self, inputs: Sequence[np.ndarray]) -> list[tuple[Row, np.ndarray]]:
        by_tensor = dict(zip(self.quants.inputs, inputs, strict=True))
        return [(row, by_tensor[row.tensor]) for row in self.rows.get(None, [])]

    def _add_pair(self, pair: Pair, rows: Sequence[Row]) -> None:
        expected, values = self._expected(pair), self._values(pair)
        for row in rows:
            x, y = expected(row.float_tensor), values(row.tensor)
            if x.size != y.size:
                row.reason = f"shape {y.shape}, but {x.shape} in the float model"
            elif not row.reason:
                row.sums.update(x, y, row.params)

    def _values(self, pair: Pair) -> Values:
        """Return what the quantized model has for the outputs of `pair`."""
        if self.whole_quant is not None:
            return self.whole_quant.value
        op = self.quants.operators[pair.quant]
        stands_for = dict(self.matching.tensors)
        if pair.floats:
            first = self.floats.operators[pair.floats[0]]
            stands_for |= {q: f for q, f in zip(op.inputs, first.inputs, strict=False) if q not in stands_for}

        def value(t: int) -> np.ndarray:
            tensor = self.quants.tensors[t]
            if t in self.fixed:
                return self._constant(t)
            if t not in stands_for:
                raise QuantcoreError(f"its input {t} ({tensor.name!r}) has no counterpart in the float model")
            return as_input(self.whole_float.value(stands_for[t]), tensor)

        return self._run_alone(pair.quant, True, value).__getitem__

    def _expected(self, pair: Pair) -> Values:
        """Return what the float model has for the outputs of `pair`."""
        if self.feed != "pairwise":
            return self.whole_float.value
        assert self.whole_quant is not None
        op = self.quants.operators[pair.quant]
        if not pair.floats:  # a cast: what goes in should come out
            source = self._real(op.inputs[0])
            return lambda t: source
        first = self.floats.operators[pair.floats[0]]
        known = {f: q for q, f in zip(op.inputs, first.inputs, strict=False) if q >= 0}
        results: dict[int, np.ndarray] = {}

        def value(t: int) -> np.ndarray:
            if t in results:
                return results[t]
            if t in self.floats.inputs:
                return self.whole_float.value(t)  # nothing has quantized it before
            return self._real(known[t]).astype(self.floats.tensors[t].dtype, copy=False)

        for f in pair.floats:
            results.update(self._run_alone(f, False, value))
        return results.__getitem__

    def _real(self, t: int) -> np.ndarray:
        """Return what a tensor of the quantized chain stands for."""
        assert self.whole_quant is not None
        if t in self.fixed:
            return self._constant(t)
        found: np.ndarray = real_values(self.whole_quant.value(t), params_of(self.quants.tensors[t]))
        return found

    def _constant(self, t: int) -> np.ndarray:
        values = constant_values(self.fixed[t])
        if values is None:
            raise QuantcoreError(f"constant {t} ({self.quants.tensors[t].name!r}) has no NumPy form")
        return values.astype(self.quants.tensors[t].dtype, copy=False)

    def _run_alone(self, index: int, of_quant: bool, value: Values) -> dict[int, np.ndarray]:
        key = index, of_quant
        if key not in self.alone:
            model = self.quant_model if of_quant else self.float_model
            self.alone[key] = OperatorRun(model, index, self.numerics)
        return self.alone[key].run(value)


def as_input(value: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return a value of the float model as the dtype of `tensor`: quantized, where it has parameters."""
    params = params_of(tensor)
    if value.dtype.kind == "f" and params is not None:
        return quantize(value, params)
    if value.dtype.name == tensor.dtype:
        return value
    if value.dtype.kind == "f" and tensor.dtype not in ("float16", "float32", "float64"):
        raise KernelError(
            f"tensor {tensor.name!r} is {tensor.dtype} without a scale; cannot be fed with floats"
        )
    return value.astype(tensor.dtype)
