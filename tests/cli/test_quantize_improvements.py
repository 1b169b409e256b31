"""``quantcore quantize``: equalization, bias correction and the search."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import QuantizationError
from quantcore.flatbuffer import write_model
from quantcore.wording import counted
from tests.cli.conftest import Cli, assert_one_line
from tests.quantizer.networks import images, unbalanced


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return the paths of a float model, of its samples and of what is to be written."""
    paths = [tmp_path / name for name in ("float.tflite", "x.npz", "out.tflite")]
    qc.save(unbalanced(), paths[0])
    np.savez(paths[1], x=images())
    return paths


def sqnr(path: Path) -> float:
    return qc.compare(unbalanced(), path, images(seed=1)).outputs[0].measures.sqnr_db


def test_equalize_and_correct(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    assert cli("quantize", model, "-o", out, "--data", data).code == 0
    before = sqnr(out)
    better = ("quantize", model, "-o", out, "--data", data, "--equalize", "--correct-biases")
    result = cli(*better, "--explain")
    assert (result.code, result.err) == (0, "")
    assert sqnr(out) > before + 6
    made = qc.quantize_model(unbalanced(), images(), equalize=True, correct_biases=True)
    assert out.read_bytes() == write_model(made)
    assert cli(*better, "--json").json()["notes"] == ["2 pairs of layers equalized", "3 biases corrected"]


def assert_search_note(note: str, operators: int, precision: str) -> None:
    some = "1 operator" if operators == 1 else f"{operators} operators"
    number = r"-?\d+(\.\d+)?"
    assert re.fullmatch(f"{some} left in {precision}: sqnr {number}, {number} without any", note), note


def test_one_is_no_plural(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    recipe = out.with_suffix(".json")
    recipe.write_text('{"rules": [{"operators": "CONV_2D", "precision": "float"}]}')
    arguments = ("quantize", model, "-o", out, "--data", data, "--io", "float32", "--recipe", recipe)
    assert_search_note(cli(*arguments, "--search", 30, "--json").json()["notes"][0], 1, "float")
    assert [counted(n, "bias", "biases") for n in range(3)] == ["0 biases", "1 bias", "2 biases"]
    assert [counted(n, "operator") for n in range(3)] == ["0 operators", "1 operator", "2 operators"]


def test_search(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    arguments = ("quantize", model, "-o", out, "--data", data)
    found = cli(*arguments, "--io", "float32", "--search", 30, "--json").json()
    assert 0 < len(found["float_operators"]) < 5
    assert len(found["kept_float"]) == len(found["float_operators"])
    assert_search_note(found["notes"][0], len(found["float_operators"]), "float")
    assert qc.compare(model, out, images()).outputs[0].measures.sqnr_db >= 30
    out.unlink()
    result = cli(*arguments, "--search", 300)
    assert result.code == 1
    number = r"-?\d+(\.\d+)?"
    assert re.fullmatch(
        f"quantcore: sqnr 300 is out of reach: {number} with 5 operators in float, {number} with none\n",
        result.err,
    )
    assert not out.exists()


def test_search_in_16x8(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    arguments = ("quantize", model, "-o", out, "--data", data, "--search-precision", "int16x8", "--search")
    limit = float(cli(*arguments, 300).err.split(": ")[2].split()[0])
    assert not out.exists()
    found = cli(*arguments, limit - 0.1, "--json").json()
    assert 0 < len(found["int16_operators"]) <= 5
    assert (found["float_operators"], found["kept_float"]) == ([], [])
    assert "int16" in found["operators"]
    assert_search_note(found["notes"][0], len(found["int16_operators"]), "int16x8")
    assert qc.compare(model, out, images()).outputs[0].measures.sqnr_db >= limit - 0.1
    assert_one_line(cli(*arguments, 30, "--mode", "int16x8"), "mode 'int8'")


def test_a_recipe_and_the_search_add_up(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    recipe = out.with_suffix(".json")
    recipe.write_text('{"rules": [{"operators": "FULLY_CONNECTED", "precision": "float"}]}')
    arguments = ("quantize", model, "-o", out, "--data", data, "--io", "float32", "--recipe", recipe)
    found = cli(*arguments, "--search", 30, "--json").json()
    assert 4 in found["float_operators"]
    assert qc.compare(model, out, images()).outputs[0].measures.sqnr_db >= 30


def test_what_needs_data(cli: Cli, files: list[Path]) -> None:
    model, data, out = files
    for option in (("--equalize",), ("--correct-biases",), ("--search", "20")):
        assert_one_line(cli("quantize", model, "-o", out, "--mode", "dynamic", *option), "no improvements")
    ranges = out.with_suffix(".json")
    assert cli("quantize", model, "-o", out, "--data", data, "--save-ranges", ranges).code == 0
    assert_one_line(cli("quantize", model, "-o", out, "--ranges", ranges, "--equalize"), "no saved ranges")
    with pytest.raises(QuantizationError, match="no improvements"):
        qc.quantize_model(unbalanced(), mode="float16", equalize=True)
