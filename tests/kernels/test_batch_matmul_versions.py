"""BATCH_MATMUL of drawn shapes: the bits of the definition by every instruction set, whole and in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quantcore.kernels._batch_matmul import batch_matmul_call
from quantcore.kernels._core import KernelCall, Requant

from quantcore.kernels.matmul_shape import MatmulShape, matmul_shape
from tests.kernels.drawn_products import drawn, requant
from tests.kernels.test_elementwise_versions import compare
from tests.kernels.test_recurrent_versions import extreme

Rng = np.random.Generator
BATCHES: list[tuple[Any, Any]] = [
    ((), ()),
    ((3,), (3,)),
    ((3,), ()),
    ((1, 2), (5, 1)),
    ((2, 1, 2), (2, 3, 1)),
    ((0,), (1,)),
]


def draw(rng: Rng) -> tuple[MatmulShape, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the geometry, and the shapes of both operands and the output."""
    rows, columns = drawn(rng, (1, 8), (1, 130)), drawn(rng, (1, 20), (1, 100))
    depth = drawn(rng, (1, 9), (10, 70))
    adj_x, adj_y = (bool(rng.random() < 0.5) for _ in "xy")
    lhs, rhs = BATCHES[rng.integers(len(BATCHES))]
    lhs = (*lhs, depth, rows) if adj_x else (*lhs, rows, depth)
    rhs = (*rhs, columns, depth) if adj_y else (*rhs, depth, columns)
    shape, output = matmul_shape(lhs, rhs, adj_x, adj_y)
    return shape, lhs, rhs, output


def run(rng: Rng, make: Any, given: list[np.ndarray], output: np.ndarray, what: object) -> None:
    compare(rng, make, given, output, str(what))


def test_bytes() -> None:
    """Also sums that no bound is known of, sums as they are, and a rule that ends among the channels."""
    rng = np.random.default_rng(0)
    for number in range(150):
        shape, lhs, rhs, output = draw(rng)
        given = [extreme(rng, s, "int8") for s in (lhs, rhs)]
        store = requant(rng, "int8", 1, shape.depth)
        if number % 10 == 0:
            store |= {"multiplier": 2**31 - 1, "shift": 20}
        if number % 10 == 1:
            store |= {"body": drawn(rng, (0, 2)), "tail": "ruy"}
        offsets = {
            "lhs_offset": drawn(rng, (0, 0), (-127, 128)),
            "rhs_offset": drawn(rng, (0, 0), (-127, 128)),
        }
        as_sums = number % 4 == 0

        def make(
            shape: MatmulShape = shape,
            store: dict[str, Any] = store,
            offsets: dict[str, int] = offsets,
            as_sums: bool = as_sums,
        ) -> KernelCall:
            if as_sums:
                return batch_matmul_call("int8", shape)
            return batch_matmul_call("int8", shape, requant=Requant(**store), **offsets)

        result = np.full(output, 77, np.int32 if as_sums else np.int8)
        run(rng, make, given, result, (shape, store["rounding"]))


@pytest.mark.parametrize("rule", ["int16_multiplier", "float64"])
def test_int16(rule: str) -> None:
    """Every product is the largest that there is in some of them."""
    rng = np.random.default_rng(1)
    for number in range(60):
        shape, lhs, rhs, output = draw(rng)
        given = [extreme(rng, s, "int16") for s in (lhs, rhs)]
        if number % 5 == 0:
            given = [np.full_like(x, -32768) for x in given]

        def make(shape: MatmulShape = shape) -> KernelCall:
            store = Requant(
                rule,
                1518500250,
                -14,
                real_multiplier=1e-5,
                output_offset=3,
                activation_min=-32768,
                activation_max=32767,
            )
            return batch_matmul_call("int16", shape, requant=store)

        run(rng, make, given, np.full(output, 77, np.int16), (shape, rule))


def test_float() -> None:
    rng = np.random.default_rng(2)
    for number in range(60):
        shape, lhs, rhs, output = draw(rng)
        given = [rng.normal(0, 1, s).astype(np.float32) for s in (lhs, rhs)]
        if number % 4 == 0:
            given[0][rng.random(lhs) < 0.3] = -0.0
            given[1][rng.random(rhs) < 0.05] = -np.inf
        run(
            rng,
            lambda shape=shape: batch_matmul_call("float32", shape),
            given,
            np.full(output, 77, np.float32),
            shape,
        )
