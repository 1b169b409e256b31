"""All profiles at once: each against its oracle, all against each other, and against a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.graph import Model
from quantcore.verification.divergence import Divergence, compare_operators, compare_whole
from quantcore.verification.drawing import Drawn
from quantcore.verification.recorded import RecordedMatch
from quantcore.verification.result import VerifyResult

__all__ = ["ProfilesResult", "compare_profiles"]


@dataclass(slots=True)
class ProfilesResult:
    """What `quantcore.verify` found with ``numerics="all"``.

    Attributes
    ----------
    model : str
    samples, seed : int
    profiles : dict of str to VerifyResult
        Each profile against its oracle.
    unavailable : dict of str to str
        Profiles whose oracle is not installed, and what to install. They are run and compared with the
        others all the same.
    operators : list of Divergence
        Each operator by every profile, on the same inputs.
    end_to_end : list of Divergence
        Each graph output, of the whole model run from the same inputs by every profile.
    recorded : list of RecordedMatch or None
        Every profile against recorded outputs, the closest one first; None where there are none.
    notes : list of str
    """

    model: str
    samples: int
    seed: int
    profiles: dict[str, VerifyResult] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    operators: list[Divergence] = field(default_factory=list)
    end_to_end: list[Divergence] = field(default_factory=list)
    recorded: list[RecordedMatch] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def bit_exact(self) -> bool:
        """Whether every profile was compared with its oracle, and every bit agrees."""
        return self._all(lambda result: result.bit_exact)

    @property
    def agrees(self) -> bool:
        """Whether every profile was compared in full and nothing is wrong."""
        return self._all(lambda result: result.agrees)

    @property
    def complete(self) -> bool:
        """Whether every profile was compared in full."""
        return self._all(lambda result: result.complete)

    @property
    def mismatched(self) -> bool:
        """Whether any profile differs from its oracle."""
        return any(result.mismatched for result in self.profiles.values())

    @property
    def matching(self) -> list[str]:
        """Profiles that give the recorded outputs, bit for bit."""
        return [match.profile for match in self.recorded or [] if match.exact]

    def _all(self, holds: Callable[[VerifyResult], bool]) -> bool:
        return bool(self.profiles) and not self.unavailable and all(map(holds, self.profiles.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a dict for ``json.dumps``."""
        return {
            "model": self.model,
            "numerics": "all",
            "samples": self.samples,
            "seed": self.seed,
            "bit_exact": self.bit_exact,
            "complete": self.complete,
            "agrees": self.agrees,
            "profiles": {name: result.to_json() for name, result in self.profiles.items()},
            "unavailable": self.unavailable,
            "operators": [row.to_json() for row in self.operators],
            "end_to_end": [row.to_json() for row in self.end_to_end],
            "recorded": None
            if self.recorded is None
            else {"matching": self.matching, "profiles": [match.to_json() for match in self.recorded]},
            "notes": self.notes,
        }


def compare_profiles(model: Model, drawn: Drawn, result: ProfilesResult, step: Callable[[str], None]) -> None:
    """Compare the profiles with each other on every subgraph, and add the rows to `result`."""
    for s, samples in drawn.samples.items():
        with np.errstate(all="ignore"):
            result.operators += compare_operators(model, s, samples, step)
            result.end_to_end += compare_whole(model, s, samples)
