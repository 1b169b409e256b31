"""Calibration methods by name: which tracker measures which tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol

from quantcore.calibration.trackers import MinMax, MovingAverage
from quantcore.errors import QuantizationError
from quantcore.graph import Subgraph

__all__ = ["METHODS", "MIN_MAX", "Method", "Tracker", "choose_methods", "make_tracker", "method_name"]

MIN_MAX = "min_max"

# A name, or a dict of the name as ``method`` and the tracker's arguments: {"method": "percentile", ...}
Method = str | Mapping[str, Any]


class Tracker(Protocol):
    """What calibration asks of a range tracker."""

    def update(self, x: Any) -> None:
        """Take in the values of `x`."""

    def merge(self, other: Any) -> None:
        """Take in what `other` has seen."""

    def range(self) -> tuple[Any, Any]:
        """Return ``(rmin, rmax)``."""


METHODS: dict[str, Callable[..., Tracker]] = {MIN_MAX: MinMax, "moving_average": MovingAverage}
IN_ORDER = frozenset({"moving_average"})  # whose range depends on the order of the samples


def method_name(method: Method) -> str:
    """Return the name of a method.

    Raises
    ------
    QuantizationError
        There is no such method; the message lists the known ones.
    """
    name = method if isinstance(method, str) else method.get("method")
    if name not in METHODS:
        raise QuantizationError(f"calibration method {name!r} is unknown; known: {', '.join(METHODS)}")
    return str(name)


def make_tracker(method: Method) -> Tracker:
    """Return a new tracker for one tensor.

    Raises
    ------
    QuantizationError
        Unknown method, or arguments that it does not take.
    """
    name = method_name(method)
    arguments = {} if isinstance(method, str) else {k: v for k, v in method.items() if k != "method"}
    try:
        return METHODS[name](**arguments)
    except TypeError as error:
        raise QuantizationError(f"calibration method {name!r} does not take {arguments}: {error}") from None


def choose_methods(
    subgraph: Subgraph, tensors: list[int], method: Method, overrides: Mapping[int | str, Method] | None
) -> dict[int, Method]:
    """Return the method of each of `tensors`: `method`, or the last of `overrides` that names the tensor.

    Parameters
    ----------
    subgraph : Subgraph
    tensors : list of int
    method : str or dict
    overrides : mapping of (int or str) to method, optional
        By tensor index, or by a pattern of tensor names with the wildcards ``*``, ``?`` and ``[...]``.

    Raises
    ------
    QuantizationError
        Unknown method or arguments; a key that fits no tensor.
    """
    chosen = dict.fromkeys(tensors, method)
    make_tracker(method)
    for key, other in (overrides or {}).items():
        make_tracker(other)
        hits = [t for t in tensors if t == key or (isinstance(key, str) and matches(subgraph, t, key))]
        if not hits:
            raise QuantizationError(f"methods: no calibrated tensor is called {key!r}")
        chosen.update(dict.fromkeys(hits, other))
    return chosen


def matches(subgraph: Subgraph, t: int, pattern: str) -> bool:
    """Whether the name of tensor `t` is `pattern`, or fits it."""
    name = subgraph.tensors[t].name
    return name == pattern or fnmatchcase(name, pattern)
