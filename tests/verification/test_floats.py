"""Floats whose bits a backend does not define: compared in ULPs within a bound, everything else in bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.numerics import APPROXIMATE, SUMMED, Rule
from quantcore.samples import random_samples
from quantcore.subgraphs import single_operator
from quantcore.verification.floats import APPROXIMATE_ULPS, allowances
from quantcore.verification.result import Comparison
from quantcore.verify import verify
from tests.ops.harness import Op, assert_same_bits, const, get_oracle, graph_model, op_model, set_rule, tensor


def dense(weights: np.ndarray, activation: str = "NONE", batch: int = 2) -> Model:
    return op_model(
        "FULLY_CONNECTED",
        [
            tensor((batch, weights.shape[1]), "float32"),
            const(weights.astype(np.float32)),
            const(np.full(weights.shape[0], -2, np.float32)),
        ],
        [tensor((batch, weights.shape[0]), "float32")],
        {"fused_activation_function": activation},
    )


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows for what these tests need, so that they do not depend on the tables."""
    for name in ("optimized", "xnnpack"):
        set_rule(monkeypatch, name, "FULLY_CONNECTED", "float32", SUMMED)
        set_rule(monkeypatch, name, "CAST", "int32", Rule())
        set_rule(monkeypatch, name, "EXP", "float32", APPROXIMATE)


# The bound


def test_the_bound_of_a_sum_by_hand(summed: None) -> None:
    """Terms 1 * 3, 2 * -4 and the bias -2, whatever their signs: 13; 2 terms and 4 roundings more."""
    x = np.array([[1, 2], [-1, 2]], np.float32)
    model = dense(np.array([[3, -4]]), "RELU")
    found = allowances(model, 0, 0, {0: x}, [np.zeros((2, 1), np.float32)], "optimized")
    assert found is not None
    words, (bound,) = found
    assert words == "what two orders of summation can differ by"
    assert bound.tolist() == [[2 * 6 * 13 / 2**24]] * 2


def test_the_bound_of_an_approximation_by_hand(summed: None) -> None:
    model = op_model("EXP", [tensor((3,), "float32")], [tensor((3,), "float32")])
    ours = np.array([1, 3.5, -np.inf], np.float32)
    found = allowances(model, 0, 0, {0: ours}, [ours], "xnnpack")
    assert found is not None
    assert found[1][0].tolist() == [APPROXIMATE_ULPS * 2.0**-22] * 3


def test_what_is_bit_exact_has_no_allowance(summed: None) -> None:
    x = np.zeros((2, 2), np.float32)
    for numerics in ("reference", "tflm"):
        assert allowances(dense(np.ones((1, 2))), 0, 0, {0: x}, [x], numerics) is None
    hybrid = op_model(
        "FULLY_CONNECTED",
        [tensor((2, 2), "float32"), const(np.ones((1, 2), np.int8), 0.5), None],
        [tensor((2, 1), "float32")],
    )
    assert allowances(hybrid, 0, 0, {0: x}, [x], "optimized") is None


# A comparison


def test_within_and_beyond() -> None:
    row = Comparison(0, 0, "y", "float32", compared_in="ulps", bound="0.5")
    expected = np.array([8, 2, 3], np.float32)
    row.add(0, expected, expected, 0.5)
    assert (row.status, row.differing) == ("exact", 0)
    row.add(1, np.array([8.5, 2, 3], np.float32), expected, 0.5)
    assert (row.status, row.differing, row.mismatches) == ("close", 1, 0)
    assert (row.max_abs_diff, row.max_relative, row.max_ulp) == (0.5, 0.0625, 2**19)
    assert row.first_values is None
    row.add(2, np.array([8.5, 2, 3.75], np.float32), expected, np.array([0.5, 0.5, 0.5]))
    assert (row.status, row.differing, row.mismatches) == ("mismatch", 3, 1)
    assert (row.first_sample, row.first_index, row.first_values) == (2, (2,), (3.75, 3.0))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_no_bound_allows_what_is_not_a_number(wrong: float) -> None:
    row = Comparison(0, 0, "y", "float32", compared_in="ulps")
    row.add(0, np.array([1, wrong], np.float32), np.array([1, 1], np.float32), 1e9)
    assert (row.status, row.first_index) == ("mismatch", (1,))
    row = Comparison(0, 0, "y", "float32", compared_in="ulps")
    row.add(0, np.array([1, wrong], np.float32), np.array([1, wrong], np.float32), 0.0)
    assert row.status == "exact"


# A model


@pytest.mark.oracle
@pytest.mark.parametrize("numerics", ["optimized", "xnnpack"])
def test_a_float_model(numerics: str, summed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    model = dense(rng.standard_normal((40, 300)), batch=1)
    result = verify(model, numerics=numerics, oracle=get_oracle(numerics))
    (row,) = result.operators
    assert (row.status, row.compared_in, row.mismatches) == ("close", "ulps", 0)
    assert row.bound == "what two orders of summation can differ by"
    assert 0 < row.differing < row.elements
    assert 0 < row.max_relative < 1e-5
    (end,) = result.end_to_end
    assert (end.status, end.compared_in, end.bound) == ("close", "ulps", "")
    assert (result.bit_exact, result.agrees, result.complete, result.mismatched) == (False, True, True, False)
    monkeypatch.setattr("quantcore.ops.fully_connected.float_bounds", lambda *_: (-10.0, 10.0))
    result = verify(model, numerics=numerics, oracle=get_oracle(numerics))
    assert result.operators[0].status == "mismatch"
    assert not result.agrees


@pytest.mark.oracle
def test_integers_behind_inexact_floats_are_compared_in_bits(summed: None) -> None:
    """A sum of 300 terms in another order now and then crosses the edge of an integer."""
    rng = np.random.default_rng(0)
    model = graph_model(
        {
            "x": tensor((1, 300), "float32"),
            "w": const(rng.standard_normal((90, 300)).astype(np.float32)),
            "h": tensor((1, 90), "float32"),
            "y": tensor((1, 90), "int32"),
        },
        [
            Op("FULLY_CONNECTED", ["x", "w", ""], ["h"]),
            Op("CAST", ["h"], ["y"], {"in_data_type": "FLOAT32", "out_data_type": "INT32"}),
        ],
        ["x"],
        ["y"],
    )
    x = np.float32(1e4) * rng.standard_normal((64, 300)).astype(np.float32)
    result = verify(model, x, samples=64, numerics="optimized", oracle=get_oracle("optimized"))
    (end,) = result.end_to_end
    assert end.compared_in == "bits"
    assert end.status == "mismatch"
    assert result.operators[0].status == "close"
    assert any("follows float operators" in note for note in result.notes)


# XNNPACK: an operator alone runs on the kernel that it has in the whole graph


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["mlperf_ic_int8", "mlperf_kws_int8", "support_mobilenet_v1_025_224_uint8"])
def test_each_operator_alone_computes_what_it_does_in_the_graph(name: str, models_dir: Path) -> None:
    path = models_dir / f"{name}.tflite"
    model = read_model(path)
    oracle = get_oracle("xnnpack")
    (sample,) = random_samples(model, 0, 1, 0)
    tensors = oracle.run_all(model, sample)
    assert_same_bits(oracle.run(path, sample)[0], tensors[model.subgraphs[0].outputs[0]], "rewritten outputs")
    for i, op in enumerate(model.subgraphs[0].operators):
        alone, inputs = single_operator(model, 0, i)
        (y,) = oracle.run(alone, [tensors[t] for t in inputs])
        assert_same_bits(y, tensors[op.outputs[0]], f"operator {i} {op.op}")
