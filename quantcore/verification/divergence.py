"""Where the profiles part from each other: what was found on a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from quantcore.differences import difference
from quantcore.verification.result import json_number

__all__ = ["Divergence", "Parting"]


@dataclass(slots=True)
class Parting:
    """Two profiles on one tensor.

    Attributes
    ----------
    profiles : tuple of str
    rules : tuple of str
        What their rules differ in; empty if they do not, or end to end.
    elements, mismatches : int
    expected : float or None
        How many mismatches the two rules predict; None where that cannot be said.
    max_abs_diff : int or float
    max_ulp : int or None
        For floats.
    positions, argmax_changes : int
        End to end: rows along the last axis, and in how many of them the largest element is another.
    """

    profiles: tuple[str, str]
    rules: tuple[str, str] = ("", "")
    elements: int = 0
    mismatches: int = 0
    expected: float | None = None
    max_abs_diff: int | float = 0
    max_ulp: int | None = None
    positions: int = 0
    argmax_changes: int = 0

    @property
    def rate(self) -> float:
        """Measured rate of mismatches."""
        return self.mismatches / self.elements if self.elements else 0.0

    @property
    def expected_rate(self) -> float | None:
        """Rate that the rules predict."""
        return None if self.expected is None or not self.elements else self.expected / self.elements

    def add(self, a: np.ndarray, b: np.ndarray, *, argmax: bool) -> None:
        """Compare the tensor for one sample."""
        self.elements += a.size
        if a.shape != b.shape or a.dtype != b.dtype:
            self.mismatches += a.size
            self.max_abs_diff = np.inf
            return
        found = difference(a, b)
        self.mismatches += found.mismatches
        self.max_abs_diff = max(self.max_abs_diff, found.max_abs_diff)
        if found.max_ulp is not None:
            self.max_ulp = max(self.max_ulp or 0, found.max_ulp)
        if argmax and a.ndim and a.shape[-1] > 1 and a.dtype.kind in "iuf":
            changed = np.argmax(a, axis=-1) != np.argmax(b, axis=-1)
            self.positions += int(changed.size)
            self.argmax_changes += int(changed.sum())

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values."""
        found: dict[str, Any] = {
            "profiles": list(self.profiles),
            "rules": list(self.rules),
            "elements": self.elements,
            "mismatches": self.mismatches,
            "rate": self.rate,
            "expected_rate": self.expected_rate,
            "max_abs_diff": json_number(self.max_abs_diff),
            "max_ulp": self.max_ulp,
        }
        if self.positions:
            found |= {"positions": self.positions, "argmax_changes": self.argmax_changes}
        return found


@dataclass(slots=True)
class Divergence:
    """One tensor by every profile.

    Attributes
    ----------
    subgraph, tensor : int
    name, dtype : str
        Of the tensor.
    index : int or None
        Operator that wrote it; None for a graph output, end to end.
    op : str or None
    page : str or None
        Of ``docs/numerics``, without ``.md``: what the operator's rules and forms are.
    samples : int
    computed : list of str
        Profiles that computed it.
    missing : dict of str to str
        Profiles that could not compute it, and why.
    pairs : dict of (str, str) to Parting
    """

    subgraph: int
    tensor: int
    name: str
    dtype: str
    index: int | None = None
    op: str | None = None
    page: str | None = None
    samples: int = 0
    computed: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    pairs: dict[tuple[str, str], Parting] = field(default_factory=dict)

    def add(self, results: Mapping[str, np.ndarray]) -> None:
        """Compare what each profile computed for one sample."""
        self.samples += 1
        self.computed += [name for name in results if name not in self.computed]
        for pair in combinations(results, 2):
            parting = self.pairs.setdefault(pair, Parting(pair))
            parting.add(*(results[name] for name in pair), argmax=self.index is None)

    @property
    def groups(self) -> list[list[str]]:
        """Profiles that gave the same bits in every sample, together."""
        groups: list[list[str]] = []
        for name in self.computed:
            for group in groups:
                if not self.pairs[group[0], name].mismatches:
                    group.append(name)
                    break
            else:
                groups.append([name])
        return groups

    @property
    def partings(self) -> list[Parting]:
        """One per pair of groups, by the first profile of each."""
        return [self.pairs[a[0], b[0]] for a, b in combinations(self.groups, 2)]

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values, with every pair of profiles that differ."""
        return {
            "subgraph": self.subgraph,
            "index": self.index,
            "op": self.op,
            "page": self.page,
            "tensor": self.tensor,
            "name": self.name,
            "dtype": self.dtype,
            "samples": self.samples,
            "groups": self.groups,
            "missing": self.missing,
            "pairs": [pair.to_json() for pair in self.pairs.values() if pair.mismatches],
        }
