"""`verify`: exact models are called so, broken kernels are found, what was not compared is not claimed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError, OracleCrashed, OracleUnavailable, QuantcoreError
from quantcore.graph import Model, Operator, Signature, Subgraph
from quantcore.numerics import PROFILES, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import load_operators
from quantcore.oracle import Oracle, packages
from quantcore.oracle.prepared import Prepared
from quantcore.subgraphs import reachable_subgraphs, single_operator
from quantcore.verify import VerifyResult, verify
from tests.ops.harness import (
    Op,
    const,
    get_oracle,
    graph_model,
    op_model,
    random_values,
    set_rule,
    tensor,
    tie_scales,
)

pytestmark = pytest.mark.oracle

DEMANDED = [
    "mlperf_ad_int8",
    "mlperf_ic_int8",
    "mlperf_kws_int8",
    "tflm_hello_world_int8",
    "tflm_micro_speech_int8",
    "aeq_conv_fc_mnist_int8",
    "mlperf_ad_float",
    "mlperf_ic_float",
    "mlperf_kws_float",
]


def check(model: object, *args: object, **kwargs: object) -> VerifyResult:
    """Run `verify` with the session's oracle."""
    return verify(model, *args, oracle=get_oracle(), **kwargs)  # type: ignore[arg-type]


def chain() -> Model:
    """RELU, CONV_2D with a multiplier of exactly 1/16 (every 16th sum is a tie), RELU."""
    rng = np.random.default_rng(0)
    s_in, s_filter, s_out = tie_scales(rng, 4)
    return graph_model(
        {
            "x": tensor((1, 8, 8, 4), "int8", s_in),
            "relu": tensor((1, 8, 8, 4), "int8", s_in),
            "filter": const(random_values(rng, (6, 3, 3, 4), low=-9, high=9), np.full(6, s_filter)),
            "bias": const(rng.integers(-200, 200, 6, dtype=np.int32), np.full(6, s_in * s_filter)),
            "conv": tensor((1, 8, 8, 6), "int8", s_out),
            "y": tensor((1, 8, 8, 6), "int8", s_out),
        },
        [
            Op("RELU", ["x"], ["relu"], version=2),
            Op(
                "CONV_2D",
                ["relu", "filter", "bias"],
                ["conv"],
                {"padding": "SAME", "stride_w": 1, "stride_h": 1},
                3,
            ),
            Op("RELU", ["conv"], ["y"], version=2),
        ],
        ["x"],
        ["y"],
    )


# Exact ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEMANDED)
def test_real_models_are_bit_exact(name: str, models_dir: Path) -> None:
    result = check(models_dir / f"{name}.tflite", samples=3)
    assert [row for row in result.rows if row.status != "exact"] == []
    assert result.bit_exact
    assert result.complete
    assert not result.mismatched
    assert result.notes == []


def test_what_an_exact_result_says() -> None:
    result = check(chain(), samples=5, seed=3)
    assert result.bit_exact
    assert [(r.index, r.op, r.tensor, r.dtype) for r in result.operators] == [
        (0, "RELU", 1, "int8"),
        (1, "CONV_2D", 4, "int8"),
        (2, "RELU", 5, "int8"),
    ]
    assert [(r.elements, r.mismatches, r.samples) for r in result.rows] == [
        (5 * 256, 0, 5),
        (5 * 384, 0, 5),
        (5 * 384, 0, 5),
        (5 * 384, 0, 5),
    ]
    assert [(r.index, r.op, r.name) for r in result.end_to_end] == [(None, None, "y")]
    assert result.oracle == {"name": "tensorflow", "version": get_oracle().version, "resolver": "BUILTIN_REF"}


def test_the_public_function() -> None:
    assert qc.verify is verify


# Broken on purpose ------------------------------------------------------------------------------------


