"""Where the profiles part from each other: ours against ours, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import Any

import numpy as np

from quantcore.differences import difference
from quantcore.errors import QuantcoreError
from quantcore.graph import Model
from quantcore.numerics import PROFILES, Rule
from quantcore.ops.node import Node
from quantcore.ops.requant import quantized_bounds
from quantcore.runtime import Interpreter, run_operator
from quantcore.runtime.state import initial_state
from quantcore.verification.rates import Store, expected_mismatches
from quantcore.verification.result import json_number
from quantcore.verification.rules import find_page, find_rule, make_node

__all__ = ["Divergence", "Parting", "compare_operators", "compare_whole", "describe_rules"]

# Operators whose outputs are one requantized sum each, of enough terms that its fraction is spread evenly.
SUMS = ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "TRANSPOSE_CONV")
VECTORS_OF_CHANNELS = ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")  # in int8; else they run over the flat output


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


def describe_rules(a: Rule | None, b: Rule | None) -> tuple[str, str]:
    """Return what two rules differ in, each in words; two empty strings if they are the same."""
    if a is None or b is None or a == b:
        return "", ""
    differing = [f.name for f in fields(Rule) if getattr(a, f.name) != getattr(b, f.name)]
    return _words(a, differing), _words(b, differing)


def _words(rule: Rule, differing: Sequence[str]) -> str:
    """Return what sets a rule apart; of what is as in the reference kernels, only the rounding."""
    usual = Rule()
    parts = [rule.form or "reference form"] if "form" in differing else []
    parts += [rule.rounding] if "rounding" in differing else []
    if rule.block and {"block", "tail"} & set(differing):
        parts.append(f"tail of {rule.block}: {rule.tail}")
    if "product" in differing and (rule.product != usual.product or not parts):
        parts.append(f"product {rule.product}")
    return ", ".join(parts) or f"bounds {rule.bounds}"


def compare_operators(
    model: Model, subgraph_index: int, samples: Sequence[list[np.ndarray]], step: Callable[[str], None]
) -> list[Divergence]:
    """Run each operator by every profile on the same inputs: those that the first profile computes.

    Where a profile has no rule, the next one that can computes the inputs of what follows; what none can
    compute is missing, and so is all that needs it.
    """
    run = _Operators(model, subgraph_index)
    for sample in samples:
        values = dict(zip(run.subgraph.inputs, sample, strict=True))
        for i, op in enumerate(run.subgraph.operators):
            run.compare(i, values)
            step(f"operator {i} {op.op}")
    return [row for rows in run.rows for row in rows]


class _Operators:
    """Goes through the operators, with state per profile."""

    def __init__(self, model: Model, subgraph_index: int) -> None:
        self.model, self.index = model, subgraph_index
        self.subgraph = model.subgraphs[subgraph_index]
        tensors = self.subgraph.tensors
        self.states = {
            name: {t: initial_state(v) for t, v in enumerate(tensors) if v.is_variable} for name in PROFILES
        }
        self.rows = [
            [
                Divergence(subgraph_index, t, tensors[t].name, tensors[t].dtype, i, op.op, find_page(op.name))
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
        for name in PROFILES:
            try:
                known = {**given, **self.states[name]}
                results[name] = run_operator(self.model, self.index, i, known, name)
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
            predicted[rules] = _predict(a, b, *rules, outputs[pair[0]])
        parting, count = row.pairs[pair], predicted[rules]
        parting.rules = describe_rules(*rules)
        if count is not None:
            parting.expected = (parting.expected or 0.0) + count


def _predict(a: Node, b: Node, rule_a: Rule | None, rule_b: Rule | None, y: np.ndarray) -> float | None:
    """Return how many elements of output `y` two rules are expected to store differently; None if unknown."""
    op = a.op.op
    if op not in SUMS or y.dtype.kind not in "iu" or rule_a is None or rule_b is None:
        return None
    multipliers = a.definition.multipliers if a.definition is not None else None
    if rule_a.form != rule_b.form or multipliers is None:
        return None
    if rule_a == rule_b:
        return 0.0
    try:
        real = [multipliers(node).get("output") for node in (a, b)]
        activation = str(a.options.get("fused_activation_function", "NONE"))
        low, high = quantized_bounds(a, activation, a.output)
    except QuantcoreError:
        return None
    if real[0] is None or real[1] is None:
        return None
    by_channel = op in VECTORS_OF_CHANNELS and y.dtype == np.int8
    stores = (Store(rule_a, real[0], by_channel), Store(rule_b, real[1], by_channel))
    return expected_mismatches(*stores, y, zero_point=a.output.zero_point, low=low, high=high)


def compare_whole(
    model: Model, subgraph_index: int, samples: Sequence[list[np.ndarray]]
) -> list[Divergence]:
    """Run the whole subgraph by every profile from the same inputs."""
    subgraph = model.subgraphs[subgraph_index]
    tensors = [(t, subgraph.tensors[t]) for t in subgraph.outputs]
    rows = [Divergence(subgraph_index, t, tensor.name, tensor.dtype) for t, tensor in tensors]
    interpreters: dict[str, Interpreter] = {}
    for name in PROFILES:
        try:
            interpreters[name] = Interpreter(model, name, subgraph_index=subgraph_index)
        except QuantcoreError as error:
            for row in rows:
                row.missing[name] = str(error)
    for sample in samples:
        results = {name: interpreter.run(sample) for name, interpreter in interpreters.items()}
        for k, row in enumerate(rows):
            row.add({name: outputs[k] for name, outputs in results.items()})
    return rows
