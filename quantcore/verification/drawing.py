"""The entry points of a model, and samples for each of them."""

from __future__ import annotations

from dataclasses import dataclass

from quantcore.errors import QuantcoreError
from quantcore.graph import Model
from quantcore.oracle.arguments import ModelLike
from quantcore.runtime import Interpreter
from quantcore.samples import SampleSource, random_samples, split_samples
from quantcore.subgraphs import called_subgraphs, reachable_subgraphs
from quantcore.verification.entry_point import EntryPoint, Sample

__all__ = ["Drawn", "draw"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a model is verified with.

    Attributes
    ----------
    model : Model
    entries : list of EntryPoint
        The main subgraph first; its samples are the caller's, if there are any.
    notes : list of str
    seed : int
    """

    model: Model
    entries: list[EntryPoint]
    notes: list[str]
    seed: int

    @property
    def samples(self) -> int:
        """How many samples the main subgraph has."""
        return len(self.entries[0].samples)

    @property
    def steps(self) -> int:
        """How many operators are run, over all samples."""
        return sum(len(entry.samples) * len(entry.subgraph.operators) for entry in self.entries)


def draw(source: ModelLike, model: Model, inputs: SampleSource | None, count: int, seed: int) -> Drawn:
    """Take samples for the main subgraph from `inputs`; draw random ones for other entry points.

    A subgraph that an operator calls gets what it is called with when the first sample is run: random indices
    and counters would be of no use to it.
    """
    drawn = Drawn(model, [], [], seed)
    given: list[Sample] | None = None
    if inputs is not None:
        given = split_samples(model, 0, inputs)
        if len(given) > count:
            drawn.notes.append(f"{count} of the {len(given)} samples were used")
    called: dict[int, list[Sample]] = {}
    for s in reachable_subgraphs(model):
        known = given if s == 0 and given is not None else called.get(s)
        samples = random_samples(model, s, count, seed) if known is None else known[:count]
        drawn.entries.append(EntryPoint(source, model, s, samples))
        for callee, values in called_with(model, s, samples[0]).items():
            called.setdefault(callee, []).extend(values)
    return drawn


def called_with(model: Model, subgraph_index: int, sample: Sample) -> dict[int, list[Sample]]:
    """Return the inputs of each call of a subgraph while `sample` is run; none if it cannot be run."""
    if not any(called_subgraphs(op) for op in model.subgraphs[subgraph_index].operators):
        return {}
    try:
        return Interpreter(model, subgraph_index=subgraph_index).calls(sample)
    except QuantcoreError:
        return {}
