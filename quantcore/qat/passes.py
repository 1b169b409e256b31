"""In which kind of forward pass a layer is called: one that computes, observes, or is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["exporting", "is_exporting", "is_observing", "observing"]

_PASS: ContextVar[str] = ContextVar("quantcore_qat_pass", default="")


def is_observing() -> bool:
    """Whether layers compute in float, and fake quantization only looks at what passes."""
    return _PASS.get() == "observing"


def is_exporting() -> bool:
    """Whether a graph is made for the converter, of a model whose ranges are known to be set."""
    return _PASS.get() == "exporting"


@contextmanager
def observing() -> Iterator[None]:
    """Let the layers that are called inside, eagerly, observe."""
    with _forward_pass("observing"):
        yield


@contextmanager
def exporting() -> Iterator[None]:
    """Let the layers that are called inside make the graph for the converter."""
    with _forward_pass("exporting"):
        yield


@contextmanager
def _forward_pass(kind: str) -> Iterator[None]:
    token = _PASS.set(kind)
    try:
        yield
    finally:
        _PASS.reset(token)
