"""What the cases of a check have in common with the edges of an operator: counts by aspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.kernel_check.case import Case
from quantcore.kernel_check.explain import requant_of, scaling
from quantcore.kernel_check.process import KernelProcess

__all__ = ["Coverage"]


@dataclass(slots=True)
class Coverage:
    """Counts the cases that a kernel was checked on, by what they stand for.

    Attributes
    ----------
    cases : int
    elements : int
        Outputs that were compared.
    refused : int
        Cases that the kernel refused, where it may.
    aspects : dict of str to Counter
        Cases by aspect (``strides``) and by what it is there (``2``).
    ties : int or None
        Outputs whose real value lies halfway between two integers; None where it is not known.
    largest : Case or None
        The case with the most data, on which to measure time.
    """

    cases: int = 0
    elements: int = 0
    refused: int = 0
    aspects: dict[str, Counter[str]] = field(default_factory=dict)
    ties: int | None = None
    largest: Case | None = None

    def add(self, case: Case, reference: KernelProcess | None) -> None:
        """Count a case."""
        self.cases += 1
        self.elements += sum(y.size for y in case.expected)
        facts = [*case.facts.items(), *parameter_facts(case), *output_facts(case)]
        if reference is not None and (ties := count_ties(case, reference)) is not None:
            self.ties = (self.ties or 0) + ties
            facts.append(("rounding ties", "some" if ties else "none"))
        for aspect, what in facts:
            self.aspects.setdefault(aspect, Counter())[what] += 1
        if self.largest is None or case.nbytes > self.largest.nbytes:
            self.largest = case

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        aspects = {aspect: dict(sorted(counts.items())) for aspect, counts in self.aspects.items()}
        return {
            "cases": self.cases,
            "elements": self.elements,
            "refused": self.refused,
            "ties": self.ties,
            "aspects": aspects,
        }


def parameter_facts(case: Case) -> Iterator[tuple[str, str]]:
    """Yield what the parameters say of multipliers."""
    requant = requant_of(case.params)
    if requant is None or requant["multiplier"] is None or not requant["multiplier"].size:
        return
    shift = int(np.max(requant["shift"]))
    ranges = {0: "above 1", -8: "2^-8 to 1", -20: "2^-20 to 2^-8", -99: "below 2^-20"}
    yield "multiplier", next(words for least, words in ranges.items() if shift > least)


def output_facts(case: Case) -> Iterator[tuple[str, str]]:
    """Yield where the outputs are between their bounds."""
    bounds = next((s for s in case.params.structs() if "activation_min" in s), None)
    y = case.expected[0]
    if y.dtype.kind not in "iu" or not y.size:
        return
    low, high = np.iinfo(y.dtype).min, np.iinfo(y.dtype).max
    if bounds is not None:
        low, high = max(low, bounds["activation_min"]), min(high, bounds["activation_max"])
    at = [name for name, bound in (("lower bound", low), ("upper bound", high)) if (y == bound).any()]
    yield "outputs saturated", " and ".join(at) or "none"


def count_ties(case: Case, reference: KernelProcess) -> int | None:
    """Return how many outputs lie exactly between two integers before rounding."""
    scaled = scaling(case, reference)
    if scaled is None:
        return None
    sums, multiplier, shift = scaled
    right = 31 - shift
    product = sums.astype(np.int64) * multiplier
    return int(((product & ((np.int64(1) << right) - 1)) == np.int64(1) << (right - 1)).sum())
