"""Placement of run-time tensors in one block of memory.

Greedy by size (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference",
section 4.1; TFLite's ``arena_planner.cc`` does the same): the largest tensor first, each at the lowest
offset that does not collide with a tensor alive at the same time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["ALIGNMENT", "Lifetime", "place"]

ALIGNMENT = 64

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Size in bytes of a tensor, and the first and last step (inclusive) at which it must exist."""

    size: int
    first: int
    last: int


def place(lifetimes: Mapping[Key, Lifetime], alignment: int = ALIGNMENT) -> tuple[dict[Key, int], int]:
    """Return an aligned offset per tensor, and the total size in bytes."""
    offsets: dict[Key, int] = {}
    alive: dict[int, set[tuple[int, int]]] = {}  # by step: (offset, end) of what has been placed
    throughout: set[tuple[int, int]] = set()
    begin = min((lifetime.first for lifetime in lifetimes.values()), default=0)
    finish = max((lifetime.last for lifetime in lifetimes.values()), default=0)
    total = 0
    for key, lifetime in sorted(lifetimes.items(), key=lambda item: -item[1].size):
        size = -(-lifetime.size // alignment) * alignment
        is_throughout = (lifetime.first, lifetime.last) == (begin, finish)
        steps = range(lifetime.first, lifetime.last + 1)
        others = list(alive.values()) if is_throughout else [alive.setdefault(step, set()) for step in steps]
        offset = 0
        for start, end in sorted(throughout.union(*others)):
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[key] = offset
        for placed in [throughout] if is_throughout else others:
            placed.add((offset, offset + size))
        total = max(total, offset + size)
    return offsets, total
