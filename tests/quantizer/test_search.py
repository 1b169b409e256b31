"""The search for the fewest operators to leave in float, or in 16x8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Ranges, collect_ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.search import search_operators
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
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
    found = search_operators(model, ranges, X, SETTINGS, target=25, advance=lambda *step: steps.append(step))
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
    limited = search_operators(model, ranges, X, SETTINGS, target=1.0, measure="accuracy", labels=labels)
    assert not limited.reached
    assert limited.value == 9 / 12


def test_16x8(network: tuple[Model, Ranges]) -> None:
    """Int8 codes of what has a few large values are too coarse for all others; int16 codes are not."""
    names = ("x", "a", "b", "y")
    tensors = {name: tensor((1, 8), "float32") for name in names} | {"k": const(np.float32([1e-3] + [1] * 7))}
    linear = {"fused_activation_function": "NONE"}
    operators = [
        Op("MUL", ("x", "k"), ("a",), linear),
        Op("MUL", ("a", "k"), ("b",), linear),
        Op("LOGISTIC", ("b",), ("y",)),
    ]
    model = graph_model(tensors, operators, ["x"], ["y"])
    data = X * np.float32([4000] + [1] * 7)
    ranges = collect_ranges(model, data)
    found = search_operators(model, ranges, data, SETTINGS, target=33, precision="int16x8")
    assert (found.precision, found.reached) == ("int16x8", True)
    assert 0 < len(found.operators) <= 3
    assert found.baseline < 33 <= found.value
    settings = found.settings(SETTINGS)
    assert settings.int16_operators == found.operators
    assert not settings.float_operators
    row = qc.compare(model, apply(Plan(model, settings), ranges), data).outputs[0]
    assert row.measures.sqnr_db == pytest.approx(found.value, abs=1e-9)


def test_operators_without_an_int16_form_are_not_chosen() -> None:
    tensors = {name: tensor((1, 8), "float32") for name in "xab"} | {"y": tensor((1, 8), "float32")}
    operators = [Op("TANH", ("x",), ("a",)), Op("HARD_SWISH", ("a",), ("b",)), Op("LOGISTIC", ("b",), ("y",))]
    model = graph_model(tensors, operators, ["x"], ["y"])
    found = search_operators(model, collect_ranges(model, X), X, SETTINGS, target=300, precision="int16x8")
    assert not found.reached
    assert {i for i, _ in found.ranking} == {0, 2}
    assert found.value == max(value for _, value in found.evaluations)


def test_more_in_16x8_are_not_always_better(
    network: tuple[Model, Ranges], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all of them do not reach the target, fewer may."""
    values = {0: 10.0, 1: 12, 2: 30, 3: 25, 4: 20, 5: 9}

    def value(search: Any, chosen: list[int]) -> float:
        search.evaluations.append((len(chosen), values[len(chosen)]))
        return values[len(chosen)]

    monkeypatch.setattr("quantcore.quantizer.search._Search._value", value)
    found = search_operators(*network, X, SETTINGS, target=28, precision="int16x8")
    assert (found.reached, found.value, len(found.operators)) == (True, 30, 2)
    found = search_operators(*network, X, SETTINGS, target=40, precision="int16x8")
    assert (found.reached, found.value, len(found.operators)) == (False, 30, 2)
    values |= {2: 8, 3: 8, 4: 8, 1: 8}
    found = search_operators(*network, X, SETTINGS, target=40, precision="int16x8")
    assert (found.reached, found.value, found.operators) == (False, 10, frozenset())


def test_operators_chosen_before_stay_so(network: tuple[Model, Ranges]) -> None:
    chosen = Settings("int8", "float32", float_operators=frozenset({0}), int16_operators=frozenset({4}))
    found = search_operators(*network, X, chosen, target=25)
    settings = found.settings(chosen)
    assert settings.float_operators == {0, SPOILED}
    assert settings.int16_operators == {4}


def test_bad_arguments(network: tuple[Model, Ranges]) -> None:
    with pytest.raises(QuantizationError, match="measure is 'mse'"):
        search_operators(*network, X, SETTINGS, target=1, measure="mse")
    with pytest.raises(QuantizationError, match="precision is 'int4'"):
        search_operators(*network, X, SETTINGS, target=1, precision="int4")
    with pytest.raises(QuantizationError, match="in mode 'int8', not 'int16x8'"):
        search_operators(*network, X, Settings("int16x8"), target=1, precision="int16x8")
    with pytest.raises(QuantizationError, match="a share in"):
        search_operators(*network, X, SETTINGS, target=97, measure="accuracy")
    with pytest.raises(QuantizationError, match="3 labels for 12 samples"):
        search_operators(*network, X, SETTINGS, target=1, measure="accuracy", labels=[1, 2, 3])