def test_a_wrong_rounding_rule_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ties tell double from single rounding; the operators around the broken one must stay exact."""
    set_rule(monkeypatch, "reference", "CONV_2D", "int8", Rule("single_rounding"))
    result = check(chain())
    assert [row.status for row in result.operators] == ["exact", "mismatch", "exact"]
    row = result.operators[1]
    assert 0 < row.mismatches < row.elements // 16
    assert row.max_abs_diff == 1
    assert row.first_sample is not None
    assert row.first_index is not None
    assert row.first_values is not None
    ours, expected = row.first_values
    assert abs(ours - expected) == 1
    assert not result.bit_exact
    assert result.mismatched
    assert result.complete


def broken(monkeypatch: pytest.MonkeyPatch, op: str, change: Callable[[Node], Node]) -> None:
    """Lower `op` as if its node were what `change` returns."""
    operators = load_operators()
    lower = operators[op].lower
    monkeypatch.setitem(operators, op, replace(operators[op], lower=lambda node: lower(change(node))))


def test_every_number_of_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    """RELU that is cut off at 6: the differences are known by hand."""
    broken(monkeypatch, "RELU", lambda node: replace(node, op=replace(node.op, op="RELU6")))
    model = graph_model(
        {"x": tensor((1, 4), "float32"), "n": tensor((1, 4), "float32"), "y": tensor((1, 4), "float32")},
        [Op("NEG", ["x"], ["n"]), Op("RELU", ["n"], ["y"])],
        ["x"],
        ["y"],
    )
    samples = np.array([[-1, 2, -3, 4], [-5, -6.5, -7, 1]], np.float32)
    result = check(model, samples)
    row = result.operators[1]
    assert (row.index, row.op, row.status) == (1, "RELU", "mismatch")
    assert (row.samples, row.elements, row.mismatches, row.max_abs_diff) == (2, 8, 2, 1.0)
    assert (row.first_sample, row.first_index, row.first_values) == (1, (0, 1), (6.0, 6.5))
    assert row.max_ulp == 0x40E00000 - 0x40C00000  # from 6.0 to 7.0
    assert not result.bit_exact


def test_a_wrong_shape_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = load_operators()["RELU"]

    def transposed(node: Node) -> object:
        call = definition.lower(node)
        node.output.shape = node.output.shape[::-1]
        return call

    monkeypatch.setitem(load_operators(), "RELU", replace(definition, lower=transposed))  # type: ignore[arg-type]
    result = check(op_model("RELU", [tensor((1, 6), "float32")], [tensor((), "float32")]))
    assert result.operators[0].status == "mismatch"
    assert "(6, 1)" in result.operators[0].reason
    assert not result.bit_exact


def test_both_outputs_of_an_operator_are_compared() -> None:
    model = op_model(
        "SPLIT",
        [const(np.array(1, np.int32)), tensor((1, 6), "float32")],
        [tensor((), "float32"), tensor((), "float32")],
        {"num_splits": 2},
    )
    result = check(model)
    assert [(row.index, row.tensor, row.status) for row in result.operators] == [
        (0, 2, "exact"),
        (0, 3, "exact"),
    ]
    assert len(result.end_to_end) == 2


# Not compared -----------------------------------------------------------------------------------------


def unsupported_in_the_middle() -> Model:
    """A custom-made graph whose second operator quantcore does not know."""
    return graph_model(
        {name: tensor((1, 5), "float32") for name in "xaby"},
        [Op("RELU", ["x"], ["a"]), Op("COS", ["a"], ["b"]), Op("RELU", ["b"], ["y"])],
        ["x"],
        ["y"],
    )


def test_an_unsupported_operator_is_named_and_the_rest_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(load_operators(), "COS", raising=False)
    result = check(unsupported_in_the_middle())
    assert [row.status for row in result.operators] == ["exact", "not compared", "exact"]
    assert "COS" in result.operators[1].reason
    assert [row.status for row in result.end_to_end] == ["not compared"]
    assert (result.bit_exact, result.mismatched, result.complete) == (False, False, False)


def test_an_operator_that_the_oracle_refuses() -> None:
    """The reference resolver has no ELU, so the whole model is refused; the rest is compared alone."""
    model = graph_model(
        {name: tensor((1, 5), "float32") for name in "xaby"},
        [Op("RELU", ["x"], ["a"]), Op("ELU", ["a"], ["b"]), Op("RELU", ["b"], ["y"])],
        ["x"],
        ["y"],
    )
    result = check(model)
    assert [row.status for row in result.operators] == ["exact", "not compared", "exact"]
    assert [row.status for row in result.end_to_end] == ["not compared"]
    assert not result.bit_exact
    assert "could not run the whole model" in result.notes[0]


def test_a_model_that_the_oracle_refuses(models_dir: Path) -> None:
    result = check(models_dir / "tflm_person_detect_int8.tflite", samples=2)
    by_op = {(row.op, row.status) for row in result.operators}
    assert ("CONV_2D", "exact") in by_op
    assert ("DEPTHWISE_CONV_2D", "not compared") in by_op
    assert ("DEPTHWISE_CONV_2D", "exact") not in by_op
    assert all("quantized_dimension" in r.reason for r in result.operators if r.op == "DEPTHWISE_CONV_2D")
    assert (result.bit_exact, result.mismatched) == (False, False)


def test_a_model_that_crashes_the_oracle(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TensorFlow Lite does with this model (int8 state) is tested with the oracle; here it is acted."""
    run = Oracle.run_prepared
    tried = []

    def crash(oracle: Oracle, prepared: Prepared, *args: object, **kwargs: object) -> object:
        ops = {op.op for op in qc.load(prepared.data).subgraphs[0].operators}
        tried.append(ops)
        if "SVDF" in ops:
            raise OracleCrashed("the oracle's process was ended by SIGABRT", "SIGABRT")
        return run(oracle, prepared, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Oracle, "run_prepared", crash)
    result = check(models_dir / "tflm_keyword_scrambled_8bit.tflite", samples=2)
    assert "SIGABRT" in result.notes[0]
    assert tried.count({"SVDF"}) == 1  # each time would cost the seconds that a new process takes
    statuses = {(row.op, row.status) for row in result.operators}
    assert ("FULLY_CONNECTED", "exact") in statuses
    assert ("SVDF", "not compared") in statuses
    assert ("SVDF", "exact") not in statuses
    assert [row.status for row in result.end_to_end] == ["not compared"]
    assert (result.bit_exact, result.mismatched, result.complete) == (False, False, False)


