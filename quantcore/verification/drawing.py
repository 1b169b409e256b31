"""The samples of a verification, and its progress."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from quantcore.samples import SampleSource, random_samples, split_samples
from quantcore.subgraphs import called_subgraphs, reachable_subgraphs

__all__ = ["Drawn", "Progress", "ProgressCallback", "draw"]

ProgressCallback = Callable[[int, int, str], None]


class Drawn:
    """Samples by entry point.

    Attributes
    ----------
    samples : dict of int to list
        By subgraph; the main subgraph's are the caller's, if there are any.
    notes : list of str
    seed : int
    """

    def __init__(self, samples: dict[int, list[list[np.ndarray]]], notes: list[str], seed: int) -> None:
        self.samples, self.notes, self.seed = samples, notes, seed

    def steps(self, model: Model) -> int:
        """Return how many operators are run, over all samples."""
        return sum(len(drawn) * len(model.subgraphs[s].operators) for s, drawn in self.samples.items())


def draw(model: Model, inputs: SampleSource | None, samples: int, seed: int) -> Drawn:
    """Take samples for the main subgraph from `inputs`; draw random ones for other entry points.

    A subgraph that an operator calls gets what it is called with when the first sample is run: random indices
    and counters would be of no use to it.
    """
    drawn = Drawn({}, [], seed)
    given: list[list[np.ndarray]] | None = None
    if inputs is not None:
        given = split_samples(model, 0, inputs)
        if len(given) > samples:
            drawn.notes.append(f"{samples} of the {len(given)} samples were used")
    called: dict[int, list[list[np.ndarray]]] = {}
    for s in reachable_subgraphs(model):
        if s == 0 and given is not None:
            drawn.samples[s] = given[:samples]
        elif s in called:
            drawn.samples[s] = called[s][:samples]
        else:
            drawn.samples[s] = random_samples(model, s, samples, seed)
        for callee, values in called_with(model, s, drawn.samples[s][0]).items():
            called.setdefault(callee, []).extend(values)
    return drawn


def called_with(
    model: Model, subgraph_index: int, sample: list[np.ndarray]
) -> dict[int, list[list[np.ndarray]]]:
    """Return the inputs of each call of a subgraph while `sample` is run; none if it cannot be run."""
    if not any(called_subgraphs(op) for op in model.subgraphs[subgraph_index].operators):
        return {}
    try:
        return Interpreter(model, subgraph_index=subgraph_index).calls(sample)
    except QuantcoreError:
        return {}


class Progress:
    """Counts operators for the caller's progress bar."""

    def __init__(self, callback: ProgressCallback | None, total: int) -> None:
        self.callback, self.total, self.done = callback, total, 0

    def step(self, what: str) -> None:
        """Report that one more operator has been compared for one sample."""
        self.done += 1
        self.say(what)

    def say(self, what: str) -> None:
        """Report what comes next."""
        if self.callback is not None:
            self.callback(min(self.done, self.total), self.total, what)
