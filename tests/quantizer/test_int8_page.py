"""docs/quantization/int8.md: its NumPy computes what the quantizer computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.quantizer import parameters
from tests.ops.harness import run_page


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page defines."""
    return run_page("int8", "quantization")


@pytest.mark.parametrize("size", [1e-7, 1e-3, 1.0, 1e6])
def test_the_formulas_are_the_quantizers(page: dict[str, Any], size: float) -> None:
    rng = np.random.default_rng(int(np.log10(size)) + 10)
    for _ in range(200):
        rmin, rmax = np.sort(rng.normal(size=2) * size).astype(np.float32)
        p = qc.choose_qparams(rmin, rmax)
        assert page["activation"](rmin, rmax) == (p.scale, p.zero_point)
        w = (rng.normal(size=(1, 9)) * size).astype(np.float32)
        p = parameters.weight_qparams(w, 0)
        scale, codes = page["weights"](w[0])
        assert scale == p.scale[0]
        assert codes.tolist() == parameters.quantize_weights(w, p)[0].tolist()
        p = parameters.constant_qparams(w)
        scale, zero_point, codes = page["constant"](w)
        assert (scale, zero_point) == (p.scale, p.zero_point)
        assert codes.tolist() == parameters.quantize_constant(w, p).tolist()


def test_the_guard_is_the_quantizers(page: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    b = rng.normal(size=400).astype(np.float32)
    weight_scales = (10.0 ** rng.uniform(-10, -2, size=400)).astype(np.float32)
    scales, widened, guarded = parameters.guard_bias(b, np.float32(0.1), weight_scales)
    codes = parameters.quantize_bias(b, scales)
    assert 0 < guarded.sum() < 400
    for c in range(400):
        assert page["bias"](b[c], np.float32(0.1), weight_scales[c]) == (scales[c], codes[c], widened[c])
