"""TensorFlow's own kernels, in a process that runs without oneDNN."""

import numpy as np
import pytest

from quantcore.oracle import Oracle
from tests.tf_quantization import test_dequantize, test_quantize
from tests.tf_quantization.harness import STORAGE, compare, has_onednn
from tests.tf_quantization.oracle import get_tensorflow


@pytest.mark.oracle
@pytest.mark.slow
def test_without_onednn_and_with_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    get_tensorflow()
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    rng = np.random.default_rng(0)
    with Oracle(package="tensorflow", num_threads=2) as oracle:
        assert not has_onednn(oracle)
        for T in STORAGE:
            shapes = [(), (9,), (2, 1, 3, 1, 5, 1), (300, 301)]
            calls = test_quantize.cases(rng, T, shapes, (0.01, 0.0))
            assert compare("quantize", calls, oracle, onednn=False)
            calls = test_dequantize.cases(rng, T, test_dequantize.every_value(rng, T))
            assert compare("dequantize", calls, oracle, onednn=False)
