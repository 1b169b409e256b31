"""Calls of `quantcore.tf_quantization` beside those of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import OracleRefused, QuantcoreError
from quantcore.oracle import Oracle
from quantcore.oracle.calls import call_tensorflow
from tests.ops.harness import assert_same_bits
from tests.tf_quantization.oracle import get_tensorflow

STORAGE = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
Arguments = Mapping[str, Any]


def has_onednn(oracle: Oracle) -> bool:
    """Whether the oracle's TensorFlow runs with oneDNN, which has no kernel for this."""
    arguments = {
        "input": (np.zeros(1, np.int32), "qint32"),
        "min_range": -1.0,
        "max_range": 1.0,
        "mode": "SCALED",
    }
    (answer,) = call_tensorflow(oracle, [("quantization.dequantize", arguments)])
    return isinstance(answer, OracleRefused)


@cache
def session_has_onednn() -> bool:
    """Whether the session's oracle runs with oneDNN."""
    return has_onednn(get_tensorflow())


def compare(
    function: str, arguments: Iterable[Arguments], oracle: Oracle | None = None, onednn: bool | None = None
) -> list[list[np.ndarray]]:
    """Assert that TensorFlow's results have our bits, and that it refuses what we refuse; return them.

    An argument ``(integers, "qint8")`` goes to us as the integers.
    """
    oracle = oracle or get_tensorflow()
    onednn = session_has_onednn() if onednn is None else onednn
    ours: Callable[..., Any] = getattr(qc.tf_quantization, function)
    found, cases = [], list(arguments)
    answers = call_tensorflow(oracle, [(f"quantization.{function}", case) for case in cases])
    for case, expected in zip(cases, answers, strict=True):
        plain = {k: v[0] if isinstance(v, tuple) else v for k, v in case.items()}
        shown = {k: v for k, v in plain.items() if k != "input"}
        what = f"{function} {shown} of shape {plain['input'].shape}"
        if isinstance(expected, OracleRefused):
            with pytest.raises(QuantcoreError):
                print(what, "is not refused:", ours(**plain, onednn=onednn))
            continue
        result = ours(**plain, onednn=onednn)
        arrays = list(result) if isinstance(result, tuple) else [result]
        for mine, theirs in zip(arrays, expected, strict=True):
            assert_same_bits(mine, theirs, what)
        found.append(arrays)
    return found


def random_range(rng: np.random.Generator, slices: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return ranges of all sizes: around zero, on one side of it, of powers of two; one without `slices`."""
    size = 1 if slices is None else slices
    ends = np.sort(rng.standard_normal((2, size)) * np.exp(rng.uniform(-9, 9, size)), axis=0)
    kind = rng.integers(0, 6, size)
    powers = 2.0 ** rng.integers(-6, 7, (2, size)) * [[-1], [1]]
    ends = np.choose(kind, [ends, ends, ends, powers, np.sort(np.abs(ends), 0), np.sort(-np.abs(ends), 0)])
    low, high = ends.astype(np.float32)
    return (low[0], high[0]) if slices is None else (low, high)


def around_ties(rng: np.random.Generator, shape: Sequence[int], step: Any, first: Any = 0.0) -> np.ndarray:
    """Return ties ``first + (k + 0.5) * step`` in float32, their neighbours, and arbitrary bits but NaN."""
    shape = tuple(shape)
    ties = (first + (rng.integers(-300, 300, shape) + 0.5) * step).astype(np.float32)
    neighbours = np.nextafter(ties, np.where(rng.random(shape) < 0.5, -np.inf, np.inf).astype(np.float32))
    spread = (rng.standard_normal(shape) * 200 * step).astype(np.float32)
    bits = rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
    x = np.choose(rng.integers(0, 4, shape), [ties, neighbours, spread, bits])
    return np.where(np.isnan(x), np.float32(0), x)
