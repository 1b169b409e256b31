"""Functions of floats and SOFTMAX on floats: versions have the definition's bits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall
from quantcore.kernels._softmax import softmax_f32_call
from quantcore.kernels.libm import known_libm
from quantcore.kernels.log_softmax import log_softmax_f32_call
from quantcore.kernels.logistic import function_f32_call
from quantcore.kernels.unary import FUNCTIONS, unary_call

from tests.kernels.versions import compare
from tests.ops.harness import instruction_sets, random_floats, using

EVERY = np.arange(0, 2**32, 65_521, dtype=np.uint64).astype(np.uint32).view(np.float32)  # of any exponent
THRESHOLDS = np.array(
    [0.25, 0.5, 1.5, -0.5, 9, 16.619047, 22, 88.72283, -103.97208, -104, 2**23 + 1, 1, 0.1732868, 0.5198604],
    np.float32,
)


def places(rng: np.random.Generator) -> np.ndarray:
    """Return floats of every exponent, many where functions are interesting, and neighbours of thresholds."""
    near = np.concatenate([np.nextafter(THRESHOLDS, np.float32(to)) for to in (-np.inf, np.inf)])
    dense = rng.uniform(-25, 25, 20_000).astype(np.float32)
    special = random_floats(rng, (3000,), special=True)
    return np.concatenate([EVERY, THRESHOLDS, -THRESHOLDS, near, -near, dense, special])


def names() -> list[str]:
    return [*FUNCTIONS, "logistic", "tanh", "logistic_eigen", "tanh_eigen"]


def call_of(name: str, count: int) -> KernelCall:
    if name in FUNCTIONS:
        return unary_call(name, "float32", count=count)
    return function_f32_call(name, count=count)


@pytest.mark.parametrize("name", names())
def test_function(name: str) -> None:
    x = places(np.random.default_rng(1))
    for count in (0, 1, 7, 8, 15, 16, 17, 31, x.size):
        compare(partial(call_of, name, count), [x[x.size - count :]], np.empty(count, "float32"), name)


def test_softmax() -> None:
    rng = np.random.default_rng(2)
    for number in range(80):
        rows, depth = int(rng.integers(0, 20)), int(rng.integers(1, 70))
        x = random_floats(
            rng, (rows, depth), scale=float(rng.choice([0.01, 1, 1e30])), special=number % 4 == 0
        )
        beta = float(rng.choice([1.0, 0.3, -2.0, 0.0, 1e30]))
        what = f"{rows} x {depth}, beta {beta}"
        output = np.empty_like(x)
        compare(partial(softmax_f32_call, rows=rows, depth=depth, beta=beta), [x], output, what)
        compare(partial(log_softmax_f32_call, rows=rows, depth=depth), [x], output, what)


def test_unknown_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library computes otherwise, so do all versions."""
    x = places(np.random.default_rng(3))[:5000]
    for module in ("unary", "logistic", "_softmax", "log_softmax"):
        monkeypatch.setattr(f"quantcore.kernels.{module}.known_libm", lambda: 0)
    for name in ("EXP", "ELU_EXP", "GELU_TANH", "logistic", "tanh"):
        compare(partial(call_of, name, x.size), [x], np.empty_like(x), name)
    compare(partial(softmax_f32_call, rows=5, depth=1000, beta=1.0), [x], np.empty_like(x), "softmax")
    compare(partial(log_softmax_f32_call, rows=5, depth=1000), [x], np.empty_like(x), "log_softmax")


def test_known_library() -> None:
    """The definition computes none of them itself."""
    for isa in instruction_sets():
        with using(isa):
            known = known_libm()
        assert known in range(4) if isa != "scalar" else known == 0
