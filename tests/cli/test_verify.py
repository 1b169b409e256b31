"""``quantcore verify``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.cli._verify_profiles import _legend
from quantcore.kernels import _core as core
from quantcore.numerics import PROFILES, Profile, Rule
from quantcore.oracle import Oracle
from quantcore.verification.divergence import Divergence
from quantcore.verification.rules import ROUNDINGS, describe_rules
from tests.cli.conftest import CLASSES, Cli
from tests.ops.harness import get_oracle, set_rule

pytestmark = pytest.mark.oracle


@pytest.fixture(autouse=True)
def _needs_tensorflow() -> None:
    get_oracle()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lend the command the session's oracles."""

    def lend(self: object, profile: Profile) -> AbstractContextManager[Oracle]:
        return nullcontext(get_oracle(profile.name))

    monkeypatch.setattr("quantcore.verification.pool.Pool.start", lend)


@pytest.mark.slow
def test_bit_exact(cli: Cli, classifier: Path) -> None:
    result = cli("verify", classifier, "--json")
    assert (result.code, result.err) == (0, "")
    found = result.json()
    assert found["bit_exact"] is True
    assert found["oracle"]["resolver"] == "BUILTIN_REF"
    assert [row["op"] for row in found["operators"]] == ["RESHAPE", "FULLY_CONNECTED"]
    assert all(row["elements"] > 0 and row["mismatches"] == 0 for row in found["operators"])


def test_table(cli: Cli, classifier: Path, shared: None) -> None:
    result = cli("verify", classifier, "--samples", "3")
    assert result.code == 0
    assert "bit-exact: 2/2 operators" in result.out


def test_mismatch_is_exit_code_1(
    cli: Cli, classifier: Path, monkeypatch: pytest.MonkeyPatch, shared: None
) -> None:
    """Bounds that are not the oracle's must be found out, located and reported."""
    monkeypatch.setattr("quantcore.ops.shared.requant.quantized_bounds", lambda *_: (-128, -100))
    result = cli("verify", classifier)
    assert result.code == 1
    assert "NOT bit-exact: 1/2 operators" in result.out
    assert "1 FULLY_CONNECTED: the first mismatch is in sample 0 at [0, 0]: -100 instead of" in result.out


def test_what_cannot_be_compared_is_exit_code_2(cli: Cli, unsupported: Path, shared: None) -> None:
    result = cli("verify", unsupported)
    assert result.code == 2
    assert "could not be compared" in result.err
    assert result.err.count("\n") == 1
    assert "not compared" in result.out


# All profiles


def test_all_profiles(cli: Cli, classifier: Path, shared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = cli("verify", classifier, "--numerics", "all")
    for name, profile in PROFILES.items():
        (line,) = [line for line in result.out.splitlines() if line.startswith(f"{name} ")]
        assert profile.resolver in line
    assert "bit-exact: 2/2 operators" in result.out
    assert "output scores:" in result.out


def test_rules_that_part_are_explained() -> None:
    row = Divergence(0, 0, "y", "int8", 0, "CONV_2D", "conv_2d")
    row.add({"reference": np.zeros(4, np.int8), "xnnpack": np.ones(4, np.int8), "tflm": np.zeros(4, np.int8)})
    assert len(row.partings) == 1
    row.partings[0].rules = describe_rules(Rule(), Rule("ruy", "float32"))
    row.partings[0].expected = 0.1
    lines = _legend([row])
    assert [line.split(":")[0] for line in lines] == [
        "double_rounding", "ruy", "expected", "the rules are derived in docs/numerics",
    ]  # fmt: skip
    assert lines[-1].endswith(" conv_2d.md")
    assert set(ROUNDINGS) == set(core.ROUNDINGS)
    assert _legend([Divergence(0, 0, "y", "int8", 0, "CONV_2D", "conv_2d")]) == []


def test_all_profiles_as_json(cli: Cli, classifier: Path, shared: None) -> None:
    found = cli("verify", classifier, "--numerics", "all", "--json").json()
    assert list(found["profiles"]) == list(PROFILES)
    assert found["profiles"]["reference"]["bit_exact"] is True
    assert [row["op"] for row in found["operators"]] == ["RESHAPE", "FULLY_CONNECTED"]


def test_a_profile_without_a_rule_is_named(
    cli: Cli, classifier: Path, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rule(monkeypatch, "tflm", "FULLY_CONNECTED", "int8", None)
    result = cli("verify", classifier, "--numerics", "all", "--samples", "1")
    assert result.code == 2
    assert "tflm: not compared: 1 FULLY_CONNECTED:" in result.out
    assert "no confirmed rule" in result.out
    assert "tflm: not run, so not compared with the other profiles: 1 FULLY_CONNECTED int8" in result.out
    assert "could not be compared" in result.err


def test_recorded(cli: Cli, classifier: Path, shared: None, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (5, 2, 2), dtype=np.int8)
    y = qc.Interpreter(classifier).run(x)
    np.savez(tmp_path / "good.npz", out0=y, in0=x)
    result = cli("verify", classifier, "--recorded", tmp_path / "good.npz")
    assert "the recording matches reference" in result.out
    assert result.code == 0
    np.savez(tmp_path / "bad.npz", out0=y ^ 1, in0=x)
    result = cli("verify", classifier, "--recorded", tmp_path / "bad.npz")
    assert result.code == 1
    assert f"the recording matches no profile; the closest is reference: {5 * CLASSES} values" in result.out
    result = cli("verify", classifier, "--recorded", tmp_path / "bad.npz", "--numerics", "tflm")
    assert result.code == 2
    assert "numerics='all'" in result.err


def test_a_recording_that_matches_is_an_answer_whatever_other_profiles_cannot_run(
    cli: Cli,
    classifier: Path,
    unsupported: Path,
    shared: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_rule(monkeypatch, "tflm", "FULLY_CONNECTED", "int8", None)
    x = np.zeros((1, 2, 2), np.int8)
    np.savez(tmp_path / "device.npz", out0=qc.Interpreter(classifier).run(x), in0=x)
    result = cli("verify", classifier, "--recorded", tmp_path / "device.npz")
    assert (result.code, "tflm: not compared" in result.out) == (0, True)
    shapes = qc.load(unsupported).subgraphs[0]
    arrays = {
        f"in{k}": np.zeros(shapes.tensors[t].shape, shapes.tensors[t].dtype)
        for k, t in enumerate(shapes.inputs)
    }
    arrays |= {f"out{k}": np.zeros(1, np.float32) for k in range(len(shapes.outputs))}
    np.savez(tmp_path / "none.npz", **arrays)
    result = cli("verify", unsupported, "--recorded", tmp_path / "none.npz")
    assert (result.code, "could not be compared" in result.err) == (2, True)
