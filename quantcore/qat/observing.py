"""Calibration in progress: layers compute in float, and fake quantization only looks at what passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_observing", "observing"]

_OBSERVING: ContextVar[bool] = ContextVar("quantcore_qat_observing", default=False)


def is_observing() -> bool:
    """Whether a layer that is called now observes."""
    return _OBSERVING.get()


@contextmanager
def observing() -> Iterator[None]:
    """Let the layers that are called inside, eagerly, observe."""
    token = _OBSERVING.set(True)
    try:
        yield
    finally:
        _OBSERVING.reset(token)
