"""The search for the two ends of a range, over the edges of bins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantcore.calibration.distribution import Distribution

__all__ = ["Cost", "best_range"]

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]

ROUNDS = 8  # each lowers the cost; most searches end after two or three


def best_range(seen: Distribution, cost: Cost, points: int) -> tuple[float, float]:
    """Return the range whose cost is lowest, as far as the search finds it: never above that of all values.

    First both ends move inwards in proportion, then each in turn with the other held, until neither gains.
    Of equal costs the widest range counts.

    Parameters
    ----------
    seen : Distribution
    cost : callable
        Takes numbers of bins below and above 0, int64 arrays of one shape, and returns the costs of these
        ranges, float64. The largest numbers stand for the smallest and largest value seen.
    points : int
        How many candidates are compared at once; then those between the neighbours of the best.
    """
    if seen.low == seen.high == 0:
        return 0.0, 0.0
    full = seen.sides
    shrunk = np.arange(64, 0, -1)
    below, above = (-(-side * shrunk // 64) for side in full)
    costs = cost(below, above)
    k = int(np.argmin(costs))
    best, lowest = (int(below[k]), int(above[k])), costs[k]
    for _ in range(ROUNDS):
        before = best
        for side in (1, 0):
            found, value = best_end(cost, best, side, full[side], points)
            if value < lowest:
                best, lowest = found, value
        if best == before:
            break
    rmin = seen.low if best[0] == full[0] else -best[0]
    rmax = seen.high if best[1] == full[1] else best[1]
    return rmin * seen.width, rmax * seen.width


def best_end(
    cost: Cost, at: tuple[int, int], side: int, most: int, points: int
) -> tuple[tuple[int, int], float]:
    """Return the best range that differs from `at` in one side only, and its cost."""
    first, last = 0, most
    while True:
        grid = np.linspace(first, last, min(points, last - first + 1)).round().astype(np.int64)
        moved = np.unique(grid)[::-1]
        held = np.full_like(moved, at[1 - side])
        costs = cost(held, moved) if side else cost(moved, held)
        k = int(np.argmin(costs))
        if last - first < points:
            end = int(moved[k])
            return ((at[0], end) if side else (end, at[1])), float(costs[k])
        last, first = int(moved[max(k - 1, 0)]), int(moved[min(k + 1, moved.size - 1)])
