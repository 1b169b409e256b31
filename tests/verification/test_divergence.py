"""All profiles at once: each against its oracle, where they part, by which rule, and how often."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError, OracleUnavailable
from quantcore.graph import Model
from quantcore.numerics import PROFILES, Rule
from quantcore.ops.registry import load_operators
from quantcore.oracle import Oracle, packages
from quantcore.samples import random_samples
from quantcore.verification.divergence import Divergence
from quantcore.verification.rules import describe_rules
from quantcore.verify import ProfilesResult, verify
from tests.ops.harness import (
    Op,
    bias_scale,
    const,
    get_oracle,
    graph_model,
    op_model,
    random_values,
    set_rule,
    tensor,
)

pytestmark = pytest.mark.oracle


@pytest.fixture
def oracles() -> dict[str, Oracle]:
    return {name: get_oracle(name) for name in PROFILES}


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four profiles, and their rules of an int8 convolution and of what follows it here, whatever the tables
    hold meanwhile."""
    convolution = {
        "reference": Rule(),
        "optimized": Rule("ruy"),
        "xnnpack": Rule("float32", "float32", bounds="xnnpack"),
        "tflm": Rule(),
    }
    for name, rule in convolution.items():
        set_rule(monkeypatch, name, "CONV_2D", "int8", rule)
        for op in ("RELU", "COS"):
            set_rule(monkeypatch, name, op, "int8", None)
    for name in PROFILES.keys() - convolution.keys():
        monkeypatch.delitem(PROFILES, name)
    operators = load_operators()
    monkeypatch.setitem(operators, "CONV_2D", replace(operators["CONV_2D"], xnnpack=lambda node: True))


def convolutions(*, relu: bool = False) -> Model:
    """Two convolutions with right shifts of 6 and 8, and perhaps RELU."""
    rng = np.random.default_rng(0)
    x = tensor((1, 12, 12, 16), "int8", 0.05, 3)
    h = tensor((1, 12, 12, 32), "int8", 0.11, -7)
    w1, w2 = (random_values(rng, s, low=-9, high=9) for s in ((32, 3, 3, 16), (10, 12, 12, 32)))
    f1 = const(w1, rng.uniform(0.02, 0.03, 32).astype(np.float32))
    f2 = const(w2, rng.uniform(0.0015, 0.0025, 10).astype(np.float32))
    tensors = {
        "x": x,
        "f1": f1,
        "b1": const(rng.integers(-500, 500, 32, dtype=np.int32), bias_scale(x, f1)),
        "h": h,
        "f2": f2,
        "b2": const(rng.integers(-500, 500, 10, dtype=np.int32), bias_scale(h, f2)),
        "y": tensor((1, 1, 1, 10), "int8", 0.08, 0),
        "z": tensor((1, 1, 1, 10), "int8", 0.08, 0),
    }
    options = {"stride_w": 1, "stride_h": 1}
    operators = [
        Op("CONV_2D", ["x", "f1", "b1"], ["h"], {**options, "padding": "SAME"}, 3),
        Op("CONV_2D", ["h", "f2", "b2"], ["y"], {**options, "padding": "VALID"}, 3),
    ]
    if relu:
        operators.append(Op("RELU", ["y"], ["z"], version=2))
    return graph_model(tensors, operators, ["x"], ["z" if relu else "y"])


def check(model: Model, oracles: dict[str, Oracle], **kwargs: object) -> ProfilesResult:
    return verify(model, numerics="all", oracle=oracles, **kwargs)  # type: ignore[call-overload,no-any-return]


# Against the oracles, and against each other


def test_each_profile_is_exact_and_the_partings_are_those_of_the_oracles(
    rules: None, oracles: dict[str, Oracle]
) -> None:
    model = convolutions()
    result = check(model, oracles, samples=30)
    assert result.bit_exact
    assert (result.agrees, result.complete, result.mismatched) == (True, True, False)
    assert list(result.profiles) == list(PROFILES)
    assert [p.oracle["resolver"] for p in result.profiles.values()] == [p.resolver for p in PROFILES.values()]
    first = result.operators[0]
    assert first.groups == [["reference", "tflm"], ["optimized"], ["xnnpack"]]
    # the same partings, counted on the oracles' own outputs
    outputs = {
        name: np.stack([oracle.run(model, s, [first.tensor])[0] for s in qc_samples(model, 30)])
        for name, oracle in oracles.items()
    }
    for (a, b), parting in first.pairs.items():
        assert parting.mismatches == (outputs[a] != outputs[b]).sum()
        assert parting.elements == outputs[a].size


def qc_samples(model: Model, count: int) -> list[list[np.ndarray]]:
    return random_samples(model, 0, count, 0)


