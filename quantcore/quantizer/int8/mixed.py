"""Operators of an int8 model that run in 16x8: int16 activations, int8 weights, int64 biases.

The int8 passes leave them as float operators, whose results they convert. Here they are cut out as a float
model of their own, which the passes of the mode int16x8 quantize, and put back, with QUANTIZE in front where
a value comes from outside. ``docs/quantization/mixed.md`` has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Subgraph
from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.quantizer import int16x8
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.int8.rewrite import Rewrite, without_range
from quantcore.quantizer.int16x8.draft import SMALLEST
from quantcore.quantizer.settings import Settings

__all__ = ["free_scales", "put_int16"]


def free_scales(graph: FloatGraph, ranges: Ranges, chosen: Iterable[int]) -> None:
    """Let the operands and results of operators that will be int16 have int8 parameters of their own.

    Their kernels do not need operands and results of one int8 scale. Outputs of a fixed scale keep it.

    Raises
    ------
    QuantizationError
        One of these tensors has no range.
    """
    for i in chosen:
        op = graph.operators[i]
        graph.rules[i] = QuantizationRule(int8=True, fixed_output=graph.rules[i].fixed_output)
        for t in (*op.inputs, *op.outputs):
            if graph.is_value(t) and t not in ranges:
                raise QuantizationError(
                    f"operator {i} ({op.name}) is to run in 16x8, but tensor {t} ({graph.tensor(t).name!r}) "
                    "has no range; calibrate the model on data that computes it"
                )


def put_int16(main: Subgraph, rewrite: Rewrite, ranges: Ranges, settings: Settings) -> Subgraph:
    """Return the int8 subgraph `main` with the int16 form of the operators that were chosen for it.

    Parameters
    ----------
    main : Subgraph
        What `rewrite` has made: these operators are float there. Tensors are added.
    rewrite : Rewrite
        Its account is told which rule fixed the parameters of the new tensors.
    ranges : Ranges
    settings : Settings
    """
    part = _Part(main, rewrite)
    own = Account()
    model = Model([replace(main, operators=part.operators, inputs=tuple(part.entries), outputs=())])
    inside = Settings(
        "int16x8", "int16", settings.allow_float, settings.per_channel, settings.per_channel_dense
    )
    made = int16x8.quantize(model, part.ranges(ranges), inside, own).subgraphs[0]
    for t, entry in own.tensors.items():
        source = None if entry.source is None else part.origins.get(entry.source, entry.source)
        rewrite.account.tensors[t] = replace(entry, source=source)
    operators = list(_joined(main.operators, made.operators, part))
    return replace(main, tensors=[without_range(t) for t in made.tensors], operators=operators)


class _Part:
    """The chosen operators as a float model.

    Parameters
    ----------
    main : Subgraph
        Tensors that the part needs are added.
    rewrite : Rewrite

    Attributes
    ----------
    operators : list of Operator
        The chosen ones, reading tensors of this part.
    entries : dict of int to int
        Inputs of this part, each with the float tensor of `main` whose value it has.
    origins : dict of int to int
        The same with the tensor of the float model.
    """

    def __init__(self, main: Subgraph, rewrite: Rewrite) -> None:
        self.rewrite, self.decisions, self.graph = rewrite, rewrite.decisions, rewrite.graph
        self.operators: list[Operator] = []
        self.entries: dict[int, int] = {}
        self.origins: dict[int, int] = {}
        self.own: dict[int, int] = {}
        for op in main.operators:
            i = self.graph.producers.get(op.outputs[0]) if op.outputs else None
            if i is not None and i in self.decisions.int16:
                pairs = zip(op.inputs, self.graph.operators[i].inputs, strict=True)
                self.operators.append(replace(op, inputs=tuple(self.operand(t, f) for t, f in pairs)))

    def operand(self, t: int, f: int) -> int:
        """Return the tensor that stands for operand `t` of an operator, tensor `f` of the float model."""
        outside = self.graph.is_value(f) and self.graph.producers.get(f) not in self.decisions.int16
        if t in self.own or not (outside or self.is_constant_of_others(f)):
            return self.own.get(t, t)
        tensor = self.rewrite.tensors[t]
        self.own[t] = self.rewrite.append(replace(tensor, name=f"{tensor.name}_int16", buffer=0))
        if outside:
            self.entries[self.own[t]], self.origins[self.own[t]] = t, f
        return self.own[t]

    def is_constant_of_others(self, f: int) -> bool:
        """Whether a float operator or an output of the graph needs a float constant as it is."""
        if not self.graph.is_float(f) or self.graph.is_value(f):
            return False
        users = [self.decisions.form(i) for i, _ in self.graph.uses.get(f, ())]
        return "float" in users or f in self.graph.subgraph.outputs

    def ranges(self, ranges: Ranges) -> Ranges:
        """Return the ranges of the tensors of this part."""
        results = {t: t for op in self.operators for t in op.outputs}
        return Ranges(
            {t: _more_than_zero(ranges[f]) for t, f in (results | self.origins).items() if f in ranges}
        )


def _more_than_zero(found: TensorRange) -> TensorRange:
    """Return a range, or [0, 1] for what is always 0, whose scale would be too small for multipliers."""
    if max(abs(found.rmin), abs(found.rmax)) <= SMALLEST:
        return replace(found, rmin=0.0, rmax=1.0)
    return found


def _joined(outer: list[Operator], made: list[Operator], part: _Part) -> Iterator[Operator]:
    """Yield the operators of both, each chosen one in its int16 form.

    The passes of the mode int16x8 put operators in front of those that need them, and only there.
    """
    results = {op.outputs for op in part.operators}
    forms: dict[tuple[int, ...], list[Operator]] = {}
    before: list[Operator] = []
    for op in made:
        before.append(op)
        if op.outputs in results:
            forms[op.outputs], before = before, []
    converted: set[int] = set()
    for op in outer:
        for form in forms.get(op.outputs, [op]):
            for t in form.inputs:
                if t in part.entries and t not in converted:
                    converted.add(t)
                    yield Operator("QUANTIZE", 1, (part.entries[t],), (t,))
            yield form
