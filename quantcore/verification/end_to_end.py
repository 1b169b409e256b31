"""A whole subgraph, by us and by the oracle, from the same inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.runtime import Interpreter
from quantcore.verification.check import SubgraphCheck, give_reason
from quantcore.verification.entry_point import Sample
from quantcore.verification.floats import computed_inexactly

__all__ = ["EndToEnd"]


class EndToEnd:
    """The end-to-end comparison of a subgraph: fills the rows of `check` for its outputs."""

    def __init__(self, check: SubgraphCheck) -> None:
        self.check = check
        self.interpreter: Interpreter | None = None
        self.undefined: set[int] = set()
        try:
            self.interpreter = Interpreter(
                check.entry.model, check.numerics, subgraph_index=check.entry.index, kernels=check.kernels
            )
        except QuantcoreError as error:
            give_reason(check.end_to_end, str(error))
            return
        self.undefined = computed_inexactly(check.entry.model, check.entry.index, check.numerics)
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