def test_the_expected_rate_is_beside_the_measured_one(rules: None, oracles: dict[str, Oracle]) -> None:
    result = check(convolutions(), oracles, samples=30)
    pairs = result.operators[0].pairs
    assert pairs["reference", "optimized"].rules == ("double_rounding", "ruy")
    assert pairs["reference", "xnnpack"].rules == ("double_rounding", "float32, product float32")
    assert pairs["reference", "tflm"].rules == ("", "")
    assert pairs["reference", "tflm"].mismatches == 0
    for names in (("reference", "optimized"), ("reference", "xnnpack"), ("optimized", "xnnpack")):
        parting = pairs[names]
        assert parting.expected is not None
        assert parting.mismatches > 100
        assert parting.rate == parting.mismatches / parting.elements
        assert abs(parting.mismatches - parting.expected) < 6 * np.sqrt(parting.expected), names


def test_operators_get_the_same_inputs_and_models_their_own(rules: None, oracles: dict[str, Oracle]) -> None:
    """Alone, the second convolution parts rarely; end to end it sees what has parted before."""
    result = check(convolutions(), oracles, samples=30)
    alone, whole = result.operators[1].pairs, result.end_to_end[0].pairs
    pair = ("reference", "xnnpack")
    assert whole[pair].mismatches > 5 * alone[pair].mismatches
    assert whole[pair].max_abs_diff >= 1
    assert result.end_to_end[0].groups[0] == ["reference", "tflm"]


def test_arg_max_changes_are_counted_by_hand() -> None:
    row = Divergence(0, 0, "scores", "int8")
    a = np.array([[[1, 5, 2], [9, 9, 0]]], np.int8)
    row.add({"reference": a, "xnnpack": a + np.array([[0, 0, 4]], np.int8)})  # 6 beats 5; the first 9 stays
    row.add({"reference": a, "xnnpack": a + np.array([[0, 1, 0]], np.int8)})  # 6 stays; 10 beats the first 9
    (parting,) = row.partings
    assert (parting.positions, parting.argmax_changes) == (4, 2)
    single = Divergence(0, 0, "score", "int8")
    single.add({"reference": a[..., :1], "xnnpack": a[..., :1]})
    assert single.pairs["reference", "xnnpack"].positions == 0  # there is nothing to choose from


# Not compared


def test_an_operator_without_a_rule_is_named(rules: None, oracles: dict[str, Oracle]) -> None:
    result = check(convolutions(relu=True), oracles, samples=2)
    relu = result.operators[2]
    assert relu.groups == [["reference"]]
    assert list(relu.missing) == ["optimized", "xnnpack", "tflm"]
    assert all("has no confirmed rule" in reason for reason in relu.missing.values())
    assert result.profiles["reference"].bit_exact
    assert not result.complete
    for name in relu.missing:
        rows = result.profiles[name].operators
        assert [row.status for row in rows] == ["exact", "exact", "not compared"]
        assert list(result.end_to_end[0].missing) == list(relu.missing)


def test_what_no_profile_computes_is_missing_and_so_is_what_needs_it(oracles: dict[str, Oracle]) -> None:
    model = graph_model(
        {name: tensor((1, 5), "float32") for name in "xaby"},
        [
            Op("RELU", ["x"], ["a"]),
            Op("CUSTOM", ["a"], ["b"], custom_code="Sharpen"),
            Op("RESHAPE", ["b"], ["y"], {"new_shape": [1, 5]}),
        ],
        ["x"],
        ["y"],
    )
    result = check(model, oracles, samples=1)
    assert [bool(row.computed) for row in result.operators] == [True, False, False]
    assert "Sharpen" in result.operators[1].missing["reference"]
    assert "no value given" in result.operators[2].missing["tflm"]
    assert not result.end_to_end[0].computed


def test_a_profile_whose_oracle_is_not_installed_is_run_all_the_same(
    rules: None, oracles: dict[str, Oracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = packages.importlib.util.find_spec
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name == "tflite_micro" else found(name)
    )
    given = {name: oracle for name, oracle in oracles.items() if name != "tflm"}
    result = check(convolutions(), given, samples=1)
    assert list(result.profiles) == ["reference", "optimized", "xnnpack"]
    assert "extra 'tflm'" in result.unavailable["tflm"]
    assert "tflm" in result.operators[0].computed
    assert (result.bit_exact, result.complete) == (False, False)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OracleUnavailable):
        verify(convolutions(), numerics="all")


# State


def test_state_is_each_profiles_own(oracles: dict[str, Oracle], models_dir: Path) -> None:
    result = check(models_dir / "tflm_mnist_lstm_int8.tflite", oracles, samples=3)  # type: ignore[arg-type]
    row = result.operators[0]
    assert row.op == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert row.computed
    assert row.samples == 3


# The parts


