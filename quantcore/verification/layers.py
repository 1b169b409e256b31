"""One subgraph against the oracle: layer by layer on the oracle's own tensors, then end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from quantcore.differences import differing
from quantcore.errors import QuantcoreError
from quantcore.graph import Model, Tensor
from quantcore.numerics import get_profile
from quantcore.oracle import Oracle
from quantcore.oracle.arguments import ModelLike
from quantcore.runtime import Interpreter, run_operator
from quantcore.runtime.state import initial_state
from quantcore.subgraphs import intermediate_tensors
from quantcore.verification.floats import allowances, computed_inexactly
from quantcore.verification.result import Comparison, VerifyResult

__all__ = ["Sample", "SubgraphCheck", "Values", "compare_layers", "give_reason"]

Sample = list[np.ndarray]
Values = dict[int, np.ndarray]

CHUNK_BYTES = 1 << 28  # of intermediate tensors held at a time


class SubgraphCheck:
    """A subgraph, the oracle, and the rows that comparing them fills.

    Parameters
    ----------
    source : Model, bytes or path
        The model as it is, for the end-to-end comparison.
    model : Model
        The same, read.
    index : int
        Of the subgraph.
    numerics : str
    oracle : Oracle
    step : callable
        Called with a description after each operator and sample.
    """

    def __init__(
        self,
        source: ModelLike,
        model: Model,
        index: int,
        numerics: str,
        oracle: Oracle,
        step: Callable[[str], None],
    ) -> None:
        self.source, self.model, self.index = source, model, index
        self.numerics, self.oracle, self.step = numerics, oracle, step
        self.subgraph = model.subgraphs[index]
        self.operators = self.subgraph.operators
        self.clear()

    def clear(self) -> None:
        """Start again with empty rows, and state tensors as they are at first."""
        self.states = {t: initial_state(v) for t, v in enumerate(self.subgraph.tensors) if v.is_variable}
        self.rows = [[self._row(t, i) for t in op.outputs if t >= 0] for i, op in enumerate(self.operators)]
        self.end_to_end = [self._row(t, None) for t in self.subgraph.outputs]

    def _row(self, t: int, i: int | None) -> Comparison:
        tensor = self.subgraph.tensors[t]
        op = None if i is None else self.operators[i].op
        return Comparison(self.index, t, tensor.name, tensor.dtype, i, op)

    def run_ours(self, i: int, values: Mapping[int, np.ndarray]) -> list[np.ndarray]:
        """Run operator `i` on `values` (constants left out) and on its state, which it updates."""
        inputs = self.operators[i].inputs
        given = {t: values[t] for t in inputs if t in values}
        return run_operator(self.model, self.index, i, {**given, **self.states}, self.numerics)

    def compare(
        self, i: int, number: int, values: Values, ours: list[np.ndarray], theirs: Mapping[int, np.ndarray]
    ) -> None:
        """Add sample `number` of operator `i`, whose inputs were `values`, to its rows."""
        allowed = allowances(self.model, self.index, i, values, ours, self.numerics)
        for k, (row, array) in enumerate(zip(self.rows[i], ours, strict=True)):
            if row.tensor not in theirs:
                give_reason([row], "the oracle does not hand out tensors that hold state, handles or strings")
            elif self.has_stored_shape(row, array, theirs[row.tensor]):
                pass
            elif allowed is None:
                row.add(number, array, theirs[row.tensor])
            else:
                row.compared_in, row.bound = "ulps", allowed[0]
                row.add(number, array, theirs[row.tensor], allowed[1][k])

    def has_stored_shape(self, row: Comparison, ours: np.ndarray, theirs: np.ndarray) -> bool:
        """Whether the oracle took a shape from the file that is not the actual one, which `row` then says."""
        tensor = self.subgraph.tensors[row.tensor]
        stored = -1 in (tensor.shape_signature or ()) and ours.shape != theirs.shape == tensor.shape
        if self.numerics != "tflm" or not stored:
            return False
        give_reason([row], f"TensorFlow Lite Micro takes the shape from the file; here it is {ours.shape}")
        return True

    def chunks(
        self, samples: Sequence[Sample], tensors: Sequence[int]
    ) -> Iterator[tuple[int, Sequence[Sample]]]:
        """Yield (number of the first sample, samples), as many at a time as memory for `tensors` allows.

        Where there is state, all at once, since the oracle keeps it within one call only.
        """
        per_sample = sum(_nbytes(self.subgraph.tensors[t]) for t in tensors)
        size = len(samples) if self.states else max(1, CHUNK_BYTES // max(1, per_sample))
        for first in range(0, len(samples), size):
            yield first, samples[first : first + size]

    def ask(
        self,
        model: ModelLike,
        samples: Sequence[Sample],
        outputs: Sequence[int] | None = None,
        subgraph: int = 0,
    ) -> list[list[np.ndarray]]:
        """Return the oracle's outputs for consecutive samples, from fresh state."""
        return self.oracle.run_batch(model, samples, outputs, subgraph=subgraph, keep_state=bool(self.states))

    def add_to_result(self, result: VerifyResult) -> None:
        """Append the rows to `result`."""
        result.operators += [row for rows in self.rows for row in rows]
        result.end_to_end += self.end_to_end


