"""Which values have a range, and which share one."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantcore.errors import QuantizationError
from quantcore.qat.graph import Graph, Step
from quantcore.qat.kinds import FIXED, FLOAT, IDENTITY, JOIN, ROUNDS, SAME
from quantcore.qat.recipe import Recipe

__all__ = ["RangePlan", "SharedRange", "plan_ranges"]


@dataclass(eq=False)
class SharedRange:
    """One range.

    Attributes
    ----------
    name : str
        Of the layer whose output has it first.
    fixed : tuple of float, or None
        The range, if it is a constant.
    by_operator : bool
        Whether that is so because the operator has no other.
    values : list of int
        The values that are observed; their places are the members of the `FakeQuantize` layer.
    """

    name: str
    fixed: tuple[float, float] | None = None
    by_operator: bool = False
    values: list[int] = field(default_factory=list)


@dataclass
class RangePlan:
    """The ranges of a graph.

    Attributes
    ----------
    range_of : dict of int to SharedRange
        By value; values in float have none.
    followers : set of int
        Values that are rounded to a grid which others determine.
    """

    range_of: dict[int, SharedRange] = field(default_factory=dict)
    followers: set[int] = field(default_factory=set)


def plan_ranges(graph: Graph, recipe: Recipe, input_names: list[str]) -> RangePlan:
    """Give every value of quantized steps its range.

    Raises
    ------
    QuantizationError
        The recipe fixes different ranges for values that share one.
    """
    return _Planner(graph, recipe, input_names).plan


def _output_name(step: Step) -> str:
    return str(step.options.get("output", step.name))


class _Planner:
    def __init__(self, graph: Graph, recipe: Recipe, input_names: list[str]) -> None:
        self.recipe = recipe
        self.plan = RangePlan()
        self.names = dict(zip(graph.inputs, input_names, strict=True))
        readers = graph.readers()
        for value in graph.inputs:
            if any(step.kind != FLOAT for step in readers[value]):
                self._observe(value)
        for step in graph.steps:
            self.names.update(dict.fromkeys(step.outputs, _output_name(step)))
            if step.kind != FLOAT:
                self._visit(step)

    def _visit(self, step: Step) -> None:
        ranges = self.plan.range_of
        if step.kind == IDENTITY:
            if step.inputs[0] in ranges:
                ranges[step.outputs[0]] = ranges[step.inputs[0]]
            return
        for value in step.inputs:
            if value not in ranges:
                self._observe(value)  # what a step in float hands to one in int8
        (output,) = step.outputs
        if step.kind in (SAME, ROUNDS):
            ranges[output] = ranges[step.inputs[0]]
            if step.kind == ROUNDS:
                self.plan.followers.add(output)
        elif step.kind == JOIN:
            self._join(step, output)
        elif step.kind == FIXED:
            ranges[output] = SharedRange(_output_name(step), step.options["range"], True, [output])
        elif not step.options.get("fused"):
            self._observe(output)
        else:
            ranges[output] = SharedRange(step.name)  # a placeholder: the activation behind it has the range

    def _observe(self, value: int) -> None:
        name = self.names[value]
        self.plan.range_of[value] = SharedRange(name, self.recipe.for_layer(name).range, False, [value])

    def _join(self, step: Step, output: int) -> None:
        """Let inputs and output share a range; where an operator has another, the output gets its own."""
        ranges = self.plan.range_of
        joined = list(dict.fromkeys(ranges[value] for value in step.inputs))
        if any(shared.by_operator for shared in joined):
            if len(joined) == 1:
                ranges[output] = joined[0]
            else:
                self._observe(output)
            return
        first, *others = joined
        for other in others:
            self._merge(first, other)
        ranges[output] = first

    def _merge(self, first: SharedRange, other: SharedRange) -> None:
        if first.fixed is not None and other.fixed is not None and first.fixed != other.fixed:
            raise QuantizationError(
                f"the recipe fixes the range {first.fixed} for {first.name!r} and {other.fixed} for "
                f"{other.name!r}; they are joined, so one range holds for both"
            )
        first.fixed = other.fixed if first.fixed is None else first.fixed
        first.values += other.values
        for value, shared in self.plan.range_of.items():
            if shared is other:
                self.plan.range_of[value] = first
