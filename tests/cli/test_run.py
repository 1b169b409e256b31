"""``quantcore run``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantcore import Interpreter
from tests.cli.conftest import Cli


def test_json_has_the_outputs(cli: Cli, float_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[-1.5, 0.0, 2.5, np.inf]], np.float32))
    result = cli("run", float_model, "--input", tmp_path / "x.npy", "--json").json()
    (output,) = result["tensors"]
    assert output == {
        "index": 1,
        "name": "output0",
        "dtype": "float32",
        "shape": [1, 4],
        "values": [[0.0, 0.0, 2.5, None]],  # JSON has no infinity
    }


def test_batch_and_file(cli: Cli, classifier: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(-128, 128, (5, 2, 2), dtype=np.int8)
    np.savez(tmp_path / "x.npz", pixels=images)
    out = tmp_path / "y.npz"
    result = cli("run", classifier, "--input", tmp_path / "x.npz", "--out", out, "--threads", "2")
    assert (result.code, result.err) == (0, "")
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["scores"], Interpreter(classifier).run(images))
    assert [path.name for path in tmp_path.glob("*y.npz*")] == ["y.npz"]


def test_all_tensors(cli: Cli, classifier: Path, tmp_path: Path) -> None:
    assert cli("run", classifier, "--all", "--out", tmp_path / "all.npz").code == 0
    with np.load(tmp_path / "all.npz") as arrays:
        assert {"pixels", "flat", "scores"} <= set(arrays.files)
        np.testing.assert_array_equal(arrays["flat"].reshape(-1), arrays["pixels"].reshape(-1))


def test_random_samples_follow_the_seed(cli: Cli, classifier: Path) -> None:
    first, again, other = (cli("run", classifier, "--json", "--seed", seed).json() for seed in (1, 1, 2))
    assert first == again
    assert first["tensors"] != other["tensors"]


def test_table(cli: Cli, classifier: Path) -> None:
    result = cli("run", classifier, "--samples", "3")
    assert "int8[3,3]" in result.out
    assert "random, seed 0" in result.out
