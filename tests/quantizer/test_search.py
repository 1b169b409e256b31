"""The search for the fewest operators to leave in float."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Ranges, collect_ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.quantize import Plan, apply
from quantcore.quantizer.search import search_operators
from quantcore.quantizer.settings import Settings
from tests.ops.harness import Op, const, graph_model, tensor

X = np.random.default_rng(0).uniform(-1, 1, (12, 8)).astype(np.float32)
SETTINGS = Settings("int8", "float32")
SPOILED = 2  # the operator whose weights int8 cannot express


@pytest.fixture(scope="module")
def network() -> tuple[Model, Ranges]:
    """Return five layers, of which one has rows with one weight that dwarfs the others, and its ranges."""
    rng = np.random.default_rng(1)
    tensors = {"t0": tensor((1, 8), "float32")}
    operators = []
    for k in range(5):
        weights = rng.normal(0, 0.5, (8, 8)).astype(np.float32)
        if k == SPOILED:
            weights[:, 0] = 300
            tensors[f"t{k}"].name = "before"
        if k == SPOILED - 1:
            weights[0] = 0  # the weight that dwarfs the others reads nothing
        tensors[f"w{k}"] = const(weights)
        tensors[f"t{k + 1}"] = tensor((1, 8), "float32")
        operators.append(Op("FULLY_CONNECTED", (f"t{k}", f"w{k}", ""), (f"t{k + 1}",)))
    model = graph_model(tensors, operators, ["t0"], ["t5"])
    return model, collect_ranges(model, X)


def test_the_one_that_matters(network: tuple[Model, Ranges]) -> None:
    model, ranges = network
    steps: list[tuple[int, int, str]] = []
    found = search_operators(
        model, ranges, X, SETTINGS, target=25, advance=lambda *step: steps.append(step)
    )
    assert found.baseline < 15
    assert found.reached
    assert found.operators == {SPOILED}
    assert found.ranking[0][0] == SPOILED
    assert [done for done, _, _ in steps] == list(range(1, len(found.evaluations) + 1))
    assert all(done <= total for done, total, _ in steps)
    settings = Settings("int8", "float32", float_operators=found.operators)
    row = qc.compare(model, apply(Plan(model, settings), ranges), X).outputs[0]
    assert row.measures.sqnr_db == pytest.approx(found.value, abs=1e-9)
    assert found == search_operators(model, ranges, X, SETTINGS, target=25)


def test_no_operator_is_needed(network: tuple[Model, Ranges]) -> None:
    found = search_operators(*network, X, SETTINGS, target=-5)
    assert (found.reached, found.operators, found.value) == (True, frozenset(), found.baseline)
    assert len(found.evaluations) == 1


def test_integer_ends_limit_what_can_be_reached(network: tuple[Model, Ranges]) -> None:
    found = search_operators(*network, X, Settings("int8", "int8"), target=200)
    assert not found.reached
    assert found.operators == frozenset(range(5))
    assert found.baseline < found.value < 200


def test_every_operator_in_the_set_is_needed(network: tuple[Model, Ranges]) -> None:
    model, ranges = network
    found = search_operators(model, ranges, X, SETTINGS, target=38)
    assert found.reached
    assert len(found.operators) > 1
    for left_out in found.operators:
        fewer = Settings("int8", "float32", float_operators=found.operators - {left_out})
        row = qc.compare(model, apply(Plan(model, fewer), ranges), X).outputs[0]
        assert row.measures.sqnr_db < 38


def test_accuracy(network: tuple[Model, Ranges]) -> None:
    model, ranges = network
    found = search_operators(model, ranges, X, SETTINGS, target=1.0, measure="accuracy")
    assert found.reached
    assert found.value == 1.0
    labels = np.argmax(qc.Interpreter(model).run(X), axis=-1)
    labels[:3] = (labels[:3] + 1) % 8
    limited = search_operators(
        model, ranges, X, SETTINGS, target=1.0, measure="accuracy", labels=labels
    )
    assert not limited.reached
    assert limited.value == 9 / 12


def test_bad_arguments(network: tuple[Model, Ranges]) -> None:
    with pytest.raises(QuantizationError, match="measure is 'mse'"):
        search_operators(*network, X, SETTINGS, target=1, measure="mse")
    with pytest.raises(QuantizationError, match="a share in"):
        search_operators(*network, X, SETTINGS, target=97, measure="accuracy")
    with pytest.raises(QuantizationError, match="3 labels for 12 samples"):
        search_operators(*network, X, SETTINGS, target=1, measure="accuracy", labels=[1, 2, 3])
