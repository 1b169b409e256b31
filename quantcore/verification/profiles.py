"""All profiles at once: each against its oracle, all against each other, and against a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.numerics import PROFILES, Rule
from quantcore.ops.node import Node
from quantcore.runtime import Interpreter, OperatorRunner
from quantcore.verification.divergence import Divergence
from quantcore.verification.drawing import Drawn
from quantcore.verification.entry_point import EntryPoint
from quantcore.verification.rates import predict
from quantcore.verification.recorded import RecordedMatch
from quantcore.verification.result import VerifyResult
from quantcore.verification.rules import describe_rules, find_page, find_rule, make_node

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


def compare_profiles(drawn: Drawn, result: ProfilesResult, step: Callable[[str], None]) -> None:
    """Compare the profiles with each other on every entry point, and add the rows to `result`."""
    for entry in drawn.entries:
        with np.errstate(all="ignore"):
            result.operators += compare_operators(entry, step)
            result.end_to_end += compare_whole(entry)


def compare_operators(entry: EntryPoint, step: Callable[[str], None]) -> list[Divergence]:
    """Run each operator by every profile on the same inputs: those that the first profile computes.

    Where a profile has no rule, the next one that can computes the inputs of what follows; what none can
    compute is missing, and so is all that needs it.
    """
    run = _Operators(entry)
    for sample in entry.samples:
        values = dict(zip(run.subgraph.inputs, sample, strict=True))
        for i, op in enumerate(run.subgraph.operators):
            run.compare(i, values)
            step(f"operator {i} {op.op}")
    return [row for rows in run.rows for row in rows]


class _Operators:
    """Goes through the operators, with state per profile."""

    def __init__(self, entry: EntryPoint) -> None:
        self.model, self.index, self.subgraph = entry.model, entry.index, entry.subgraph
        self.runners = {name: OperatorRunner(self.model, self.index, name) for name in PROFILES}
        tensors = self.subgraph.tensors
        self.rows = [
            [
                Divergence(self.index, t, tensors[t].name, tensors[t].dtype, i, op.op, find_page(op.name))
                for t in op.outputs
                if t >= 0
            ]
            for i, op in enumerate(self.subgraph.operators)
        ]

    def compare(self, i: int, values: dict[int, np.ndarray]) -> None:
        """Run operator `i` by every profile; add its outputs by the first one to `values`."""
        rows = self.rows[i]
        inputs = self.subgraph.operators[i].inputs
        given = {t: values[t] for t in inputs if t in values}
        results: dict[str, list[np.ndarray]] = {}
        for name, runner in self.runners.items():
            try:
                results[name] = runner.run(i, given)
            except QuantcoreError as error:
                for row in rows:
                    row.missing.setdefault(name, str(error))
        nodes = {name: make_node(self.model, self.index, i, given, name) for name in results}
        for k, row in enumerate(rows):
            outputs = {name: arrays[k] for name, arrays in results.items()}
            row.add(outputs)
            _explain(row, nodes, outputs)
            if outputs:
                values[row.tensor] = next(iter(outputs.values()))


def _explain(row: Divergence, nodes: Mapping[str, Node], outputs: Mapping[str, np.ndarray]) -> None:
    """Add to the pairs of `row` what the rules of the two profiles predict for one sample."""
    predicted: dict[tuple[Rule | None, Rule | None], float | None] = {}
    for pair in combinations(outputs, 2):
        a, b = (nodes[name] for name in pair)
        rules = find_rule(a), find_rule(b)
        if rules not in predicted:
            predicted[rules] = predict(a, b, *rules, outputs[pair[0]])
        parting, count = row.pairs[pair], predicted[rules]
        parting.rules = describe_rules(*rules)
        if count is not None:
            parting.expected = (parting.expected or 0.0) + count


def compare_whole(entry: EntryPoint) -> list[Divergence]:
    """Run the whole subgraph by every profile from the same inputs."""
    subgraph = entry.subgraph
    tensors = [(t, subgraph.tensors[t]) for t in subgraph.outputs]
    rows = [Divergence(entry.index, t, tensor.name, tensor.dtype) for t, tensor in tensors]
    interpreters: dict[str, Interpreter] = {}
    for name in PROFILES:
        try:
            interpreters[name] = Interpreter(entry.model, name, subgraph_index=entry.index)
        except QuantcoreError as error:
            for row in rows:
                row.missing[name] = str(error)
    for sample in entry.samples:
        results = {name: interpreter.run(sample) for name, interpreter in interpreters.items()}
        for k, row in enumerate(rows):
            row.add({name: outputs[k] for name, outputs in results.items()})
    return rows
