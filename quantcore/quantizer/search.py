"""Search for the fewest operators to leave in float, or in 16x8, so that a model is as good as asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantcore.calibration import Ranges
from quantcore.calibration.dataset import Dataset, Sample, read_samples
from quantcore.compare import describe, match
from quantcore.comparison.layers import Layers, as_input
from quantcore.comparison.measures import ErrorSums, params_of, real_values
from quantcore.comparison.result import CompareResult
from quantcore.comparison.runs import WholeRun
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_graph import has_floats
from quantcore.quantizer.refusal import without_int16_form
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from quantcore.wording import counted

__all__ = ["MEASURES", "PRECISIONS", "SearchResult", "check_precision", "search_operators"]

MEASURES = ("sqnr", "accuracy")
PRECISIONS = ("float", "int16x8")
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class SearchResult:
    """What `search_operators` found.

    Attributes
    ----------
    operators : frozenset of int
        Operators of the float model to leave in `precision`.
    precision : {"float", "int16x8"}
    measure : str
    target, value, baseline : float
        What was asked; what the model with these operators in `precision` has; what it has without any.
    reached : bool
        Whether `value` is at least `target`. If not, `operators` are the best set that was tried.
    ranking : list of (int, float)
        Operators from the most to the least sensitive: each with the SQNR (dB) of its own error.
    evaluations : list of (int, float)
        For each model that was made and measured: how many operators it has in `precision`, and its value.
    """

    operators: frozenset[int]
    precision: str
    measure: str
    target: float
    value: float
    baseline: float
    reached: bool
    ranking: list[tuple[int, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)

    def settings(self, settings: Settings) -> Settings:
        """Return the settings of the search with these operators added to those chosen before."""
        return with_precision(replace(settings, allow_float=True), self.precision, self.operators)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        return {
            "measure": self.measure,
            "target": self.target,
            "value": self.value,
            "baseline": self.baseline,
            "reached": self.reached,
            "precision": self.precision,
            "operators": sorted(self.operators),
            "ranking": [{"operator": i, "sqnr_db": sqnr} for i, sqnr in self.ranking],
            "evaluations": [{"operators": n, "value": value} for n, value in self.evaluations],
        }


def with_precision(settings: Settings, precision: str, operators: frozenset[int]) -> Settings:
    """Return settings with more operators in float or in 16x8."""
    if precision == "float":
        return replace(settings, float_operators=settings.float_operators | operators)
    return replace(settings, int16_operators=settings.int16_operators | operators)


def search_operators(
    model: Model,
    ranges: Ranges | None,
    dataset: Dataset,
    settings: Settings,
    *,
    target: float,
    measure: str = "sqnr",
    precision: str = "float",
    labels: Sequence[int] | np.ndarray | None = None,
    advance: Progress | None = None,
) -> SearchResult:
    """Return the fewest operators to leave in float, or in 16x8, that reach a target.

    As far as a search finds them: operators are ranked by their own error, each fed with the float model's
    values. The shortest prefix of that ranking that reaches the target is found by bisection (in 16x8, where
    all of them do not reach it, one by one); then each of its operators that turns out not to be needed is
    taken back, the least sensitive first. Every step makes the quantized model, runs it and measures its
    outputs, so `value` is that of the model that `settings` with these operators give. The same arguments
    give the same result. It is not proved to be the smallest set.

    Parameters
    ----------
    model : Model
    ranges : Ranges or None
        As for the quantizer.
    dataset
        As for `quantcore.calibration.collect_ranges`. All samples are kept, and run once per step.
    settings : Settings
        `Settings.float_operators` stay float in any case, and `Settings.int16_operators` in 16x8.
    target : float
        dB, or a share in 0..1.
    measure : {"sqnr", "accuracy"}
        ``sqnr``: of the worst output against the float model's. ``accuracy``: share of the samples whose
        largest output is at the label; without `labels`, where the float model has it.
    precision : {"float", "int16x8"}
        ``int16x8``, in the mode int8: int16 activations, int8 weights and int64 biases; operators without
        such a form are not chosen.
    labels : sequence of int, optional
        One per sample.
    advance : callable, optional
        Called as ``advance(done, total, what)`` after each step; `total` is an estimate.

    Raises
    ------
    QuantizationError
        Bad data, labels that do not fit it, an unknown measure or precision, another mode than int8 for
        ``int16x8``, or a model that cannot be quantized.
    """
    if measure not in MEASURES:
        raise QuantizationError(f"measure is {measure!r}; expected one of {', '.join(MEASURES)}")
    if not np.isfinite(target) or (measure == "accuracy" and not 0 <= target <= 1):
        raise QuantizationError(f"target is {target}; expected dB for sqnr, a share in 0..1 for accuracy")
    check_precision(precision, settings)
    samples = list(read_samples(model, dataset))
    search = _Search(model, ranges, samples, settings, measure, precision, labels, advance)
    return search.run(target)


def check_precision(precision: str, settings: Settings) -> None:
    """Refuse a precision that is unknown, or that the mode does not have beside its own."""
    if precision not in PRECISIONS:
        raise QuantizationError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if precision == "int16x8" and settings.mode != "int8":
        raise QuantizationError(f"the search leaves operators in 16x8 in mode 'int8', not {settings.mode!r}")


class _Search:
    """The samples, what the float model makes of them, and the candidates."""

    def __init__(
        self,
        model: Model,
        ranges: Ranges | None,
        samples: list[Sample],
        settings: Settings,
        measure: str,
        precision: str,
        labels: Sequence[int] | np.ndarray | None,
        advance: Progress | None,
    ) -> None:
        self.model, self.ranges, self.samples, self.measure = model, ranges, samples, measure
        self.settings, self.precision = replace(settings, allow_float=True), precision
        self.advance = advance
        self.expected = list(self._outputs(model))
        self.labels: list[int] = []
        if measure == "accuracy":
            self.labels = self._labels(labels)
        self.evaluations: list[tuple[int, float]] = []
        self.total = 1

    def _labels(self, labels: Sequence[int] | np.ndarray | None) -> list[int]:
        if len(self.model.subgraphs[0].outputs) != 1:
            raise QuantizationError("accuracy needs a model with one output; measure the SQNR")
        if labels is None:
            return [int(np.argmax(outputs[0])) for outputs in self.expected]
        if len(labels) != len(self.samples):
            raise QuantizationError(f"{len(labels)} labels for {len(self.samples)} samples")
        return [int(label) for label in labels]

    def run(self, target: float) -> SearchResult:
        """Search."""
        account = Account()
        start = self._quantize(frozenset(), account)
        candidates = self._candidates(account)
        self.total = 3 + int(np.ceil(np.log2(len(candidates) + 1)))
        baseline = self._value([])
        found = SearchResult(
            frozenset(), self.precision, self.measure, target, baseline, baseline, baseline >= target
        )
        found.evaluations = self.evaluations
        if found.reached or not candidates:
            return found
        found.ranking = self._ranking(start, candidates)
        order = [i for i, _ in found.ranking]
        best = self._value(order), order
        if best[0] >= target:
            best = self._shortest(order, target, best[0])
        elif self.precision == "int16x8":  # more are not always better, as they are in float
            nothing: tuple[float, list[int]] = (baseline, [])
            best = self._first(order, target, max(nothing, best, key=lambda item: item[0]))
        found.reached = best[0] >= target
        found.value, chosen = self._without_unneeded(*best, target) if found.reached else best
        found.operators = frozenset(chosen)
        return found

    def _candidates(self, account: Account) -> set[int]:
        """Return the operators that can be chosen."""
        main = self.model.subgraphs[0]
        found = set(range(len(main.operators))) - set(account.kept_float)
        found -= self.settings.float_operators | self.settings.int16_operators
        if self.precision == "int16x8":
            found -= set(without_int16_form(self.model))
            found = {i for i in found if has_floats(main.operators[i], main)}
        return found

    def _first(
        self, order: list[int], target: float, best: tuple[float, list[int]]
    ) -> tuple[float, list[int]]:
        """Return the shortest prefix that reaches the target, and its value; if none does, the best."""
        self.total = len(self.evaluations) + len(order) - 1
        for count in range(1, len(order)):
            best = max(best, (self._value(order[:count]), order[:count]), key=lambda item: item[0])
            if best[0] >= target:
                break
        return best

    def _shortest(self, order: list[int], target: float, value: float) -> tuple[float, list[int]]:
        """Return the shortest prefix that reaches the target, as bisection finds it, and its value."""
        values = {len(order): value}
        low, high = 0, len(order)  # `low` operators do not reach it, `high` do
        while high - low > 1:
            middle = (low + high) // 2
            values[middle] = self._value(order[:middle])
            low, high = (low, middle) if values[middle] >= target else (middle, high)
        return values[high], order[:high]

    def _without_unneeded(self, value: float, order: list[int], target: float) -> tuple[float, list[int]]:
        """Return a set that needs each of its operators, and its value, from one that reaches the target."""
        chosen = order
        self.total = len(self.evaluations) + len(order) - 1
        for i in reversed(order[:-1]):
            fewer = [k for k in chosen if k != i]
            without = self._value(fewer)
            if without >= target:
                chosen, value = fewer, without
        return value, chosen

    def _ranking(self, quantized: Model, candidates: set[int]) -> list[tuple[int, float]]:
        """Return the candidates, the most sensitive first, each with the SQNR of its own error."""
        result = CompareResult(self.model.source, "", "float", "reference", len(self.samples))
        matching = match(self.model, quantized)
        describe(result, self.model, quantized, matching)
        layers = Layers(self.model, quantized, matching, result.tensors, "float", "reference")
        for sample in self.samples:
            layers.add(sample, lambda what: None)
        own: dict[int, float] = {}
        for row in result.tensors:
            for i in row.float_operators:
                own[i] = min(own.get(i, np.inf), np.inf if row.reason else row.measures.sqnr_db)
        return sorted(((i, own.get(i, np.inf)) for i in candidates), key=lambda item: (item[1], item[0]))

    def _quantize(self, chosen: Iterable[int], account: Account | None = None) -> Model:
        settings = with_precision(self.settings, self.precision, frozenset(chosen))
        return apply(Plan(self.model, settings), self.ranges, account)

    def _value(self, chosen: list[int]) -> float:
        """Quantize with these operators in another precision, run the model and return its measure."""
        quantized = self._quantize(chosen)
        value = self._measured(self._outputs(quantized))
        self.evaluations.append((len(chosen), value))
        if self.advance is not None:
            done = len(self.evaluations)
            what = f"{counted(len(chosen), 'operator')} in {self.precision}: {value:.4g}"
            self.advance(done, max(done, self.total), what)
        return value

    def _measured(self, found: Iterable[list[np.ndarray]]) -> float:
        if self.measure == "accuracy":
            right = [np.argmax(out[0]) == label for out, label in zip(found, self.labels, strict=True)]
            return float(np.mean(right))
        sums = [ErrorSums() for _ in self.model.subgraphs[0].outputs]
        for outputs, expected in zip(found, self.expected, strict=True):
            for total, y, x in zip(sums, outputs, expected, strict=True):
                total.update(x, y)
        return min(total.result().sqnr_db for total in sums)

    def _outputs(self, model: Model) -> Iterable[list[np.ndarray]]:
        """Yield the outputs for each sample, as real values."""
        main, run = model.subgraphs[0], WholeRun(model)
        for sample in self.samples:
            run.run([as_input(x, main.tensors[t]) for x, t in zip(sample, main.inputs, strict=True)])
            yield [np.array(real_values(run.value(t), params_of(main.tensors[t]))) for t in main.outputs]
