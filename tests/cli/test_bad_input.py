"""Whatever is wrong with what a command is given: one line on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import COMMANDS, EXAMPLES, parse
from tests.cli.conftest import CLASSES, PIXELS, Cli, assert_one_line

TAKE_MODELS = [name for name, command in COMMANDS.items() if command.params[0].param_type_name == "argument"]


def test_most_commands_take_models() -> None:
    assert {"inspect", "run", "verify", "evaluate", "bench", "quantize", "compare"} <= set(TAKE_MODELS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return an empty folder to write to."""
    path = tmp_path / "out"
    path.mkdir()
    return path


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("command", TAKE_MODELS)
def test_not_a_model(
    command: str, as_json: bool, cli: Cli, bad_model: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first example of each command, with something else in place of its model."""
    monkeypatch.chdir(out)
    words = EXAMPLES[command][0]
    given = parse(words).params[COMMANDS[command].params[0].name]
    models = given if isinstance(given, tuple) else (given,)
    words = [str(bad_model) if word in models else word for word in words]
    result = cli(*words, *(["--json"] if as_json else []))
    assert_one_line(result, bad_model.name)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    "words", [["run", "--out", "result.npz"], ["evaluate", "--data", "../four.npz"], ["bench", "--alone"]]
)
def test_unsupported_operator(
    words: list[str], cli: Cli, unsupported: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    np.savez("../four.npz", images=np.zeros((3, 4), np.float32), labels=np.zeros(3, int))
    result = cli(*words, unsupported)
    assert_one_line(result, "operator 1", "Sharpen")
    assert not list(out.iterdir())


def test_inspect_shows_what_cannot_be_run(cli: Cli, unsupported: Path) -> None:
    result = cli("inspect", unsupported)
    assert (result.code, result.err) == (0, "")
    assert "CUSTOM:Sharpen" in result.out
    assert "not run by quantcore" in result.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (np.zeros((1, 2, 2), np.float32), ["dtype", "int8", "float32"]),
        (np.zeros((1, 3, 2), np.int8), ["shape", "(1, 2, 2)", "(1, 3, 2)"]),
        ({"a": np.zeros((1, 2, 2), np.int8), "b": np.zeros(3)}, ["pixels", "'a'", "'b'"]),
    ],
    ids=["dtype", "shape", "names"],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_wrong_input(
    command: str, content: object, says: list[str], cli: Cli, classifier: Path, tmp_path: Path
) -> None:
    path = tmp_path / "input.npz"
    np.savez(path, **content) if isinstance(content, dict) else np.savez(path, pixels=content)
    assert_one_line(cli(command, classifier, "--input", path), *says)


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize("kind", ["missing", "empty", "png", "truncated", "objects"])
def test_not_arrays(command: str, kind: str, cli: Cli, classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.npz"
    np.savez(tmp_path / "good.npz", pixels=np.zeros((1, 2, 2), np.int8))
    np.savez(tmp_path / "objects.npz", pixels=np.array([{}], dtype=object))
    content = {
        "empty": b"",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "truncated": (tmp_path / "good.npz").read_bytes()[:150],
    }
    if kind in content:
        path.write_bytes(content[kind])
    assert_one_line(cli(command, classifier, "--input", path), path.name)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"photos": 1, "tags": 2}, ["no images", "photos, tags", "--images"]),
        ({"images": np.zeros((3, 2, 2))}, ["no labels", "images"]),
        ({"images": np.zeros((3, 5, 5), np.uint8), "labels": [0, 1, 2]}, ["(3, 5, 5)", "2, 2"]),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": [0, 1]}, ["labels", "(2,)", "3 images"]),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": [0, 1, CLASSES]}, ["label 3", "image 2"]),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": ["a", "b", "c"]}, ["labels have dtype <U1"]),
        ({"images": np.full((3, 2, 2), 256, np.uint16), "labels": [0, 1, 2]}, ["256", "0..255"]),
        ({"images": np.zeros((0, 2, 2), np.uint8), "labels": []}, ["no images"]),
        ({"images": np.zeros((3, 2, 2), complex), "labels": [0, 1, 2]}, ["complex128"]),
        ({"images": np.uint8(1), "labels": [0]}, ["shape ()"]),
    ],
)
def test_evaluate_data(
    arrays: dict[str, object], says: list[str], cli: Cli, classifier: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    assert_one_line(cli("evaluate", classifier, "--data", tmp_path / "data.npz"), *says)


def test_evaluate_key(cli: Cli, classifier: Path, data: Path) -> None:
    result = cli("evaluate", classifier, "--data", data, "--images", "photos")
    assert_one_line(result, "no array 'photos'", "found: images, labels")


def test_evaluate_channels_first(cli: Cli, float_model: Path, tmp_path: Path) -> None:
    from quantcore.flatbuffer import save
    from tests.ops.harness import op_model, tensor

    model = tmp_path / "rgb.tflite"
    shape = (1, PIXELS, PIXELS, 3)
    save(op_model("RELU", [tensor(shape, "float32")], [tensor(shape, "float32")]), model)
    np.savez(tmp_path / "data.npz", images=np.zeros((2, 3, PIXELS, PIXELS), np.float32), labels=[0, 1])
    assert_one_line(cli("evaluate", model, "--data", tmp_path / "data.npz"), "channels first")


@pytest.mark.parametrize("target", ["missing/result.npz", "folder"])
def test_unwritable_output(target: str, cli: Cli, classifier: Path, out: Path) -> None:
    (out / "folder").mkdir()
    assert_one_line(cli("run", classifier, "--out", out / target), target.split("/")[0])
    assert [path.name for path in out.rglob("*")] == ["folder"]


def test_output_is_kept_when_a_run_fails(cli: Cli, unsupported: Path, out: Path) -> None:
    (out / "result.npz").write_bytes(b"precious")
    assert cli("run", unsupported, "--out", out / "result.npz").code == 2
    assert (out / "result.npz").read_bytes() == b"precious"


def test_demo_mnist(cli: Cli, tmp_path: Path, out: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((4, 28, 28), np.uint8))
    result = cli("demo", "--mnist", tmp_path / "mnist.npz", "--out", out)
    assert_one_line(result, "y_train, x_test, y_test", "found x_train")
    digits = {f"y_{part}": np.zeros(4, int) for part in ("train", "test")}
    images = {f"x_{part}": np.zeros((4, 8, 8), np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **digits, **images)
    assert_one_line(cli("demo", "--mnist", tmp_path / "mnist.npz", "--out", out), "(4, 8, 8)", "28, 28")
    assert_one_line(cli("demo", "--mnist", tmp_path / "no.npz", "--out", out), "no.npz")
    assert not list(out.iterdir())


def test_demo_output_is_a_file(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")  # what is missing is said first
    (tmp_path / "taken").write_bytes(b"precious")
    assert_one_line(cli("demo", "--out", tmp_path / "taken"), "taken")
    assert (tmp_path / "taken").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["inspect"], ["inspect", "--no", "x"], ["run", "x", "--samples", "0"], ["--no"]],
)
def test_usage(words: list[str], cli: Cli) -> None:
    assert_one_line(cli(*words), "--help")


@pytest.mark.parametrize("option", ["--op", "--tensor", "--subgraph"])
def test_inspect_index(option: str, cli: Cli, classifier: Path) -> None:
    assert_one_line(cli("inspect", classifier, option, "99"), f"{option} 99", "numbered from 0")


def test_run_all_takes_one_sample(cli: Cli, classifier: Path) -> None:
    assert_one_line(cli("run", classifier, "--all", "--samples", "2"), "one sample")


def test_traceback_on_request(cli: Cli, tmp_path: Path) -> None:
    from quantcore.errors import ModelFormatError

    for words in (["--traceback", "inspect", "no"], ["inspect", "no", "--traceback"]):
        with pytest.raises(ModelFormatError):
            cli(*words)


def test_defects_are_one_line_too(cli: Cli, classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantcore.inspection.get_profile", lambda name: 1 / 0)
    result = cli("inspect", classifier)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "internal error: ZeroDivisionError" in result.err
