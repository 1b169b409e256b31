"""Contenders that take turns in one run, so that a busy machine is busy for all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["medians", "timer_of"]


def medians(contenders: Sequence[Callable[[], Any]], turns: int) -> list[float]:
    """Return the median seconds of each contender, after one turn to warm up."""
    times: list[list[float]] = [[] for _ in contenders]
    for turn in range(turns + 1):
        for contender, taken in zip(contenders, times, strict=True):
            start = time.perf_counter()
            contender()
            if turn:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def timer_of(function: Callable[[], Any]) -> Callable[[int], float]:
    """Return the timer of a function."""

    def seconds(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - start) / calls

    return seconds
