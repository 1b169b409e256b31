"""Whether two files are the same quantized network: tensor for tensor, whatever their numbering.

The graphs are walked in parallel from their outputs to their inputs, so the order of tensors, of buffers
and of independent operators does not matter. What is compared is what decides results: operators with
their options and versions, and each tensor's dtype, shape, scales, zero points, axis and constant bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from quantcore.flatbuffer.schema import TABLES, options_table
from quantcore.graph import Model, Operator, Subgraph, Tensor

__all__ = ["Agreement", "compare_structure"]


@dataclass(slots=True)
class Agreement:
    """What `compare_structure` found.

    Attributes
    ----------
    compared, equal : Counter
        Pairs of tensors by kind: ``activation``, or the dtype of a constant, such as ``int8 constant``.
    operators : int
        Pairs of operators.
    names : int
        Pairs of tensors that bear the same name.
    worst_scale : float
        Largest relative difference of two scales.
    differences : list of str
        One line for each pair that differs, and for what has no partner.
    """

    compared: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    operators: int = 0
    names: int = 0
    worst_scale: float = 0.0
    differences: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare_structure(
    ours: Model, theirs: Model, *, versions: bool = True, scale_tolerance: float = 0.0
) -> Agreement:
    """Compare two models as quantized networks.

    Parameters
    ----------
    ours, theirs : Model
        Their main subgraphs are compared.
    versions : bool
        Compare operator versions too.
    scale_tolerance : float
        Relative difference that scales may have, where the two models come from ranges of different float
        engines. Biases, whose integers follow from scales, are then compared as real numbers: within this of
        their value, and one step of rounding. Everything else is compared exactly.

    Returns
    -------
    Agreement
    """
    return _Walk(ours.subgraphs[0], theirs.subgraphs[0], versions, scale_tolerance).result()


class _Walk:
    """One comparison: pairs of tensors, found from the outputs back."""

    def __init__(self, ours: Subgraph, theirs: Subgraph, versions: bool, tolerance: float) -> None:
        self.sides = (ours, theirs)
        self.versions = versions
        self.tolerance = tolerance
        self.found = Agreement()
        self.producers = [
            {t: (i, op.outputs.index(t)) for i, op in enumerate(g.operators) for t in op.outputs if t >= 0}
            for g in self.sides
        ]
        self.partners: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.operator_partner: dict[int, int] = {}
        self.todo: deque[tuple[int, int, str]] = deque()

    def result(self) -> Agreement:
        for kind in ("inputs", "outputs"):
            a, b = (getattr(g, kind) for g in self.sides)
            if len(a) != len(b):
                self.differ(f"{len(a)} and {len(b)} graph {kind}")
            self.todo += [
                (x, y, f"graph {kind[:-1]} {i}") for i, (x, y) in enumerate(zip(a, b, strict=False))
            ]
        while self.todo:
            self.pair(*self.todo.popleft())
        counts = [Counter(op.name for op in g.operators) for g in self.sides]
        for name in sorted(counts[0] | counts[1]):
            if counts[0][name] != counts[1][name]:
                self.differ(f"{counts[0][name]} and {counts[1][name]} operators {name}")
        return self.found

    def differ(self, text: str) -> None:
        self.found.differences.append(text)

    def pair(self, x: int, y: int, role: str) -> None:
        """Compare tensors `x` and `y`, once, and go on to the operators that make them."""
        if x < 0 or y < 0:
            if x != y:
                self.differ(f"{role}: {x} and {y}, one of them omitted")
            return
        ours, theirs = (g.tensors for g in self.sides)
        before = self.partners[0].get(x, y), self.partners[1].get(y, x)
        if before != (y, x) and ours[x].data is None and theirs[y].data is None:
            self.differ(f"{role}: {x} and {y}, where {x} went with {before[0]}, and {before[1]} with {y}")
            return
        if x in self.partners[0]:
            # A constant may be stored once or several times: equal values are equal.
            if before[0] != y and differences(theirs[before[0]], theirs[y], 0.0):
                self.differ(
                    f"{role}: tensor {x} ({ours[x].name}) stands for {before[0]} and {y} of the other"
                )
            return
        self.partners[0][x], self.partners[1][y] = y, x
        self.compare(x, y, role)
        made = [producers.get(t) for producers, t in zip(self.producers, (x, y), strict=True)]
        if made[0] is None or made[1] is None:
            if made[0] != made[1]:
                self.differ(f"{role}: computed in one model only")
            return
        if made[0][1] != made[1][1]:
            self.differ(f"{role}: output {made[0][1]} and {made[1][1]} of an operator")
        else:
            self.pair_operators(made[0][0], made[1][0])

    def pair_operators(self, i: int, j: int) -> None:
        if i in self.operator_partner:
            if self.operator_partner[i] != j:
                self.differ(f"operator {i} stands for {self.operator_partner[i]} and {j} of the other")
            return
        self.operator_partner[i] = j
        ours, theirs = self.sides[0].operators[i], self.sides[1].operators[j]
        self.found.operators += 1
        for text in operator_differences(ours, theirs, self.versions):
            self.differ(f"operator {i} ({ours.name}) and {j}: {text}")
        if ours.name != theirs.name:
            return
        for kind in ("inputs", "outputs", "intermediates"):
            a, b = getattr(ours, kind), getattr(theirs, kind)
            if len(a) != len(b):
                self.differ(f"operator {i} ({ours.name}): {len(a)} and {len(b)} {kind}")
            for k, (x, y) in enumerate(zip(a, b, strict=False)):
                self.todo.append((x, y, f"{kind[:-1]} {k} of operator {i} ({ours.name})"))

    def compare(self, x: int, y: int, role: str) -> None:
        ours, theirs = (g.tensors[t] for g, t in zip(self.sides, (x, y), strict=True))
        kind = "activation" if theirs.data is None else f"{theirs.dtype} constant"
        self.found.compared[kind] += 1
        self.found.names += ours.name == theirs.name
        self.found.worst_scale = max(self.found.worst_scale, scale_difference(ours, theirs))
        found = differences(ours, theirs, self.tolerance)
        if found:
            self.differ(f"{role}, {ours.name!r} (tensors {x} and {y}): {'; '.join(found)}")
        else:
            self.found.equal[kind] += 1


def operator_differences(ours: Operator, theirs: Operator, versions: bool = True) -> list[str]:
    """Return how two operators differ, apart from their operands."""
    if ours.name != theirs.name:
        return [f"{ours.name} and {theirs.name}"]
    table = options_table(ours.op)
    defaults = TABLES[table].defaults if table else {}
    a, b = (defaults | op.options for op in (ours, theirs))
    found = [
        f"{name} {a.get(name)!r} and {b.get(name)!r}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]
    if versions and ours.version != theirs.version:
        found.append(f"version {ours.version} and {theirs.version}")
    if ours.custom_options != theirs.custom_options:
        found.append("other custom options")
    return found


def differences(ours: Tensor, theirs: Tensor, tolerance: float) -> list[str]:
    """Return how two tensors differ in what decides results."""
    found = []
    for name in ("dtype", "shape", "is_variable"):
        a, b = getattr(ours, name), getattr(theirs, name)
        if a != b:
            found.append(f"{name} {a} and {b}")
    found += _parameter_differences(ours, theirs, tolerance)
    if (ours.data is None) != (theirs.data is None):
        found.append("constant in one model only")
    elif ours.data is not None and not found:
        found += _value_differences(ours, theirs, tolerance)
    return found


def scale_difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest relative difference of the scales of two tensors; 0 where none are to compare."""
    a, b = ours.quantization, theirs.quantization
    if a is None or b is None or a.scale.size != b.scale.size or not a.scale.size:
        return 0.0
    x, y = a.scale.astype(np.float64), b.scale.astype(np.float64)
    return float(
        np.max(np.where(x == y, 0.0, np.abs(x - y) / np.maximum(np.abs(y), np.finfo(np.float32).tiny)))
    )


