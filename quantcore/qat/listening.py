"""Listening in on a forward pass: what each call of `FakeQuantize` returns, seen and replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["heard", "listening"]

Listener = Callable[[Any, Any], Any]  # (layer, its output) -> what stands for the output from there on

_LISTENER: ContextVar[Listener | None] = ContextVar("quantcore_qat_listener", default=None)


def heard(layer: Any, outputs: Any) -> Any:
    """Return what the listener, if there is one, makes of a layer's output."""
    listener = _LISTENER.get()
    return outputs if listener is None else listener(layer, outputs)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` have the outputs of layers called inside, eagerly, in the order of the calls."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
