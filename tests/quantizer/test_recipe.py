"""Recipes: what rules choose, and what is refused."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.recipe import Choices, read_recipe
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import plan
from tests.ops.harness import Op, graph_model, tensor

AVERAGE = "moving_average:0.9"
PAGE = Path(__file__).parents[2] / "docs" / "quantization" / "recipes.md"


@pytest.fixture
def model() -> Model:
    """Return x -> RELU -> a/relu -> TANH -> a/tanh -> LOGISTIC -> b/[0], all float32."""
    names = ("x", "a/relu", "a/tanh", "b/[0]")
    operators = [
        Op(kind, (source,), (target,))
        for kind, (source, target) in zip(("RELU", "TANH", "LOGISTIC"), pairwise(names), strict=True)
    ]
    return graph_model({name: tensor((1, 4), "float32") for name in names}, operators, ["x"], ["b/[0]"])


def choices(model: Model, *rules: dict[str, Any]) -> Choices:
    return read_recipe({"rules": list(rules)}).choices(model)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ({"operators": ["TANH"]}, {1}),
        ({"operators": "TANH"}, {1}),
        ({"operators": ["TANH", "LOGISTIC"]}, {1, 2}),
        ({"tensors": "a/*"}, {0, 1}),
        ({"tensors": "a/t?nh"}, {1}),
        ({"tensors": "regex:a/(relu|tanh)"}, {0, 1}),
        ({"tensors": "regex:b/\\[\\d\\]"}, {2}),
        ({"operators": ["RELU"], "tensors": "a/*"}, {0}),
    ],
)
def test_whom_a_rule_is_about(rule: dict[str, Any], chosen: set[int], model: Model) -> None:
    assert choices(model, rule | {"precision": "float"}).float_operators == chosen


def test_patterns_stand_for_the_whole_name(model: Model) -> None:
    for pattern in ("relu", "regex:relu", "A/*"):
        with pytest.raises(QuantizationError, match=r"rule 1 .*a/relu"):
            choices(model, {"tensors": pattern, "precision": "float"})


def test_later_rules_win(model: Model) -> None:
    everything = {"tensors": "*", "precision": "float", "calibration": AVERAGE}
    but = {"operators": ["TANH"], "precision": "quantized", "calibration": "min_max"}
    found = choices(model, everything, but)
    assert found.float_operators == {0, 2}
    assert found.methods == {0: AVERAGE, 1: AVERAGE, 2: "min_max", 3: AVERAGE}
    found = choices(model, but, everything)
    assert found.float_operators == {0, 1, 2}
    assert set(found.methods.values()) == {AVERAGE}


def test_precisions_exclude_each_other(model: Model) -> None:
    everything = {"tensors": "*", "precision": "int16x8"}
    rules = [everything, {"operators": "TANH", "precision": "float"}]
    found = choices(model, *rules)
    assert (found.float_operators, found.int16_operators) == ({1}, {0, 2})
    found = choices(model, *rules, {"operators": ["TANH", "RELU"], "precision": "quantized"})
    assert (found.float_operators, found.int16_operators) == (set(), {2})
    assert choices(model, *rules, everything).int16_operators == {0, 1, 2}


def test_16x8_is_for_operators_that_have_it_in_mode_int8(model: Model) -> None:
    rules = {"rules": [{"operators": "TANH", "precision": "int16x8"}]}
    assert plan(model, Settings(), rules).settings.int16_operators == {1}
    with pytest.raises(QuantizationError, match="for mode 'int8'"):
        plan(model, Settings("int16x8"), rules)
    model.subgraphs[0].operators[1].op = "HARD_SWISH"
    with pytest.raises(QuantizationError, match=r"cannot run in 16x8: .*HARD_SWISH"):
        plan(model, Settings(), {"rules": [{"operators": "HARD_SWISH", "precision": "int16x8"}]})


def test_calibration_reaches_inputs_by_name_only(model: Model) -> None:
    assert choices(model, {"tensors": "x", "calibration": AVERAGE}).methods == {0: AVERAGE}
    assert choices(model, {"operators": ["RELU"], "calibration": AVERAGE}).methods == {1: AVERAGE}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (["TANH"], "expected an object"),
        ({"operator": ["TANH"], "precision": "float"}, "did you mean 'operators'?"),
        ({"operators": ["TANNH"], "precision": "float"}, "did you mean 'TANH'?"),
        ({"operators": [3], "precision": "float"}, "expected names"),
        ({"operators": [], "precision": "float"}, "whom"),
        ({"precision": "float"}, "whom"),
        ({"operators": ["TANH"]}, "says nothing"),
        ({"operators": ["TANH"], "precision": "int4"}, "'int4'; expected one of float, int16x8, quantized"),
        ({"operators": ["TANH"], "precision": ""}, "expected text"),
        ({"tensors": 3, "precision": "float"}, "expected text"),
        ({"tensors": "regex:(", "precision": "float"}, "no regular expression"),
        ({"operators": ["TANH"], "calibration": "percentil:99"}, "percentil"),
        ({"operators": ["TANH"], "calibration": "moving_average:1.5"}, "1.5"),
        ({"operators": ["CONV_2D"], "precision": "float"}, "has LOGISTIC RELU TANH"),
    ],
)
def test_wrong_rules_are_named(rule: Any, says: str, model: Model) -> None:
    good = {"operators": ["RELU"], "precision": "float"}
    with pytest.raises(QuantizationError, match=f"^recipe: rule 2.*{re.escape(says)}"):
        choices(model, good, rule)


def test_files(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"comment": "one", "rules": [{"operators": ["TANH"], "precision": "float"}]}))
    assert read_recipe(path).choices(model).float_operators == {1}
    for text, says in (
        ("{", "no JSON"),
        ("[]", '"rules"'),
        ('{"rules": [], "rule": 1}', "'rule'"),
        ('{"rules": [], "rules": []}', 'field "rules" occurs twice in one object'),
        ('{"rules": [{"tensors": "x", "tensors": "y"}]}', 'field "tensors" occurs twice'),
    ):
        path.write_text(text)
        with pytest.raises(QuantizationError, match=says) as error:
            read_recipe(path)
        assert str(path) in str(error.value)


def test_the_example_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(read_recipe(json.loads(text)).rules) == 5
