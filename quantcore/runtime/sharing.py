"""Which tensors of a plan share memory, so that nothing is copied between them.

A kernel that only moves data may say that one of its tensors is a part of another's memory
(`KernelCall.views`): RESHAPE, and CONCATENATION or SPLIT along the outermost axis. An element-wise operator
may write over an input that nobody reads later (`Definition.in_place`).

Constants and state keep memory of their own. Nothing is written over the inputs of the graph, and nothing
else lies in the memory of its outputs when a run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from quantcore.runtime.lowered import Lowered, Step

__all__ = ["Sharing"]


@dataclass(slots=True)
class Sharing:
    """The tensors of a plan by the memory that they lie in.

    Parameters
    ----------
    lowered : Lowered
        Loses the steps that sharing makes superfluous.
    ports : collection of int
        Inputs and outputs of the graph.
    variables : collection of int
        State.
    nbytes : callable
        From a run-time tensor to its size in bytes.
    """

    lowered: Lowered
    ports: Collection[int]
    variables: Collection[int]
    nbytes: Callable[[int], int]
    _places: dict[int, tuple[int, int]] = field(default_factory=dict)
    _guests: dict[int, list[int]] = field(default_factory=dict)  # tensors in the memory of another, by that

    def place(self, t: int) -> tuple[int, int]:
        """Return the tensor in whose memory `t` lies, and where in there, in bytes."""
        return self._places.get(t, (t, 0))

    def find(self) -> None:
        """Let tensors share memory where they can, and leave out the steps which that makes superfluous."""
        self.lowered.steps = [step for step in self.lowered.steps if not self._become_views(step)]
        self._write_over_inputs()

    def _become_views(self, step: Step) -> bool:
        """Make the parts of a step that moves data views of the whole, if all of them can be."""
        views = [(step.tensors[part], step.tensors[whole], at) for part, whole, at in step.call.views]
        if len(views) == 1 and views[0][0] in self.ports and self._is_all_of(*views[0]):
            # what is moved to an output of the graph can be made there
            views = [(views[0][1], views[0][0], 0)]
        owners = {self.place(part)[0] for part, _, _ in views}
        if not views or len(owners) < len(views) or not all(self._can_move(part) for part, _, _ in views):
            return False
        if not all(self._is_in_arena(whole) for _, whole, _ in views):
            return False
        for part, whole, at in views:
            self._move(part, whole, at)
        return True

    def _is_all_of(self, part: int, whole: int, at: int) -> bool:
        return self._is_in_arena(whole) and at == 0 and self.nbytes(part) == self.nbytes(whole)

    def _is_in_arena(self, t: int) -> bool:
        return t >= 0 and t not in self.lowered.values and t not in self.variables

    def _can_move(self, t: int) -> bool:
        """Whether memory may be assigned to `t`, which means to all that lies in the same."""
        if not self._is_in_arena(t):
            return False
        owner, at = self.place(t)
        return at == 0 and owner not in self.ports and self.nbytes(owner) == self.nbytes(t)

    def _move(self, part: int, whole: int, at: int) -> None:
        moved, _ = self.place(part)
        owner, begin = self.place(whole)
        for t in (moved, *self._guests.pop(moved, ())):
            self._places[t] = (owner, begin + at + self.place(t)[1])
            self._guests.setdefault(owner, []).append(t)

    def spans(self) -> dict[int, tuple[int, int]]:
        """Return the first and the last step at which each memory must exist, by the tensor that owns it.

        That of inputs and outputs of the graph and of state exists throughout.
        """
        found: dict[int, tuple[int, int]] = {}
        for position, step in enumerate(self.lowered.steps):
            for t in step.tensors:
                if t >= 0 and t not in self.lowered.values:
                    owner, _ = self.place(t)
                    found[owner] = (found.get(owner, (position, position))[0], position)
        lasting = [self.place(t)[0] for t in (*self.ports, *self.variables) if t not in self.lowered.values]
        return found | dict.fromkeys(lasting, (0, len(self.lowered.steps)))

    def _write_over_inputs(self) -> None:
        """Let element-wise steps write over an input of the output's size that nobody reads later."""
        spans = self.spans()
        for position, step in enumerate(self.lowered.steps):
            if not step.in_place:
                continue
            y = step.tensors[-1]
            for i in step.in_place:
                x = step.tensors[i]
                owner, _ = self.place(x)
                neighbours = [t for t in step.tensors[:-1] if t not in (x, -1) and self.place(t)[0] == owner]
                if neighbours or not self._is_in_arena(x) or self.nbytes(x) != self.nbytes(y):
                    continue
                if self._can_move(y) and spans[owner][1] == position == spans[self.place(y)[0]][0]:
                    last = spans[self.place(y)[0]][1]
                    self._move(y, x, 0)
                    spans[owner] = (spans[owner][0], last)
                    break
