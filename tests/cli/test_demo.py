"""``quantcore demo``, from training to the picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantcore.demo.pipeline import MODES
from quantcore.demo.training import NETWORKS

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def test_everything_is_written(demo_output: Path) -> None:
    models = {f"{network}_{mode}.tflite" for network in NETWORKS for mode in MODES}
    assert {path.name for path in demo_output.iterdir()} == models | {"summary.json", "predictions.png"}
    assert (demo_output / "predictions.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_summary(demo_output: Path) -> None:
    summary = json.loads((demo_output / "summary.json").read_text())
    assert summary["bit_exact"] is True
    assert [(m["network"], m["mode"]) for m in summary["models"]] == [(n, m) for n in NETWORKS for m in MODES]
    for model in summary["models"]:
        assert model["operators_exact"] == model["operators"] > 2
        assert model["differing_scores"] == 0
        assert model["scores"] == 10 * summary["test_images"]
        assert model["accuracy"] == model["oracle_accuracy"] > 0.5
        assert model["bytes"] == (demo_output / model["file"]).stat().st_size
        assert sum(map(sum, model["confusion"])) == summary["test_images"]


INPUTS = {"float": "float32", "int8": "int8", "uint8": "uint8", "float_fallback": "float32"}


@pytest.mark.parametrize(("mode", "dtype"), INPUTS.items())
def test_modes_have_the_input_that_they_promise(mode: str, dtype: str, demo_output: Path) -> None:
    summary = json.loads((demo_output / "summary.json").read_text())
    assert {m["input_dtype"] for m in summary["models"] if m["mode"] == mode} == {dtype}


def test_quantized_models_are_smaller(demo_output: Path) -> None:
    summary = json.loads((demo_output / "summary.json").read_text())
    for model in summary["models"]:
        assert model["ratio"] == 1 if model["mode"] == "float" else model["ratio"] < 1
