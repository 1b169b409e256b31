"""Which operator and tensor of a quantized model stands for which of its float origin.

Both graphs are walked in parallel, from their inputs on: an operator of the quantized model matches one of
the same kind that reads the same values. Where several do, the name of the output decides, then the
constants, then the order. QUANTIZE and DEQUANTIZE change how a value is expressed and not which one it is,
so names that a converter changes there (``tfl.quantize``, ``<name>1``, ``<name>_int16``) do not matter. Where
the walk is cut off by an operator without a counterpart, it starts again at names that both models have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from quantcore.comparison.constants import CASTS, constant_values, fixed_tensors
from quantcore.graph import Model, Operator, Subgraph

__all__ = ["SIGN_AGREEMENT", "Matching", "Pair", "match_models"]

# Operators that the converter writes as another, which says the same by other constants
WRITTEN_AS = {"SQUEEZE": "RESHAPE", "EXPAND_DIMS": "RESHAPE", "STRIDED_SLICE": "SLICE"}
# What quantizers append to the name of a float tensor.
SUFFIX = re.compile(r"(_int16|_float|_quantized|_dequant|_requantized|_requant|\d+)$")
# Below, the signs of two weights agree no better than chance allows for noise.
SIGN_AGREEMENT = 0.75


@dataclass(frozen=True, slots=True)
class Pair:
    """An operator of the quantized model and what it stands for.

    Attributes
    ----------
    quant : int
        Index of the operator in the quantized model.
    floats : tuple of int
        Operators of the float model: one; two where the second is an activation that the first of the
        quantized model has fused; none for QUANTIZE and DEQUANTIZE, which quantization put there.
    """

    quant: int
    floats: tuple[int, ...]


@dataclass(slots=True)
class Matching:
    """What belongs together in two main subgraphs.

    Attributes
    ----------
    pairs : list of Pair
        In execution order of the quantized model.
    tensors : dict of int to int
        Tensor of the float model by computed tensor (or graph input) of the quantized one.
    constants : dict of int to int
        The same for constants, and for what DEQUANTIZE makes of them.
    unmatched_quant, unmatched_float : list of int
        Operators without a counterpart.
    signs_agree : float
        Share of the weights whose sign is the same in both models; 1 where there are none.
    """

    pairs: list[Pair] = field(default_factory=list)
    tensors: dict[int, int] = field(default_factory=dict)
    constants: dict[int, int] = field(default_factory=dict)
    unmatched_quant: list[int] = field(default_factory=list)
    unmatched_float: list[int] = field(default_factory=list)
    signs_agree: float = 1.0


def match_models(float_model: Model, quant_model: Model) -> Matching:
    """Match the main subgraphs of two models that have as many inputs; never fails, see `Matching`."""
    walk = _Walk(float_model.subgraphs[0], quant_model.subgraphs[0])
    return walk.run()


class _Walk:
    """The state of the parallel walk."""

    def __init__(self, floats: Subgraph, quants: Subgraph) -> None:
        self.floats, self.quants = floats, quants
        self.found = Matching()
        self.taken: set[int] = set()
        self.fixed_float, self.fixed_quant = fixed_tensors(floats), fixed_tensors(quants)
        self.readers = {t: list(dict.fromkeys(i for i, _ in uses)) for t, uses in floats.uses().items()}
        self.by_name: dict[str, int] = {}
        for i, op in enumerate(floats.operators):
            for t in op.outputs:
                self.by_name.setdefault(floats.tensors[t].name, i)
        self.signs = 0, 0

    def run(self) -> Matching:
        """Match every operator."""
        self.found.tensors.update(zip(self.quants.inputs, self._float_inputs(), strict=True))
        for i, op in enumerate(self.quants.operators):
            if op.op in CASTS and (op.op == "DEQUANTIZE" or self._is_inserted(op)):
                self._cast(i, op)
            else:
                self._operator(i, op)
        matched = {f for pair in self.found.pairs for f in pair.floats}
        self.found.unmatched_float = [i for i in range(len(self.floats.operators)) if i not in matched]
        agree, total = self.signs
        self.found.signs_agree = agree / total if total else 1.0
        return self.found

    def _float_inputs(self) -> list[int]:
        """Return the float model's inputs in the order of the quantized one's: by name, or as they are."""
        names = {self.floats.tensors[t].name: t for t in self.floats.inputs}
        wanted = [self.quants.tensors[t].name for t in self.quants.inputs]
        if len(names) == len(self.floats.inputs) and set(wanted) == set(names):
            return [names[name] for name in wanted]
        return list(self.floats.inputs)

    def _is_inserted(self, op: Operator) -> bool:
        """Whether a QUANTIZE is not one of the float model's own."""
        f = self.found.tensors.get(op.inputs[0], -1)
        return not any(self.floats.operators[i].op == op.op for i in self.readers.get(f, ()))

    def _cast(self, i: int, op: Operator) -> None:
        """Match the output of QUANTIZE or DEQUANTIZE with what its input stands for."""
        source, target = op.inputs[0], op.outputs[0]
        if source in self.fixed_quant:
            return  # a constant that is expanded: its reader will say what it stands for
        if source in self.found.tensors:
            self.found.tensors[target] = self.found.tensors[source]
            self.found.pairs.append(Pair(i, ()))
        else:
            self.found.unmatched_quant.append(i)

    def _operator(self, i: int, op: Operator) -> None:
        """Match any other operator with the best candidate."""
        candidates = [(self._score(op, f), f) for f in self._candidates(op)]
        best = max((c for c in candidates if c[0] is not None), default=None, key=lambda c: (c[0], -c[1]))
        if best is None:
            self.found.unmatched_quant.append(i)
            return
        floats = self._with_activation(op, best[1])
        self.taken.update(floats)
        self.found.pairs.append(Pair(i, floats))
        first, last = self.floats.operators[floats[0]], self.floats.operators[floats[-1]]
        self.found.tensors.update(
            (q, f) for q, f in zip(op.outputs, last.outputs, strict=False) if q >= 0 and f >= 0
        )
        for q, f in zip(op.inputs, first.inputs, strict=False) if op.name == first.name else ():
            if q in self.fixed_quant and f in self.fixed_float:
                self._constant(q, f)

    def _constant(self, q: int, f: int) -> None:
        """Match two constants, and count how many of their signs agree."""
        self.found.constants[q] = f
        agree, total = self._sign_counts(q, f)
        self.signs = self.signs[0] + agree, self.signs[1] + total

    def _candidates(self, op: Operator) -> Iterator[int]:
        """Yield free operators of the same kind that read a value of `op`; all, where none is known."""
        known = [self.found.tensors[t] for t in op.inputs if t in self.found.tensors]
        if known:
            indices = dict.fromkeys(i for t in known for i in self.readers.get(t, ()))
        else:
            indices = dict.fromkeys(self.by_name[n] for n in self._names(op) if n in self.by_name)
            if all(t < 0 or t in self.fixed_quant for t in op.inputs):
                indices |= dict.fromkeys(range(len(self.floats.operators)))
        for i in indices:
            if i not in self.taken and _kind(self.floats.operators[i]) == _kind(op):
                yield i

    def _names(self, op: Operator) -> Iterator[str]:
        for t in op.outputs:
            if t >= 0:
                name = self.quants.tensors[t].name
                yield name
                yield SUFFIX.sub("", name)

    def _score(self, op: Operator, i: int) -> tuple[int, int, int] | None:
        """Return how well float operator `i` fits `op`, or None if it cannot be it."""
        other = self.floats.operators[i]
        same_values = 0
        constants = 0
        for q, f in zip(op.inputs, other.inputs, strict=False):
            if q < 0 or f < 0 or self.floats.tensors[f].is_variable:
                continue  # a bias that only one of them has; state, which quantizers set in ways of their own
            if (q in self.fixed_quant) != (f in self.fixed_float):
                return None
            if q in self.found.tensors:
                if self.found.tensors[q] != f:
                    return None
                same_values += 1
            elif q in self.fixed_quant and op.name == other.name:
                constants += self._same_constant(q, f)
        if not self._same_shape(op, other):
            return None
        names = {self.floats.tensors[t].name for t in other.outputs if t >= 0}
        return same_values, int(not names.isdisjoint(self._names(op))), constants

    def _same_constant(self, q: int, f: int) -> int:
        """Return 1 where two constants agree, -1 where they do not, 0 where that cannot be said."""
        agree, total = self._sign_counts(q, f)
        if total:
            return 1 if agree >= SIGN_AGREEMENT * total else -1
        quant, origin = self.fixed_quant[q], self.fixed_float[f]
        if quant.data is None or origin.data is None or quant.dtype != origin.dtype:
            return 0
        return 1 if np.array_equal(quant.data, origin.data) else -1

    def _sign_counts(self, q: int, f: int) -> tuple[int, int]:
        """Return how many signs agree, among the weights that the quantized model does not have as zero, and
        how many there are of these; (0, 0) for what is no weight."""
        quant, origin = self.fixed_quant[q], self.fixed_float[f]
        if quant.shape != origin.shape or len(quant.shape) < 2 or origin.dtype in ("int32", "int64"):
            return 0, 0
        a, b = constant_values(origin), constant_values(quant)
        if a is None or b is None:
            return 0, 0
        there = b != 0
        return int(np.count_nonzero((np.sign(a) == np.sign(b)) & there)), int(np.count_nonzero(there))

    def _same_shape(self, op: Operator, other: Operator) -> bool:
        sizes = [
            [int(np.prod(g.tensors[t].shape, dtype=np.int64)) for t in o.outputs if t >= 0]
            for g, o in ((self.quants, op), (self.floats, other))
        ]
        return len(op.outputs) == len(other.outputs) and sizes[0] == sizes[1]

    def _with_activation(self, op: Operator, i: int) -> tuple[int, ...]:
        """Return float operator `i`, and the activation behind it that the quantized operator has fused."""
        fused = op.options.get("fused_activation_function", "NONE")
        other = self.floats.operators[i]
        if fused == "NONE" or other.options.get("fused_activation_function", "NONE") == fused:
            return (i,)
        readers = self.readers.get(other.outputs[0], [])
        if len(readers) == 1 and self.floats.operators[readers[0]].op == fused:
            return (i, readers[0])
        return (i,)


def _kind(op: Operator) -> str:
    return WRITTEN_AS.get(op.op, op.name)
