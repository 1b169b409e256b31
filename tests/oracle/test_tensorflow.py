"""Functions of TensorFlow, called through the worker."""

from __future__ import annotations

import numpy as np
import pytest

from quantcore.errors import OracleRefused
from quantcore.oracle import Oracle
from quantcore.oracle.calls import call_tensorflow
from tests.tf_quantization.oracle import get_tensorflow

pytestmark = pytest.mark.oracle

X = np.array([-1.0, 0.25, 1.0], np.float32)
QUANTIZE = ("raw_ops.QuantizeV2", {"input": X, "min_range": -1.0, "max_range": 1.0, "T": "qint8"})


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return get_tensorflow()


def test_several_calls_with_one_and_with_several_results(oracle: Oracle) -> None:
    calls = [("math.add", {"x": X, "y": np.float32(1)}), QUANTIZE, ("math.negative", {"x": X})]
    added, quantized, negated = call_tensorflow(oracle, calls)
    assert [a.tolist() for a in added] == [[0.0, 1.25, 2.0]]
    assert [a.tolist() for a in quantized] == [[-128, 31, 127], -1.0, 1.0]
    assert quantized[0].dtype == np.int8
    assert [a.tolist() for a in negated] == [[1.0, -0.25, -1.0]]


def test_integers_stand_for_quantized_dtypes(oracle: Oracle) -> None:
    ends = {"min_range": 0.0, "max_range": 255.0}
    q = np.array([0, 7, 255], np.uint8)
    [[x]] = call_tensorflow(oracle, [("quantization.dequantize", {"input": (q, "quint8"), **ends})])
    assert x.tolist() == [0.0, 7.0, 255.0]


def test_what_tensorflow_refuses(oracle: Oracle) -> None:
    wrong = [("math.add", {"x": X, "y": X[:2]}), ("math.sum_of_all", {}), ("math.negative", {"y": X})]
    calls = [QUANTIZE, *wrong, QUANTIZE]
    first, *refused, last = call_tensorflow(oracle, calls)
    reasons = ["Incompatible shapes", "sum_of_all", "unexpected keyword"]
    for answer, reason in zip(refused, reasons, strict=True):
        assert isinstance(answer, OracleRefused)
        assert reason in str(answer)
    for answer in (first, last):
        assert isinstance(answer, list)
        assert answer[0].tolist() == [-128, 31, 127]


@pytest.mark.slow
def test_another_number_of_threads_is_another_process() -> None:
    get_tensorflow()
    count = ("config.threading.get_intra_op_parallelism_threads", {})
    with Oracle(package="tensorflow") as oracle:
        two = oracle.sibling("BUILTIN_REF")
        two.num_threads = 2
        for one, threads in ((oracle, 1), (two, 2)):
            [[_], [found]] = call_tensorflow(one, [("math.negative", {"x": X}), count])
            assert found == threads