def test_a_time_out_is_not_a_verdict(models_dir: Path) -> None:
    get_oracle("tflm")
    with Oracle("TFLM", timeout=1e-5) as oracle:  # its process starts in a second
        path = models_dir / "tflm_micro_speech_int8.tflite"
        result = verify(path, samples=1, numerics="tflm", oracle=oracle)
    assert [row.status for row in result.end_to_end] == ["not compared"]
    assert "within 1e-05 s" in result.notes[0]
    assert (result.bit_exact, result.mismatched, result.complete) == (False, False, False)


def test_nothing_compared_is_not_bit_exact() -> None:
    assert not VerifyResult("m", "reference", {}, 0, 0).bit_exact
    assert not VerifyResult("m", "reference", {}, 0, 0).complete


# Subgraphs --------------------------------------------------------------------------------------------


def test_every_signature_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (
        op_model(op, [tensor((1, 9), "float32")], [tensor((), "float32")]) for op in ("RELU", "RELU6")
    )
    model = Model([first.subgraphs[0], second.subgraphs[0]])
    model.signatures = [Signature("a", 0, {"x": 0}, {"y": 1}), Signature("b", 1, {"x": 0}, {"y": 1})]
    result = check(model)
    assert [(r.subgraph, r.op) for r in result.operators] == [(0, "RELU"), (1, "RELU6")]
    assert result.bit_exact
    broken(monkeypatch, "RELU6", lambda node: replace(node, op=replace(node.op, op="RELU_N1_TO_1")))
    result = check(model)
    assert [(r.subgraph, r.status) for r in result.rows] == [
        (0, "exact"),
        (1, "mismatch"),
        (0, "exact"),
        (1, "mismatch"),
    ]


def test_subgraphs_that_control_flow_calls_are_reachable() -> None:
    loop = Operator(
        "WHILE",
        1,
        (0,),
        (1,),
        {"cond_subgraph_index": 2, "body_subgraph_index": 1},
        options_type="WhileOptions",
    )
    graphs = [Subgraph(str(k), [], [], (), ()) for k in range(4)]
    graphs[0].operators.append(loop)
    assert sorted(reachable_subgraphs(Model(graphs))) == [0, 1, 2]


