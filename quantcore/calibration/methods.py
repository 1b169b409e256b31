"""Calibration methods by name: which tracker measures which tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from inspect import signature
from typing import Any, Protocol

from quantcore.calibration.entropy import Entropy
from quantcore.calibration.histogram import HistogramTracker
from quantcore.calibration.mse import MSE
from quantcore.calibration.observation import Narrowed
from quantcore.calibration.percentile import Percentile
from quantcore.calibration.trackers import MinMax, MovingAverage
from quantcore.errors import QuantizationError
from quantcore.graph import Subgraph

__all__ = [
    "METHODS",
    "MIN_MAX",
    "Method",
    "Tracker",
    "choose_methods",
    "make_tracker",
    "method_name",
    "method_text",
    "narrow",
]

MIN_MAX = "min_max"

# A name, alone or with the arguments of its tracker: "percentile:99.99" (the first one),
# "percentile:99.99,bins=8192", {"method": "moving_average", "momentum": 0.9}
Method = str | Mapping[str, Any]


class Tracker(Protocol):
    """What calibration asks of a range tracker."""

    def update(self, x: Any) -> None:
        """Take in the values of `x`."""

    def merge(self, other: Any) -> None:
        """Take in what `other` has seen."""

    def range(self) -> tuple[Any, Any]:
        """Return ``(rmin, rmax)``."""


METHODS: dict[str, Callable[..., Tracker]] = {
    MIN_MAX: MinMax,
    "moving_average": MovingAverage,
    "percentile": Percentile,
    "mse": MSE,
    "entropy": Entropy,
}
IN_ORDER = frozenset({"moving_average"})  # whose range depends on the order of the samples


def method_name(method: Method) -> str:
    """Return the name of a method.

    Raises
    ------
    QuantizationError
        There is no such method; the message lists the known ones.
    """
    name = method.partition(":")[0] if isinstance(method, str) else method.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise QuantizationError(f"calibration method {name!r} is unknown; known: {', '.join(METHODS)}")
    return name


def method_arguments(method: Method) -> dict[str, Any]:
    """Return the arguments for the tracker of a method.

    Raises
    ------
    QuantizationError
        Unknown method; in the form of a text, arguments that are no numbers where numbers are expected.
    """
    name = method_name(method)
    if not isinstance(method, str):
        return {key: value for key, value in method.items() if key != "method"}
    parameters = signature(METHODS[name]).parameters
    first = next(iter(parameters))
    given = method.partition(":")[2]
    arguments: dict[str, Any] = {}
    for position, part in enumerate(given.split(",") if ":" in method else []):
        key, equals, text = part.rpartition("=")
        key = key if equals or position else first
        if text and key in parameters and isinstance(parameters[key].default, str):
            arguments[key] = text
            continue
        try:
            arguments[key] = int(text) if text.strip().isdigit() else float(text)
        except ValueError:
            key = ""
        if not key:
            raise QuantizationError(
                f"calibration method {method!r}: {part!r} is not {first} or name=number; expected such as "
                f"'{name}:{first}=...'"
            )
    return arguments


def method_text(method: Method) -> str:
    """Return a method as text: its name, and its arguments if it has any."""
    arguments = ",".join(f"{key}={value}" for key, value in method_arguments(method).items())
    return f"{method_name(method)}:{arguments}" if arguments else method_name(method)


def make_tracker(method: Method) -> Tracker:
    """Return a new tracker for one tensor.

    Raises
    ------
    QuantizationError
        Unknown method, or arguments that it does not take. A tensor of a model has one range, so `axis` is
        none of them.
    """
    name, arguments = method_name(method), method_arguments(method)
    if "axis" in arguments:
        raise QuantizationError(f"calibration method {name!r} does not take axis: a tensor has one range")
    try:
        return METHODS[name](**arguments)
    except TypeError as error:
        raise QuantizationError(f"calibration method {name!r} does not take {arguments}: {error}") from None


def narrow(tracker: Tracker) -> Narrowed:
    """Return the range of a tracker, and the share of its values that lie outside, where it knows."""
    low, high = tracker.range()
    share = tracker.clipped(low, high) if isinstance(tracker, HistogramTracker) else None
    return float(low), float(high), share


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
