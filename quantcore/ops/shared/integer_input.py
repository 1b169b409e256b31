"""Integer inputs that say a shape, an axis or an index: what fits the shapes in the file.

Most models have such operands as constants. Where one is an input of the graph, its value is unknown until
a run; `quantcore.shape_arguments` finds one by what operators say here of their inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["IndexInput", "ShapeInput", "axis_limit", "fitting_paddings"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShapeInput:
    """An input that says a shape, an axis or a position.

    Attributes
    ----------
    fit : callable
        ``fit(x, y)`` gives the value from the stored shapes of the data and of the first output.
    neutral : (int, int) or None
        What is valid whatever the data, where `fit` gives another number of values: the first, the others.
    data : int
        Operand that holds the data.
    """

    fit: Callable[[Shape, Shape], object]
    neutral: tuple[int, int] | None = None
    data: int = 0


@dataclass(frozen=True, slots=True)
class IndexInput:
    """An input of indices.

    Attributes
    ----------
    limit : callable
        ``limit(table, indices, options)`` gives the number that every index must stay below, from the stored
        shapes; None where they do not say.
    table : int
        Operand that they point into.
    """

    limit: Callable[[Shape, Shape, Mapping[str, Any]], int | None]
    table: int = 0


def fitting_paddings(x: Shape, y: Shape) -> list[list[int]]:
    """Return paddings behind each dimension that make `y` of `x`."""
    return [[0, max(0, b - a)] for a, b in zip(x, y, strict=False)]


def axis_limit(table: Shape, indices: Shape, options: Mapping[str, Any]) -> int | None:
    """Return the size of the axis that the options name, or else of the first."""
    axis = int(options.get("axis", 0))
    return (table[axis] if -len(table) <= axis < len(table) else 1) if table else None
