"""Values as activations have them, for the methods that choose ranges."""

import numpy as np


def distributions(size=4000):
    """Return float32 arrays by name."""
    rng = np.random.default_rng(0)
    normal, heavy = rng.standard_normal(size), rng.standard_t(2.5, size)
    found = {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(3 * normal, 0, 6),
        "heavy tails": heavy,
        "negative": -np.abs(heavy),
        "far from 0": 50 + normal,
        "one outlier": np.append(normal, 40),
        "tiny": 1e-7 * normal,
        "large": 1e30 * heavy,
        "few values": rng.integers(-3, 4, size),
        "one value": np.full(9, -0.7),
        "zeros": np.zeros(5),
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


def candidates(below, above, points=30):
    """Return pairs of ends all over the sides of a distribution, as two int64 arrays."""
    sides = [np.unique(np.linspace(0, side, points).round().astype(np.int64)) for side in (below, above)]
    first, second = np.meshgrid(*sides, indexing="ij")
    return first.ravel(), second.ravel()