def test_groups() -> None:
    row = Divergence(0, 0, "y", "int8", 0, "ADD")
    a, b = np.array([1, 2], np.int8), np.array([1, 5], np.int8)
    row.add({"reference": a, "optimized": b, "xnnpack": a, "tflm": b})
    assert row.groups == [["reference", "xnnpack"], ["optimized", "tflm"]]
    (parting,) = row.partings
    assert parting.profiles == ("reference", "optimized")
    assert (parting.mismatches, parting.elements, parting.max_abs_diff) == (1, 2, 3)
    row.add({"reference": a, "optimized": b, "xnnpack": b, "tflm": b})
    assert row.groups == [["reference"], ["optimized", "tflm"], ["xnnpack"]]
    assert len(row.partings) == 3


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (Rule(), Rule(), ("", "")),
        (Rule(), None, ("", "")),
        (Rule(), Rule("ruy"), ("double_rounding", "ruy")),
        (Rule(), Rule("ruy", block=8), ("double_rounding", "ruy, tail of 8: double_rounding")),
        (Rule("float64"), Rule("ruy", "float_product"), ("float64", "ruy, product float_product")),
        (Rule(product="float32"), Rule(), ("product float32", "product double")),
        (Rule(), Rule(form="table"), ("reference form", "table")),
        (Rule(), Rule(bounds="xnnpack"), ("bounds tflite", "bounds xnnpack")),
    ],
)
def test_words_for_rules(a: Rule, b: Rule | None, words: tuple[str, str]) -> None:
    assert describe_rules(a, b) == words


def test_json(rules: None, oracles: dict[str, Oracle]) -> None:
    result = check(convolutions(relu=True), oracles, samples=2)
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert {"model", "numerics", "samples", "bit_exact", "profiles", "operators", "end_to_end"} <= set(data)
    assert data["numerics"] == "all"
    assert data["profiles"]["reference"]["bit_exact"] is True
    pair = data["operators"][0]["pairs"][0]
    assert {"profiles", "rules", "mismatches", "rate", "expected_rate", "max_abs_diff"} <= set(pair)
    assert set(data["operators"][2]["missing"]) == {"optimized", "xnnpack", "tflm"}
    assert data["recorded"] is None


# Recorded outputs


@pytest.mark.parametrize("name", ["optimized", "xnnpack", "tflm"])
def test_a_recording_is_recognised(
    name: str, rules: None, oracles: dict[str, Oracle], tmp_path: Path
) -> None:
    """What an oracle computes stands for a device; reference and tflm are the same on this model."""
    model = convolutions()
    samples = qc_samples(model, 20)
    outputs = np.stack([oracles[name].run(model, sample)[0] for sample in samples])
    np.savez(tmp_path / "device.npz", out0=outputs, in0=np.concatenate([s[0] for s in samples]))
    result = check(model, oracles, samples=2, recorded=tmp_path / "device.npz")
    assert result.matching == (["reference", "tflm"] if name == "tflm" else [name])
    assert result.recorded is not None
    last = result.recorded[-1]
    assert not last.exact
    assert 0 < last.mismatches < 200
    assert last.outputs[0].samples == 20
    assert (result.samples, result.notes) == (2, ["2 of the 20 samples were used"])
    assert result.to_json()["recorded"]["matching"] == result.matching


def test_recordings_by_name_and_inputs_beside_them(rules: None, oracles: dict[str, Oracle]) -> None:
    model = convolutions()
    x = random_values(np.random.default_rng(1), (3, 12, 12, 16))
    y = qc.Interpreter(model, "xnnpack").run(x)
    for recorded, inputs in (({"y": y, "x": x}, None), ({"y": y}, x), ({"out0": y, "in0": x[:1]}, x)):
        assert check(model, oracles, samples=1, inputs=inputs, recorded=recorded).matching == ["xnnpack"]
    y[0, 0, 0, 0] ^= 1
    result = check(model, oracles, samples=1, recorded={"y": y, "x": x})
    assert result.matching == []
    assert result.recorded is not None
    assert (result.recorded[0].profile, result.recorded[0].mismatches) == ("xnnpack", 1)


def test_unusable_recordings(oracles: dict[str, Oracle]) -> None:
    model = op_model("RELU", [tensor((1, 3), "float32", name="x")], [tensor((1, 3), "float32", name="y")])
    x = np.zeros((2, 3), np.float32)
    for recorded, reason in (
        ({"y": x}, "outputs only"),
        ({"in0": x}, "lacks the outputs"),
        ({"z": x, "in0": x}, r"holds \['z'\]"),
        ({"y": x[:1], "x": x}, "2 times"),
        ({"y": x.astype(np.int8), "x": x}, "int8"),
    ):
        with pytest.raises(KernelError, match=reason):
            check(model, oracles, recorded=recorded)
    with pytest.raises(KernelError, match="numerics='all'"):
        verify(model, recorded={"y": x, "x": x}, oracle=oracles)
