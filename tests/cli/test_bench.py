"""``quantcore bench``: what it measures and prints; the times themselves prove nothing here."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantcore.benchmark.speed
from quantcore.benchmark.operators import OperatorTime, OperatorTimes, time_operators
from quantcore.benchmark.speed import FEWEST_TURNS, Speed, TimedTFLite, compare_speed, on_one_cpu, take_turns
from quantcore.cli._bench_tables import print_operators, print_speeds
from quantcore.errors import OracleCrashed
from tests.cli.conftest import Cli, classifier_model
from tests.ops.harness import Op, const, graph_model, tensor

# stands in for TensorFlow Lite: runs one model, refuses another, and dies of a third
PEER = """
import json, os, signal, sys
kind = ""
for line in sys.stdin:
    request = json.loads(line)
    kind = request.get("path", kind)
    if "dies" in kind and "calls" in request:
        os.kill(os.getpid(), signal.SIGSEGV)
    answer = {"refused": "no such kernel"} if "refused" in kind else {"seconds": 1e-3}
    print(json.dumps(answer), flush=True)
"""


def test_alone(cli: Cli, classifier: Path, float_model: Path) -> None:
    found = cli("bench", classifier, float_model, "--alone", "--turns", "1", "--batch", "3", "--json").json()
    assert found["numerics"] == "reference"
    assert [model["model"] for model in found["models"]] == [str(classifier), str(float_model)]
    for model in found["models"]:
        assert (model["batch"], model["turns"], model["ratios"], model["refused"]) == (3, 1, {}, {})
        assert list(model["seconds"]) == ["quantcore"]
        assert not model["invoke_only"]
        assert "operators" not in model


def test_one_model_is_also_timed_operator_by_operator(cli: Cli, classifier: Path) -> None:
    words = ("bench", classifier, "--alone", "--turns", "1", "--invoke-only")
    (model,) = cli(*words, "--json").json()["models"]
    assert model["invoke_only"]
    rows = model["operators"]["operators"]
    dense = rows[-1]
    assert (dense["index"], dense["op"], dense["macs"]) == ("1", "FULLY_CONNECTED", 12)
    assert dense["bytes"] == 4 + 12 + 3 * 4 + 3
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert {kind["op"] for kind in model["operators"]["kinds"]} == {row["op"] for row in rows}
    assert all(kind["count"] == 1 for kind in model["operators"]["kinds"])
    assert "time by kind of operator" in cli(*words).out
    assert "time by kind of operator" not in cli(*words, "--no-operators").out


def test_operators_of_models_with_state_and_several_inputs() -> None:
    tensors = {
        "x": tensor((2, 3), "float32"),
        "y": tensor((2, 3), "float32"),
        "sum": tensor((2, 3), "float32"),
        "filter": const(np.ones((4, 3), np.float32)),
        "time": const(np.ones((4, 2), np.float32)),
        "state": replace(tensor((2, 8), "float32"), is_variable=True),
        "features": tensor((2, 4), "float32"),
    }
    operators = [
        Op("ADD", ("x", "y"), ("sum",)),
        Op(
            "SVDF",
            ("sum", "filter", "time", "", "state"),
            ("features",),
            {"rank": 1, "fused_activation_function": "NONE"},
        ),
    ]
    model = graph_model(tensors, operators, ["x", "y"], ["features"])
    times = time_operators(model, samples=2, turns=3)
    assert times.runs == 6
    assert [(step.index, step.op, step.macs) for step in times.steps] == [("0", "ADD", 0), ("1", "SVDF", 40)]
    assert times.steps[0].bytes == 3 * 24


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    refused = {"AUTO": "no delegate"}
    print_speeds([Speed("a/x.tflite", 1, 2e-6, 1, 1, False, {"BUILTIN_REF": 4e-6}, refused)])
    _, title, header, _, row, refusal = capsys.readouterr().out.splitlines()
    assert "faster than TensorFlow Lite" in title
    assert header.split() == ["model", "quantcore", "x", "reference", "x", "xnnpack"]
    assert row.split() == ["x.tflite", "2.0", "us", "2.00", "refused"]
    assert refusal == "TensorFlow Lite refuses x.tflite: no delegate"

    steps = [
        OperatorTime(str(i), "CONV_2D", "conv_s8", "avx2", 1e-6, 0.5, 3000, 500) for i in range(2)
    ]  # fmt: skip
    print_operators(OperatorTimes("a/x.tflite", 1, 7, steps))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "x.tflite: time by operator, 1 thread, median of 7 runs"
    assert " ".join(lines[4].split()) == "0 CONV_2D conv_s8 avx2 1.0 50.0% 3,000 3.0 500 0.5"
    assert lines[6].split() == ["all", "2.0", "100.0%", "6,000", "3.0", "1,000", "0.5"]
    assert lines[-1].split()[:4] == ["CONV_2D", "conv_s8", "avx2", "2"]


def test_a_peer_that_crashes_or_refuses_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantcore.benchmark.speed, "find_package", lambda: "tensorflow")
    script = tmp_path / "peer.py"
    script.write_text(PEER)
    data = classifier_model()
    with TimedTFLite("AUTO", script) as peer:
        for name in ("dies", "refused", "runs"):  # the process is replaced after a crash
            path = tmp_path / f"{name}.tflite"
            quantcore.save(data, path)
            speed = compare_speed(str(path), [peer], turns=1)
            expected = {"dies": "SIGSEGV", "refused": "no such kernel"}.get(name)
            if expected is None:
                assert speed.oracle == {"AUTO": pytest.approx(1e-3)}
            else:
                assert expected in speed.refused["AUTO"]
                assert not speed.oracle
            assert speed.ours > 0


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_contenders_of_one_thread_share_a_cpu() -> None:
    before = os.sched_getaffinity(0)
    with on_one_cpu([], threads=2):
        assert os.sched_getaffinity(0) == before
    with on_one_cpu([]):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    calls = {"slow": 0, "crashing": 0}

    def slow(count: int) -> float:
        calls["slow"] += 1
        return 10.0

    def crashing(count: int) -> float:
        calls["crashing"] += 1
        if calls["crashing"] > 4:
            raise OracleCrashed("it died", "SIGSEGV")
        return 1e-3

    def dead(count: int) -> float:
        raise OracleCrashed("it never lived", "SIGABRT")

    failed: dict[str, str] = {}
    passed: list[int] = []
    contenders = {"fast": lambda count: 1e-3, "slow": slow, "crashing": crashing, "dead": dead}
    times = take_turns(contenders, 9, failed, passed.append)
    assert failed == {"crashing": "it died", "dead": "it never lived"}
    assert {name: len(taken) for name, taken in times.items()} == {"fast": 9, "slow": FEWEST_TURNS}
    assert sum(passed) == 9
