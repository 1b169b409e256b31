"""Each operator alone in the oracle, for models that the oracle cannot run as a whole.

The inputs of an operator are what quantcore computed up to there; where it could not, what the oracle gave
for the operator that computes them; where there is neither, random values.
"""

from __future__ import annotations

import numpy as np

from quantcore.errors import OracleError, OracleRefused, OracleUnavailable, QuantcoreError
from quantcore.oracle.prepared import Prepared
from quantcore.samples import random_value
from quantcore.subgraphs import single_operator
from quantcore.verification.check import SubgraphCheck, Values, give_reason
from quantcore.verification.result import Comparison

__all__ = ["compare_alone"]

Outputs = list[list[np.ndarray]]  # per sample, in the operator's order


def compare_alone(check: SubgraphCheck) -> list[str]:
    """Fill the operators' rows of `check`, and return notes on where inputs were random."""
    runner = _AloneRunner(check)
    computed = [row.tensor for rows in check.rows for row in rows]
    inputs = check.entry.subgraph.inputs
    for first, chunk in check.entry.chunks([*inputs, *computed]):
        chains = [dict(zip(inputs, sample, strict=True)) for sample in chunk]
        for i in range(len(check.operators)):
            runner.compare(i, chains, first)
    return runner.notes()


class _AloneRunner:
    """Goes through the operators with the values computed so far, one `Values` per sample."""

    def __init__(self, check: SubgraphCheck) -> None:
        self.check = check
        self.deadly: set[str] = set()  # kinds of operators that ended the oracle's process
        self.invented: set[int] = set()
        self.rng = np.random.default_rng(check.entry.index)

    def notes(self) -> list[str]:
        """Say which tensors were invented."""
        if not self.invented:
            return []
        tensors = ", ".join(map(str, sorted(self.invented)))
        return [f"random values stood for tensors that neither quantcore nor the oracle computed: {tensors}"]

    def compare(self, i: int, chains: list[Values], first: int) -> None:
        """Compare operator `i` on every sample, and add its outputs to the chains."""
        rows = self.check.rows[i]
        for t in self.check.operators[i].inputs:
            self._provide(t, chains)
        theirs = self._theirs(i, chains, rows)  # first: what it refuses need not be missing on our side
        ours = self._ours(i, chains, rows)
        known = ours or theirs
        for number, chain in enumerate(chains):
            if ours is not None and theirs is not None:
                expected = {row.tensor: value for row, value in zip(rows, theirs[number], strict=True)}
                self.check.compare(i, first + number, chain, ours[number], expected)
            if known is not None:
                chain.update((row.tensor, value) for row, value in zip(rows, known[number], strict=True))
        for _ in chains:
            self.check.step(f"operator {i} {self.check.operators[i].op}")

    def _provide(self, t: int, chains: list[Values]) -> None:
        """Invent values for an input that nothing has computed."""
        tensor = self.check.entry.subgraph.tensors[t] if t >= 0 else None
        if tensor is None or tensor.data is not None or tensor.is_variable or t in chains[0]:
            return
        for number, chain in enumerate(chains):
            try:
                chain[t] = random_value(self.rng, self.check.entry.subgraph, t, number)
            except QuantcoreError:  # handles and strings: running the operator will say what is missing
                return
        self.invented.add(t)

    def _ours(self, i: int, chains: list[Values], rows: list[Comparison]) -> Outputs | None:
        try:
            return [self.check.ours.run(i, chain) for chain in chains]
        except QuantcoreError as error:
            give_reason(rows, str(error))
            return None

    def _theirs(self, i: int, chains: list[Values], rows: list[Comparison]) -> Outputs | None:
        op = self.check.operators[i].op
        if op in self.deadly:  # each time costs the seconds that a new process takes
            give_reason(rows, f"left out, since {op} has ended the oracle's process before")
            return None
        alone, inputs = single_operator(self.check.entry.model, self.check.entry.index, i)
        try:
            samples = [[chain[t] for t in inputs] for chain in chains]
            return self.check.ask(Prepared(alone), samples)
        except KeyError as error:
            give_reason(rows, f"there is no value for input tensor {error}")
        except OracleUnavailable:
            raise
        except QuantcoreError as error:
            if isinstance(error, OracleError) and not isinstance(error, OracleRefused):
                self.deadly.add(op)
            give_reason(rows, str(error))
        return None