def _parameter_differences(ours: Tensor, theirs: Tensor, tolerance: float) -> list[str]:
    if not ours.is_quantized and not theirs.is_quantized:
        return []
    a, b = ours.quantization, theirs.quantization
    if a is None or b is None or a.scale.size != b.scale.size:
        sizes = [0 if q is None else q.scale.size for q in (a, b)]
        return [f"{sizes[0]} and {sizes[1]} scales"]
    found = []
    if scale_difference(ours, theirs) > tolerance:
        worst = int(np.argmax(np.abs(a.scale.astype(np.float64) - b.scale)))
        count = int((a.scale != b.scale).sum())
        found.append(f"{count} scales, such as {a.scale[worst]!r} and {b.scale[worst]!r}")
    if not np.array_equal(a.zero_point, b.zero_point):
        worst = int(np.argmax(a.zero_point != b.zero_point))
        found.append(f"zero points, such as {a.zero_point[worst]} and {b.zero_point[worst]}")
    if a.scale.size > 1 and a.quantized_dimension != b.quantized_dimension:
        found.append(f"axis {a.quantized_dimension} and {b.quantized_dimension}")
    return found


def _value_differences(ours: Tensor, theirs: Tensor, tolerance: float) -> list[str]:
    a, b = (np.ascontiguousarray(t.data) for t in (ours, theirs))
    if np.array_equal(a.view(np.uint8), b.view(np.uint8)):
        return []
    differing = a != b
    if tolerance and a.dtype in (np.int32, np.int64) and ours.is_quantized and theirs.is_quantized:
        x, y = (q.astype(np.float64) * _scales(t) for q, t in ((a, ours), (b, theirs)))
        differing = np.abs(x - y) > tolerance * np.abs(y) + _scales(theirs)
    return [f"{int(differing.sum())} of {a.size} values"] if differing.any() else []


def _scales(tensor: Tensor) -> np.ndarray:
    """Return the scales of a bias, in the shape that multiplies it."""
    assert tensor.quantization is not None
    return tensor.quantization.scale.astype(np.float64)
