"""``quantcore compare``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from tests.cli.conftest import Cli, assert_one_line
from tests.comparison.networks import float_network, int8_network, samples


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return the paths of a float model, an int8 one and samples."""
    paths = [tmp_path / name for name in ("float.tflite", "int8.tflite", "x.npz")]
    qc.save(float_network(), paths[0])
    qc.save(int8_network(), paths[1])
    np.savez(paths[2], x=samples(4))
    return paths


def test_table(cli: Cli, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = cli("compare", files[0], files[1], "--data", files[2])
    assert (result.code, result.err) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    operators = [line[1] for line in lines if line and line[0] in "0123" and len(line) > 5]
    assert operators[:4] == ["QUANTIZE", "FULLY_CONNECTED", "FULLY_CONNECTED", "DEQUANTIZE"]
    assert "no counterpart" not in result.out


def test_worst_first(cli: Cli, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ("compare", files[0], files[1], "--data", files[2])
    rows = cli(*arguments, "--json").json()["tensors"]
    worst = max(
        (row for row in rows if row["rmse_over_scale"] is not None), key=lambda r: r["rmse_over_scale"]
    )
    out = cli(*arguments, "--sort", "rmse", "--top", "1").out
    table = out[out.index("tensors") : out.index("constants")].splitlines()
    assert len([line for line in table[3:] if line]) == 1
    assert table[3].endswith(worst["name"])


@pytest.mark.parametrize(
    ("feed", "limit", "code"), [("quantized", 20, 0), ("quantized", 60, 1), ("float", 35, 1)]
)
def test_threshold(cli: Cli, files: list[Path], feed: str, limit: int, code: int) -> None:
    result = cli("compare", files[0], files[1], "--data", files[2], "--feed", feed, "--min-sqnr", limit)
    assert result.code == code
    assert ("below" in result.err) == bool(code)


def test_csv(cli: Cli, files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert cli("compare", files[0], files[1], "--data", files[2], "--csv", path).code == 0
    assert path.read_text().startswith("op_name,tensor_idx,num_elements,stddev,mean_error,max_abs_error")


def test_bad_input(cli: Cli, files: list[Path], bad_model: Path, float_model: Path, tmp_path: Path) -> None:
    data = ("--data", files[2])
    assert_one_line(cli("compare", files[0], bad_model, *data), bad_model.name)
    assert_one_line(cli("compare", files[1], files[0], *data), "expected the float model first")
    assert_one_line(cli("compare", files[0], float_model, *data), "do not belong together")
    assert_one_line(cli("compare", files[0], files[1], "--data", tmp_path / "none.npz"), "none.npz")
    assert_one_line(cli("compare", files[0], files[1]), "--data")
    np.save(tmp_path / "wrong.npy", np.zeros((2, 5), np.float32))
    assert_one_line(cli("compare", files[0], files[1], "--data", tmp_path / "wrong.npy"), "have shape (2, 5)")


def test_what_is_not_finite_does_not_pass_a_threshold(cli: Cli, files: list[Path], tmp_path: Path) -> None:
    x = samples(4)
    x[1] = np.nan
    np.savez(tmp_path / "nan.npz", x=x)
    result = cli("compare", files[0], files[1], "--data", tmp_path / "nan.npz", "--min-sqnr", "1")
    assert result.code == 1
    assert "values are NaN or infinite" in result.err
    assert "values are NaN or infinite" in result.out
    assert "RuntimeWarning" not in result.err


def test_no_input_is_overwritten(cli: Cli, files: list[Path]) -> None:
    before = files[1].read_bytes()
    words = ("compare", files[0], files[1], "--data", files[2])
    assert_one_line(cli(*words, "--csv", files[1]), "is an input")
    assert files[1].read_bytes() == before
    assert_one_line(cli(*words, "--csv", files[1].parent / "no" / "x.csv"), "no folder")
    assert_one_line(cli(*words, "--min-sqnr", "nan"), "--min-sqnr is nan")
