"""One subgraph by one profile, and the oracle: the rows that comparing them fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from quantcore.custom_kernels import KernelTable
from quantcore.oracle import Oracle
from quantcore.oracle.packages import MICRO
from quantcore.oracle.prepared import Prepared
from quantcore.runtime import OperatorRunner
from quantcore.verification.entry_point import EntryPoint, Sample
from quantcore.verification.floats import allowances
from quantcore.verification.result import Comparison, VerifyResult

__all__ = ["SubgraphCheck", "Values", "give_reason"]

Values = dict[int, np.ndarray]


class SubgraphCheck:
    """A subgraph by one profile, the oracle, and the rows that comparing them fills.

    Parameters
    ----------
    entry : EntryPoint
    numerics : str
    oracle : Oracle
    step : callable
        Called with a description after each operator and sample.
    kernels : KernelTable, optional
        Kernels of the user's in the place of ours.
    """

    def __init__(
        self,
        entry: EntryPoint,
        numerics: str,
        oracle: Oracle,
        step: Callable[[str], None],
        kernels: KernelTable | None = None,
    ) -> None:
        self.kernels = kernels.without_indices() if kernels is not None and entry.index else kernels
        self.entry, self.numerics, self.oracle, self.step = entry, numerics, oracle, step
        self.operators = entry.subgraph.operators
        self.ours = OperatorRunner(entry.model, entry.index, numerics, self.kernels)
        self.rows = [[self._row(t, i) for t in op.outputs if t >= 0] for i, op in enumerate(self.operators)]
        self.end_to_end = [self._row(t, None) for t in entry.subgraph.outputs]

    def _row(self, t: int, i: int | None) -> Comparison:
        tensor = self.entry.subgraph.tensors[t]
        op = None if i is None else self.operators[i].op
        return Comparison(self.entry.index, t, tensor.name, tensor.dtype, i, op)

    def ask(self, prepared: Prepared, samples: Sequence[Sample]) -> list[list[np.ndarray]]:
        """Return the oracle's outputs for consecutive samples, from fresh state."""
        prepared = prepared.for_resolver(self.oracle.resolver)
        return self.oracle.run_prepared(prepared, samples, keep_state=self.entry.stateful)

    def compare(
        self, i: int, number: int, values: Values, ours: list[np.ndarray], theirs: Mapping[int, np.ndarray]
    ) -> None:
        """Add sample `number` of operator `i`, whose inputs were `values`, to its rows."""
        allowed = allowances(self.entry.model, self.entry.index, i, values, ours, self.numerics)
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
        tensor = self.entry.subgraph.tensors[row.tensor]
        stored = -1 in (tensor.shape_signature or ()) and ours.shape != theirs.shape == tensor.shape
        if self.oracle.resolver != MICRO or not stored:
            return False
        give_reason([row], f"TensorFlow Lite Micro takes the shape from the file; here it is {ours.shape}")
        return True

    def add_to(self, result: VerifyResult) -> None:
        """Append the rows to `result`."""
        result.operators += [row for rows in self.rows for row in rows]
        result.end_to_end += self.end_to_end


def give_reason(rows: Sequence[Comparison], reason: str) -> None:
    """Record why `rows` were not compared, unless there is a reason already."""
    for row in rows:
        row.reason = row.reason or reason