def compare_layers(check: SubgraphCheck, samples: Sequence[Sample]) -> list[str]:
    """Fill the rows from the oracle's tensors, and return notes.

    The oracle runs every sample twice: as the model stands, for the end-to-end comparison, and rewritten so
    that it hands out all tensors.

    Raises
    ------
    OracleError
        The oracle could not run the subgraph.
    """
    subgraph = check.subgraph
    wanted = list(dict.fromkeys([*subgraph.inputs, *intermediate_tensors(subgraph), *subgraph.outputs]))
    whole = _Whole(check)
    notes: list[str] = []
    prepared: Values | None = None
    for first, chunk in check.chunks(samples, wanted):
        outputs = check.ask(check.source, chunk, subgraph=check.index)
        tensors = check.ask(check.model, chunk, wanted, check.index)
        if prepared is None:
            prepared = _computed_while_preparing(check, chunk[0])
        for number, (sample, expected, result) in enumerate(zip(chunk, outputs, tensors, strict=True), first):
            values = dict(zip(wanted, result, strict=True)) | prepared
            for i, op in enumerate(check.operators):
                _compare_operator(check, i, values, number)
                check.step(f"operator {i} {op.op}")
            whole.compare(sample, expected, number)
            if not notes and not _agree(expected, [values[t] for t in subgraph.outputs]):
                notes.append(
                    f"sample {number}: the oracle gave other outputs when asked for intermediate tensors; "
                    "the layers above may not be what it computes otherwise"
                )
    return notes + whole.notes()


def _computed_while_preparing(check: SubgraphCheck, sample: Sample) -> Values:
    """Return the tensors that follow from constants alone, where the profile has a delegate.

    A delegate computes them once, while it prepares, and hands out unwritten memory for them (XNNPACK, the
    DEQUANTIZE of int8 filters): they are taken from the kernels that it delegates for.
    """
    fallback = get_profile(check.numerics).fallback
    known = {t for t, tensor in enumerate(check.subgraph.tensors) if tensor.data is not None}
    found: list[int] = []
    for op in check.operators:
        if op.inputs and known.issuperset(t for t in op.inputs if t >= 0):
            known.update(op.outputs)
            found += [t for t in op.outputs if t >= 0]
    if fallback is None or not found:
        return {}
    kernels = check.oracle.sibling(get_profile(fallback).resolver)
    (values,) = kernels.run_batch(check.model, [sample], found, subgraph=check.index)
    return dict(zip(found, values, strict=True))


def _agree(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return all(x.shape == y.shape and not differing(x, y).any() for x, y in zip(a, b, strict=True))


def _compare_operator(check: SubgraphCheck, i: int, values: Values, number: int) -> None:
    try:
        ours = check.run_ours(i, values)
    except QuantcoreError as error:
        give_reason(check.rows[i], str(error))
        return
    check.compare(i, number, values, ours, values)


class _Whole:
    """The end-to-end comparison."""

    def __init__(self, check: SubgraphCheck) -> None:
        self.check = check
        self.interpreter: Interpreter | None = None
        self.undefined: set[int] = set()
        try:
            self.interpreter = Interpreter(check.model, check.numerics, subgraph_index=check.index)
        except QuantcoreError as error:
            give_reason(check.end_to_end, str(error))
            return
        self.undefined = computed_inexactly(check.model, check.index, check.numerics)
        for row in check.end_to_end:
            if row.tensor in self.undefined and row.dtype == "float32":
                row.compared_in = "ulps"

    def notes(self) -> list[str]:
        """Say which wrong outputs may be due to floats whose bits are not defined."""
        return [
            f"output {row.tensor} follows float operators that are not exact in {self.check.numerics}, so it "
            "may differ end to end although each operator agrees"
            for row in self.check.end_to_end
            if row.mismatches and row.tensor in self.undefined
        ]

    def compare(self, sample: Sample, expected: Sequence[np.ndarray], number: int) -> None:
        """Run the whole subgraph on the next sample."""
        if self.interpreter is None:
            return
        try:
            ours = self.interpreter.run(sample)
        except QuantcoreError as error:
            give_reason(self.check.end_to_end, str(error))
            return
        for row, array, wanted in zip(self.check.end_to_end, ours, expected, strict=True):
            if self.check.has_stored_shape(row, array, wanted):
                continue
            # Errors grow from layer to layer, by nothing that one could state; each layer has its bound.
            row.add(number, array, wanted, np.inf if row.compared_in == "ulps" else None)


def give_reason(rows: Sequence[Comparison], reason: str) -> None:
    """Record why `rows` were not compared, unless there is a reason already."""
    for row in rows:
        row.reason = row.reason or reason


def _nbytes(tensor: Tensor) -> int:
    try:
        itemsize = np.dtype(tensor.dtype).itemsize
    except TypeError:
        itemsize = 1
    return itemsize * int(np.prod([max(1, n) for n in tensor.shape], dtype=object))
