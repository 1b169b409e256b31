"""Calibration methods by name: which tracker measures which tensor."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from inspect import signature
from numbers import Real
from typing import Any

from quantcore.calibration.entropy import Entropy
from quantcore.calibration.histogram import HistogramTracker
from quantcore.calibration.mse import MSE
from quantcore.calibration.observation import Narrowed
from quantcore.calibration.percentile import Percentile
from quantcore.calibration.trackers import MinMax, MovingAverage, Tracker
from quantcore.errors import QuantizationError
from quantcore.graph import Subgraph

__all__ = [
    "METHODS",
    "MIN_MAX",
    "Method",
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


METHODS: dict[str, type[Tracker]] = {
    MIN_MAX: MinMax,
    "moving_average": MovingAverage,
    "percentile": Percentile,
    "mse": MSE,
    "entropy": Entropy,
}


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


def options_of(name: str) -> dict[str, Any]:
    """Return the options of a method and their usual values, the one that needs no name first.

    A tensor of a model has one range, so the axis of its tracker is none of them.
    """
    parameters = signature(METHODS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "axis"}


def method_arguments(method: Method) -> dict[str, Any]:
    """Return the arguments for the tracker of a method.

    Raises
    ------
    QuantizationError
        Unknown method, options that it does not have, or what is no number where one is expected.
    """
    name = method_name(method)
    options = options_of(name)
    if isinstance(method, str):
        given = text_arguments(method, options)
    else:
        given = {key: value for key, value in method.items() if key != "method"}
    for key, value in given.items():
        if key not in options:
            raise wrong(method, f"{name} does not take {key}")
        kind, called = (str, "name") if isinstance(options[key], str) else (Real, "number")
        if not isinstance(value, kind):
            raise wrong(method, f"{key} is {value!r}, which is no {called}")
    return given


def text_arguments(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a method as text says of its options; the first may go without its name."""
    _, colon, given = method.partition(":")
    if colon and not options:
        raise wrong(method, f"nothing follows {method_name(method)}")
    first = next(iter(options), "")
    arguments: dict[str, Any] = {}
    for position, part in enumerate(given.split(",") if colon else []):
        key, equals, text = part.rpartition("=")
        if not equals and position:
            raise wrong(method, f"{part!r} has no name")
        arguments[key if equals else first] = as_number(text)
    return arguments


def as_number(text: str) -> int | float | str:
    """Return the number that a text is, or the text."""
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        return text


def wrong(method: Method, what: str) -> QuantizationError:
    """Return the error that says what is wrong with a method, and how it is written."""
    name = method_name(method)
    options = options_of(name)
    listed = ",".join(f"{key}={value}" for key, value in options.items())
    ways = f"such as '{name}:{next(iter(options.values()))}' or '{name}:{listed}'" if options else repr(name)
    return QuantizationError(f"calibration method {method!r}: {what}; expected {ways}")


def method_text(method: Method) -> str:
    """Return a method as text: its name, and its arguments if it has any."""
    arguments = ",".join(f"{key}={value}" for key, value in method_arguments(method).items())
    return f"{method_name(method)}:{arguments}" if arguments else method_name(method)


def make_tracker(method: Method) -> Tracker:
    """Return a new tracker for one tensor.

    Raises
    ------
    QuantizationError
        Unknown method, or options that it does not have, or that are outside their bounds.
    """
    return METHODS[method_name(method)](**method_arguments(method))


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
