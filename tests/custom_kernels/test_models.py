"""A plain kernel in real models."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.samples import random_batch
from tests.conftest import VARIABLE, model_paths
from tests.custom_kernels.small import KERNELS

NAMES = ("mlperf_kws_int8", "mlperf_ic_int8", "tflm_person_detect_int8")
MODELS = [path for path in model_paths() if path.stem in NAMES]


@pytest.mark.skipif(not MODELS, reason=f"{VARIABLE} names no folder with these models")
def test_a_plain_kernel_has_our_bits_in_real_models() -> None:
    kernel = qc.CKernel.from_source(KERNELS, "plain_conv_s8")
    for path in MODELS:
        model = qc.load(path)
        (x,) = random_batch(model, 0, 3, 0)
        for numerics in ("reference", "xnnpack", "tflm"):
            expected = qc.Interpreter(model, numerics).run(x)
            for threads in (1, 2):
                interpreter = qc.Interpreter(model, numerics, threads, kernels={"CONV_2D": kernel})
                assert len(interpreter.kernels) == sum(op.op == "CONV_2D" for _, _, op in model.operators())
                np.testing.assert_array_equal(interpreter.run(x), expected)
                np.testing.assert_array_equal(interpreter.run(x[:1]), expected[:1])
