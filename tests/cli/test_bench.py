"""``quantcore bench``: what it prints of the times; they themselves prove nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantcore.benchmark.speed import Speed
from quantcore.cli.bench import print_speeds
from tests.cli.conftest import Cli


def test_alone(cli: Cli, classifier: Path, float_model: Path) -> None:
    found = cli("bench", classifier, float_model, "--alone", "--turns", "1", "--batch", "3", "--json").json()
    assert [model["model"] for model in found["models"]] == [str(classifier), str(float_model)]
    for model in found["models"]:
        assert (model["batch"], model["turns"], model["ratios"], model["refused"]) == (3, 1, {}, {})
        assert list(model["seconds"]) == ["quantcore"]


def test_columns_are_the_profiles_of_the_resolvers(capsys: pytest.CaptureFixture[str]) -> None:
    refused = {"AUTO": "no delegate"}
    print_speeds([Speed("a/x.tflite", 1, 2e-6, 1, 1, {"BUILTIN_REF": 4e-6}, refused)])
    _, title, header, _, row, refusal = capsys.readouterr().out.splitlines()
    assert "faster than TensorFlow Lite" in title
    assert header.split() == ["model", "quantcore", "x", "reference", "x", "xnnpack"]
    assert row.split() == ["x.tflite", "2.0", "us", "2.00", "refused"]
    assert refusal == "TensorFlow Lite refuses x.tflite: no delegate"
