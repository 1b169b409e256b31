"""What `quantcore.verify` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.differences import Difference, difference, differing

__all__ = ["CLOSE", "EXACT", "MISMATCH", "NOT_COMPARED", "Comparison", "VerifyResult", "json_number"]

EXACT, CLOSE, MISMATCH, NOT_COMPARED = "exact", "close", "mismatch", "not compared"


@dataclass(slots=True)
class Comparison:
    """One tensor, ours against the oracle's, over all samples.

    Attributes
    ----------
    subgraph, tensor : int
    name, dtype : str
        Of the tensor.
    index : int or None
        Operator that wrote it; None for the end-to-end comparison of a graph output.
    op : str or None
        Name of that operator.
    samples, elements, mismatches : int
        What was compared, and how much of it is wrong: differs in at least one bit or, where it is compared
        in ULPs, by more than is allowed.
    compared_in : str
        ``bits``; or ``ulps`` for floats whose bits the backend does not define (see
        `quantcore.verification.floats`).
    bound : str
        What is allowed where it is compared in ULPs; empty if nothing bounds it, as end to end.
    differing : int
        How many elements differ in at least one bit.
    max_abs_diff : int or float
        Largest absolute difference; ``inf`` where a NaN or infinity stands against another value.
    max_ulp : int or None
        For floats, largest distance in units in the last place (None for integers, or against NaN).
    max_relative : float
        For floats, largest difference relative to the largest value of the tensor.
    first_sample, first_index, first_values
        The first mismatch: which sample, where in the tensor, and (ours, the oracle's).
    reason : str
        Why it could not be compared in full, or how shapes or dtypes differ; else empty.
    """

    subgraph: int
    tensor: int
    name: str
    dtype: str
    index: int | None = None
    op: str | None = None
    samples: int = 0
    elements: int = 0
    mismatches: int = 0
    compared_in: str = "bits"
    bound: str = ""
    differing: int = 0
    max_abs_diff: int | float = 0
    max_ulp: int | None = None
    max_relative: float = 0.0
    first_sample: int | None = None
    first_index: tuple[int, ...] | None = None
    first_values: tuple[Any, Any] | None = None
    reason: str = ""

    @property
    def status(self) -> str:
        """``exact``, ``close`` (compared in ULPs, and some bits differ), ``mismatch`` or ``not compared``."""
        if self.mismatches:
            return MISMATCH
        if self.reason or not self.samples:
            return NOT_COMPARED
        return CLOSE if self.differing else EXACT

    def add(
        self, sample: int, ours: np.ndarray, expected: np.ndarray, allowed: np.ndarray | float | None = None
    ) -> None:
        """Compare the tensor for one sample; `allowed` is the largest allowed difference of floats."""
        self.samples += 1
        if ours.shape != expected.shape or ours.dtype != expected.dtype:
            self.elements += expected.size
            self.mismatches += max(expected.size, 1)
            self.max_abs_diff, self.max_ulp = np.inf, None
            self.reason = f"ours is {ours.dtype} {ours.shape}, the oracle's {expected.dtype} {expected.shape}"
            return
        found = difference(ours, expected)
        wrong = found if allowed is None or not found.mismatches else _beyond(ours, expected, allowed)
        if wrong.mismatches and self.first_sample is None:
            self.first_sample, self.first_index, self.first_values = (
                sample,
                wrong.first_index,
                wrong.first_values,
            )
        unknown = found.max_ulp is None or (self.max_ulp is None and self.samples > 1)
        self.max_ulp = None if unknown else max(self.max_ulp or 0, found.max_ulp or 0)
        self.max_abs_diff = max(self.max_abs_diff, found.max_abs_diff)
        self.max_relative = max(self.max_relative, _relative(found, expected))
        self.elements += found.elements
        self.differing += found.mismatches
        self.mismatches += wrong.mismatches

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values; differences that are not finite become None."""
        return {
            "index": self.index,
            "op": self.op,
            "tensor": self.tensor,
            "name": self.name,
            "dtype": self.dtype,
            "subgraph": self.subgraph,
            "status": self.status,
            "samples": self.samples,
            "elements": self.elements,
            "mismatches": self.mismatches,
            "compared_in": self.compared_in,
            "bound": self.bound,
            "differing": self.differing,
            "max_abs_diff": json_number(self.max_abs_diff),
            "max_ulp": self.max_ulp,
            "max_relative": json_number(self.max_relative),
            "first_sample": self.first_sample,
            "first_index": None if self.first_index is None else list(self.first_index),
            "first_values": None
            if self.first_values is None
            else [json_number(v) for v in self.first_values],
            "reason": self.reason,
        }


def _beyond(ours: np.ndarray, expected: np.ndarray, allowed: np.ndarray | float) -> Difference:
    """Return the `difference` of what is further apart than allowed."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(ours.astype(np.float64) - expected.astype(np.float64))
    wrong = differing(ours, expected) & ~(gap <= allowed)  # NaN is never within
    return difference(ours, np.where(wrong, expected, ours))


def _relative(found: Difference, expected: np.ndarray) -> float:
    if expected.dtype.kind != "f" or not found.mismatches:
        return 0.0
    largest = float(np.abs(expected[np.isfinite(expected)], dtype=np.float64).max(initial=0.0))
    return float(found.max_abs_diff) / largest if largest else np.inf


@dataclass(slots=True)
class VerifyResult:
    """What `verify` found.

    Attributes
    ----------
    model : str
        Where the model came from.
    numerics : str
    oracle : dict
        ``name``, ``version``, ``resolver``.
    samples, seed : int
    operators : list of Comparison
        One per operator output, in execution order.
    end_to_end : list of Comparison
        One per graph output, of the whole model run from the same inputs.
    notes : list of str
        What a reader must know to interpret the numbers.
    """

    model: str
    numerics: str
    oracle: dict[str, str]
    samples: int
    seed: int
    operators: list[Comparison] = field(default_factory=list)
    end_to_end: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[Comparison]:
        """All comparisons: operators, then end to end."""
        return [*self.operators, *self.end_to_end]

    @property
    def bit_exact(self) -> bool:
        """Whether everything was compared and every bit agrees."""
        return bool(self.rows) and all(row.status == EXACT for row in self.rows)

    @property
    def mismatched(self) -> bool:
        """Whether anything that was compared is wrong."""
        return any(row.status == MISMATCH for row in self.rows)

    @property
    def complete(self) -> bool:
        """Whether everything was compared."""
        return bool(self.rows) and not any(row.status == NOT_COMPARED for row in self.rows)

    @property
    def agrees(self) -> bool:
        """Whether everything was compared and nothing is wrong: bit-exact but for floats within bounds."""
        return self.complete and not self.mismatched

    def to_json(self) -> dict[str, Any]:
        """Return the result as a dict for ``json.dumps``."""
        return {
            "model": self.model,
            "numerics": self.numerics,
            "oracle": self.oracle,
            "samples": self.samples,
            "seed": self.seed,
            "bit_exact": self.bit_exact,
            "complete": self.complete,
            "agrees": self.agrees,
            "operators": [row.to_json() for row in self.operators],
            "end_to_end": [row.to_json() for row in self.end_to_end],
            "notes": self.notes,
        }


def json_number(value: Any) -> Any:
    """Return a number that JSON has: None for NaN and infinities, text for complex numbers."""
    if isinstance(value, complex):
        return str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value
