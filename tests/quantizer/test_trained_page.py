"""docs/quantization/trained.md: its NumPy computes what the quantizer computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.qparams import QuantParams, trained_range
from quantcore.quantizer.arithmetic import EXACT, WideParams, exact_scales
from tests.ops.harness import run_page


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page defines."""
    return run_page("trained", "quantization")


@pytest.mark.parametrize("size", [1e-7, 1e-3, 1.0, 1e6])
def test_the_formulas_are_the_quantizers(page: dict[str, Any], size: float) -> None:
    rng = np.random.default_rng(int(np.log10(size)) + 10)
    for _ in range(200):
        low, high = np.sort(rng.normal(size=2) * size).astype(np.float32)
        for qmin, qmax in ((0, 255), (1, 255), (0, 15), (1, 15)):
            assert page["trained_range"](low, high, qmin, qmax) == trained_range(low, high, qmin, qmax)
        w = (rng.normal(size=(1, 9)) * size).astype(np.float32)
        params = EXACT.weight_params(w, 0, 8)
        scale, codes = page["weights"](w[0].astype(np.float64))
        assert scale == exact_scales(params)[0]
        assert codes.tolist() == EXACT.codes(w, params)[0].tolist()
        source = WideParams(rng.uniform(0.01, 1), 3)
        b = (rng.normal(size=1) * size).astype(np.float32)
        scales = EXACT.bias_scales(source, params)
        code = page["bias"](b[0], float(source.exact), float(exact_scales(params)[0]))
        assert code == EXACT.codes(b, WideParams(scales, 0, "int32", 0))[0]


def test_wide_scales_travel_with_parameters() -> None:
    wide = WideParams([1 / 3, 1 / 7], 0, "int4", 1)
    assert exact_scales(wide).tolist() == [1 / 3, 1 / 7]
    assert wide == QuantParams([1 / 3, 1 / 7], 0, "int4", 1)
    kind, arguments = wide.__reduce__()
    assert exact_scales(kind(*arguments)).tolist() == [1 / 3, 1 / 7]
    assert exact_scales(QuantParams(1 / 3, 0)) == np.float64(np.float32(1 / 3))
