"""FAKE_QUANT: every width, ranges of all kinds, ties, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import OracleRefused, UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.harness import (
    assert_same_bits,
    check,
    get_oracle,
    op_model,
    run_ours,
    run_page,
    tensor,
)

F32 = np.float32
RANGES = [
    (-6, 6), (0, 6), (-1, 0), (0.5, 3), (-3, -0.5), (-127.5, 127.5), (0, 0), (5, 5), (-5, -5), (1e-40, 2e-40),
    (-1e-38, 1e-38), (0, 1e-45), (-3e38, 3e38), (0, 3e38), (-0.13, 0.7), (-11.3, 0.9),
]  # fmt: skip


def fake_quant(count: int, low: Any, high: Any, num_bits: int = 8, *, narrow: bool = False) -> Model:
    options = {"min": float(low), "max": float(high), "num_bits": num_bits, "narrow_range": narrow}
    ends = [tensor((count,), "float32")], [tensor((), "float32")]
    return op_model("FAKE_QUANT", *ends, options, version=1 + narrow)


def values(rng: np.random.Generator, low: Any, high: Any, bits: int) -> np.ndarray:
    """Return middles between two numbers of the range, their neighbours, others, and special values."""
    with np.errstate(all="ignore"):
        scale = (F32(high) - F32(low)) / F32(2**bits - 1)
        ties = ((rng.integers(-(2**bits), 2**bits, 300) + F32(0.5)) * scale).astype(F32)
        near = np.nextafter(ties, rng.choice([-np.inf, np.inf], ties.size).astype(F32))
        spread = (rng.standard_normal(ties.size) * max(abs(low), abs(high))).astype(F32)
        x = np.choose(rng.integers(0, 3, ties.size), [ties, near, spread])
    x[:9] = np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -1e-45, 3e38, -3e38
    return x


@pytest.mark.oracle
@pytest.mark.parametrize("profile", ["reference", "optimized", "xnnpack"])
def test_every_width_and_range(profile: str) -> None:
    page = run_page("fake_quant")["lite_fake_quant"]
    rng = np.random.default_rng(0)
    for bits in range(2, 17):
        for low, high in RANGES:
            x = values(rng, low, high, bits)
            (y,) = check(fake_quant(x.size, low, high, bits), [x], numerics=profile)
            assert_same_bits(page(x, low, high, bits), y, f"page fake_quant, {low} {high} {bits}")


@pytest.mark.oracle
def test_refused() -> None:
    x = np.zeros(4, F32)
    narrow = fake_quant(4, -1, 1, narrow=True)
    with pytest.raises(OracleRefused, match="narrow_range"):
        get_oracle().run(narrow, [x])
    for model, message in (
        (narrow, "narrow_range is set"),
        (fake_quant(4, -1, 1, 1), "num_bits is 1; expected 2 to 16"),
        (fake_quant(4, -1, 1, 17), "num_bits is 17"),
        (fake_quant(4, 1, -1), r"\[1.0, -1.0\]; expected finite ends"),
        (fake_quant(4, np.nan, 1), "nan"),
        (fake_quant(4, 0, np.inf), "inf"),
    ):
        with pytest.raises(UnsupportedOperatorError, match=message):
            run_ours(model, [x])
    with pytest.raises(UnsupportedOperatorError, match="no confirmed rule"):
        run_ours(fake_quant(4, -1, 1), [x], "tflm")
