"""Pools and MEAN of bytes: every vector version against the definition, over drawn sizes."""

from __future__ import annotations

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels.pool import pool_call
from quantcore.kernels.reduce import mean_call

from tests.kernels.versions import compare

Rng = np.random.Generator


def elements(rng: Rng, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return values anywhere, at the bounds, or two neighbours, whose averages are ties."""
    info = np.iinfo(dtype)
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    low = info.min if kind == 1 else int(rng.integers(info.min, info.max))
    return rng.choice(np.array([low, info.max if kind == 1 else low + 1], dtype), shape)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pools(kind: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    for number in range(120):
        window = [int(n) for n in rng.integers(1, 7, 2)]
        if number % 20 == 0:
            window = [int(n) for n in rng.integers(50, 80, 2)]  # sums beyond 16 bits, and the largest windows
        channels = int(rng.choice([0, 1, 3, 8, 16, 31, 32, 33, 63, 64, 65, 100, 130]))
        size = [w + int(rng.integers(0, 10)) for w in window]
        padding = [int(rng.integers(0, w // 2 + 1)) for w in window]
        stride = [int(n) for n in rng.integers(1, 4, 2)]
        output = [1 + (n - w + p) // s for n, w, p, s in zip(size, window, padding, stride, strict=True)]
        batches = int(rng.integers(0, 3))
        low, high = sorted(int(n) for n in rng.integers(info.min, info.max + 1, 2))
        if rng.random() < 0.5:
            low, high = info.min, info.max
        x = elements(rng, (batches, *size, channels), dtype)

        def make() -> KernelCall:
            return pool_call(
                kind, dtype, input_shape=x.shape, output_size=output, filter_size=window, stride=stride,  # noqa: B023
                padding=padding, activation_min=low, activation_max=high,  # noqa: B023
            )  # fmt: skip

        y = np.zeros((batches, *output, channels), dtype)
        compare(
            make, [x], y, f"{x.shape}, window {window}, stride {stride}, padding {padding}, {low} to {high}"
        )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_mean(dtype: str) -> None:
    rng = np.random.default_rng(2)
    info = np.iinfo(dtype)
    for _ in range(250):
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 7, 33, 64, 70, 129], int(rng.integers(1, 5))))
        if np.prod(shape) > 200_000:
            continue
        axes = {d for d in range(len(shape)) if rng.random() < 0.5} or {0}
        kept = tuple(n for d, n in enumerate(shape) if d not in axes)
        x = elements(rng, shape, dtype)
        zero_point, offset = (int(n) for n in rng.integers(info.min, info.max + 1, 2))
        rule = str(rng.choice(["double_rounding", "ruy", "single_rounding"]))
        channels = kept[-1] if kept else 1
        requant = Requant(
            rule, int(rng.integers(1, 2**31)), int(rng.integers(-14, 3)), output_offset=offset,
            activation_min=info.min, activation_max=info.max,
            body=channels // 4 * 4 if rule == "ruy" else None,
            tail="double_rounding" if rule == "ruy" else None,
        )  # fmt: skip

        def make() -> KernelCall:
            return mean_call(
                dtype, shape=shape, axes=axes, input_zero_point=zero_point, requant=requant,  # noqa: B023
                channels=channels,  # noqa: B023
            )  # fmt: skip

        compare(make, [x, None], np.zeros(kept, dtype), f"{shape} over {axes}, {rule}")
