"""The command line, called in this process, and small files to call it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore.cli import run_command_line
from quantcore.flatbuffer import save
from quantcore.graph import Model
from tests.ops.harness import Op, const, graph_model, op_model, tensor

CLASSES = 3
PIXELS = 4


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what was printed, which must be one JSON value."""
        return json.loads(self.out)


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs ``quantcore`` with the given arguments on a screen of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run_command_line([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def classifier_model() -> Model:
    """Return an int8 classifier of 2x2 pixels in 0..1: the class is the brightest of the first three."""
    scale = 1 / 255
    filter_ = np.zeros((CLASSES, PIXELS), np.int8)
    filter_[np.arange(CLASSES), np.arange(CLASSES)] = 127
    tensors = {
        "pixels": tensor((1, 2, 2), "int8", scale, -128),
        "shape": const(np.array([-1, PIXELS], np.int32)),
        "flat": tensor((1, PIXELS), "int8", scale, -128),
        "filter": const(filter_, scale=[0.01, 0.01, 0.01]),
        "bias": const(np.zeros(CLASSES, np.int32), scale=np.float32([0.01 * scale] * CLASSES)),
        "scores": tensor((1, CLASSES), "int8", 0.01, -128),
    }
    operators = [
        Op("RESHAPE", ("pixels", "shape"), ("flat",), {"new_shape": [-1, PIXELS]}),
        Op("FULLY_CONNECTED", ("flat", "filter", "bias"), ("scores",), version=4),
    ]
    return graph_model(tensors, operators, ["pixels"], ["scores"])


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """Return the path of `classifier_model`."""
    path = tmp_path / "classifier.tflite"
    save(classifier_model(), path)
    return path


@pytest.fixture
def unsupported(tmp_path: Path) -> Path:
    """Return a model with an operator that quantcore does not run, behind one that it does."""
    tensors = {"x": tensor((1, 4), "float32"), "y": tensor((1, 4), "float32"), "z": tensor((1, 4), "float32")}
    operators = [Op("RELU", ("x",), ("y",)), Op("CUSTOM", ("y",), ("z",), custom_code="Sharpen")]
    path = tmp_path / "unsupported.tflite"
    save(graph_model(tensors, operators, ["x"], ["z"]), path)
    return path


@pytest.fixture
def float_model(tmp_path: Path) -> Path:
    """Return a float32 RELU over (1, 4)."""
    path = tmp_path / "relu.tflite"
    save(op_model("RELU", [tensor((1, 4), "float32")], [tensor((1, 4), "float32")]), path)
    return path


@pytest.fixture(params=["missing", "empty", "png", "truncated", "folder"])
def bad_model(request: pytest.FixtureRequest, tmp_path: Path, classifier: Path) -> Path:
    """Return a path that is not a model, for each of the usual reasons."""
    path = tmp_path / f"{request.param}.tflite"
    content = {
        "empty": b"",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "truncated": classifier.read_bytes()[:300],
    }
    if request.param == "folder":
        path.mkdir()
    elif request.param != "missing":
        path.write_bytes(content[request.param])
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return ten images and labels for `classifier`, nine of which it gets right."""
    rng = np.random.default_rng(0)
    labels = np.arange(10) % CLASSES
    images = rng.integers(0, 50, (10, 2, 2), dtype=np.uint8)
    images.reshape(10, PIXELS)[np.arange(10), labels] = 250
    labels[9] = (labels[9] + 1) % CLASSES
    path = tmp_path / "data.npz"
    np.savez(path, images=images, labels=labels)
    return path


def assert_one_line(result: Result, *parts: object) -> None:
    """Assert that a command failed with one line that says the given things, and nothing else."""
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("quantcore: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    assert "internal error" not in result.err
    for part in parts:
        assert str(part) in result.err