def test_an_operator_cut_out_of_a_model_computes_the_same() -> None:
    model = chain()
    rng = np.random.default_rng(5)
    tensors = get_oracle().run_all(model, random_values(rng, (1, 8, 8, 4)))
    alone, inputs = single_operator(model, 0, 1)
    assert inputs == [1]
    assert [t.name for t in alone.subgraphs[0].tensors] == ["relu", "filter", "bias", "conv"]
    (y,) = get_oracle().run(alone, tensors[1])
    assert np.array_equal(y, tensors[4])


# Arguments and result ---------------------------------------------------------------------------------


def test_given_inputs_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel that is wrong only above 6 is exact on data below, and wrong on data above."""
    broken(monkeypatch, "RELU", lambda node: replace(node, op=replace(node.op, op="RELU6")))
    model = op_model("RELU", [tensor((1, 3), "float32", name="x")], [tensor((), "float32")])
    low, high = np.full((12, 3), 5, np.float32), np.full((12, 3), 50, np.float32)
    np.savez(tmp_path / "x.npz", anything=high)
    assert check(model, low).bit_exact
    for given in (high, [high], {"x": high}, tmp_path / "x.npz"):
        result = check(model, given, samples=10)
        assert result.operators[0].mismatches == 30
        assert (result.samples, result.notes) == (10, ["10 of the 12 samples were used"])


def test_progress_reaches_the_total() -> None:
    calls: list[tuple[int, int, str]] = []
    check(chain(), samples=2, progress=lambda *args: calls.append(args))
    assert [done for done, _, _ in calls] == [0, 1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in calls} == {6}
    assert calls[2][2] == "operator 1 CONV_2D"


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_filters_that_a_delegate_dequantizes_while_it_prepares(kind: str) -> None:
    rng = np.random.default_rng(3)
    filters = rng.integers(-127, 128, (4, 8)).astype(kind)
    model = graph_model(
        {
            "x": tensor((1, 8), "float32"),
            "w": const(filters, np.full(4, 0.01) if kind == "int8" else None),
            "wf": tensor((4, 8), "float32"),
            "b": const(np.zeros(4, np.float32)),
            "y": tensor((1, 4), "float32"),
        },
        [
            Op("DEQUANTIZE", ["w"], ["wf"], version=5 if kind == "int8" else 3),
            Op("FULLY_CONNECTED", ["x", "wf", "b"], ["y"]),
        ],
        ["x"],
        ["y"],
    )
    result = verify(model, samples=2, numerics="xnnpack", oracle=get_oracle("xnnpack"))
    assert [row.status for row in result.operators] == ["exact", "close"]
    assert result.agrees


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "RELU", lambda node: replace(node, op=replace(node.op, op="RELU6")))
    model = op_model("RELU", [tensor((1, 3), "float32")], [tensor((), "float32")])
    result = check(model, np.array([[np.nan, np.inf, 1]], np.float32))
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert {"model", "numerics", "oracle", "samples", "bit_exact", "operators"} <= set(data)
    assert {"name", "version", "resolver"} == set(data["oracle"])
    row = data["operators"][0]
    assert {"index", "op", "tensor", "elements", "mismatches", "max_abs_diff"} <= set(row)
    assert (row["mismatches"], row["max_abs_diff"], row["first_values"]) == (1, None, [6.0, None])
    assert data["bit_exact"] is False


def test_unusable_arguments(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models_dir / "tflm_hello_world_int8.tflite"
    with pytest.raises(KernelError, match="at least 1"):
        check(path, samples=0)
    with pytest.raises(QuantcoreError, match="known: reference"):
        check(path, numerics="exact")
    with pytest.raises(KernelError, match="got BUILTIN_WITHOUT"):
        verify(path, oracle=Oracle("BUILTIN_WITHOUT_DEFAULT_DELEGATES"))
    with pytest.raises(KernelError, match="dtype int8, got int64"):
        check(path, np.array([[1]]))
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OracleUnavailable, match="not installed"):
        verify(path)


def test_another_version_than_the_confirmed_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = get_oracle()
    monkeypatch.setitem(PROFILES["reference"].confirmed_on, oracle.name, "1.0")
    (note,) = check(chain(), samples=1).notes
    assert "confirmed on" in note
    assert f"{oracle.name} 1.0" in note
    assert oracle.version in note
