"""``quantcore quantize``: files, tables, the account, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.flatbuffer import save
from quantcore.quantizer.settings import MODES, STATIC
from tests.cli.conftest import Cli, assert_one_line
from tests.ops.harness import Op, graph_model, tensor
from tests.quantizer.networks import float_net, samples_for
from tests.quantizer.test_trained import network

WEIGHTS_ONLY = [mode for mode in MODES if mode not in STATIC]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Return the path of a small float model."""
    path = tmp_path / "float.tflite"
    save(float_net("TANH"), path)
    return path


@pytest.fixture
def odd_net(tmp_path: Path) -> Path:
    """Return the path of a float model with an operator that has no quantized form."""
    path = tmp_path / "odd.tflite"
    save(float_net("SIN"), path)
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Return a file of samples for both."""
    path = tmp_path / "x.npz"
    np.savez(path, x=samples_for(6))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where the model is to be written, in an empty folder."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "model.tflite"


def test_writes_what_the_library_makes(cli: Cli, net: Path, samples: Path, out: Path) -> None:
    result = cli("quantize", net, "-o", out, "--data", samples, "--samples", "4")
    assert (result.code, result.err) == (0, "")
    expected = qc.quantize_model(net, samples_for(6)[:4])
    assert out.read_bytes() == qc.flatbuffer.write_model(expected)
    assert [path.name for path in out.parent.iterdir()] == ["model.tflite"]
    for part in (
        "4 samples",
        "int8, int8 inputs and outputs",
        "1 x CONV_2D",
        f"{out.stat().st_size:,} bytes",
    ):
        assert part in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("mode", WEIGHTS_ONLY)
def test_modes_without_data(mode: str, cli: Cli, net: Path, out: Path) -> None:
    found = cli("quantize", net, "-o", out, "--mode", mode, "--json").json()
    assert found["calibration"] is None
    assert found["bytes"] == {"float": net.stat().st_size, "quantized": out.stat().st_size}
    assert found["ratio"] < 1


def test_options_reach_the_library(cli: Cli, net: Path, samples: Path, out: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"rules": [{"operators": ["TANH"], "precision": "float"}]}))
    words = ["--io", "uint8", "--per-tensor-dense", "--method", "moving_average:0.9", "--recipe", recipe]
    found = cli("quantize", net, "-o", out, "--data", samples, *words, "--ranges", "clean", "--json").json()
    expected = qc.quantize_model(
        net, samples_for(6), io="uint8", per_channel_dense=False, method="moving_average:0.9", recipe=recipe
    )
    assert out.read_bytes() == qc.flatbuffer.write_model(expected)
    assert [(row["index"], row["op"]) for row in found["kept_float"]] == [(1, "TANH")]
    assert found["operators"]["float32"] == {"TANH": 1}
    assert found["calibration"]["method"] == "moving_average:0.9"


def test_ranges_saved_and_taken(cli: Cli, net: Path, samples: Path, out: Path, tmp_path: Path) -> None:
    ranges, again = tmp_path / "ranges.json", out.with_name("again.tflite")
    assert cli("quantize", net, "-o", out, "--data", samples, "--save-ranges", ranges).code == 0
    assert cli("quantize", net, "-o", again, "--ranges", ranges).code == 0
    assert out.read_bytes() == again.read_bytes()


def test_explain(cli: Cli, net: Path, samples: Path, out: Path) -> None:
    result = cli("quantize", net, "-o", out, "--data", samples, "--explain")
    assert (result.code, result.err) == (0, "")
    assert "where each number came from" in result.out
    report = json.loads(Path(f"{out}.json").read_text())
    main = qc.load(out).subgraphs[0]
    quantized = [t for t, tensor in enumerate(main.tensors) if tensor.is_quantized]
    rows = {row["index"]: row for row in report["tensors"]}
    assert list(rows) == quantized
    assert report["compared_samples"] == 6
    ranges = qc.calibration.collect_ranges(qc.load(net), samples_for(6))
    for t, row in rows.items():
        q = main.tensors[t].quantization
        assert (row["scale"], row["zero_point"]) == (q.scale.tolist(), q.zero_point.tolist())
        assert row["rule"]
        assert row["sqnr_db"] > 15
        if row["role"] != "constant":
            found = ranges[row["float_tensor"]]
            assert (row["range_min"], row["range_max"], row["samples"]) == (found.rmin, found.rmax, 6)
    # The output of TANH has the range that its formula gives, whatever was seen.
    (tanh,) = [row for row in rows.values() if row["name"] == "tanh0"]
    assert (tanh["scale"], tanh["zero_point"]) == ([1 / 128], [0])
    assert "TANH" in tanh["rule"]


def test_weights_that_were_quantized_before(cli: Cli, net: Path, samples: Path, out: Path) -> None:
    hybrid = out.with_name("hybrid.tflite")
    assert cli("quantize", net, "-o", hybrid, "--mode", "dynamic").code == 0
    assert cli("quantize", hybrid, "-o", out, "--data", samples, "--explain").code == 0
    rows = json.loads(Path(f"{out}.json").read_text())["tensors"]
    assert all(row["rule"] for row in rows)
    assert "quantized in the float model already" in [row["rule"] for row in rows]


@pytest.mark.parametrize("mode", WEIGHTS_ONLY)
def test_explain_without_samples(mode: str, cli: Cli, net: Path, out: Path) -> None:
    report = out.with_name("report.json")
    assert cli("quantize", net, "-o", out, "--mode", mode, "--report", report).code == 0
    found = json.loads(report.read_text())
    assert found["compared_samples"] == 0
    weights = [row for row in found["tensors"] if row["dtype"] != "float32"]
    assert weights
    assert all(row["rule"] and row["role"] == "constant" and row["sqnr_db"] > 30 for row in weights)


def test_a_narrow_range_clips(cli: Cli, net: Path, samples: Path, out: Path, tmp_path: Path) -> None:
    ranges = qc.calibration.collect_ranges(qc.load(net), samples_for(6))
    path = tmp_path / "ranges.json"
    ranges.save(path)
    document = json.loads(path.read_text())
    (x,) = [row for row in document["tensors"] if row["name"] == "x"]
    x.update(rmin=-1.0, rmax=1.0)
    path.write_text(json.dumps(document))
    report = tmp_path / "report.json"
    words = ["--ranges", path, "--data", samples, "--report", report]
    assert cli("quantize", net, "-o", out, *words).code == 0
    (row,) = [row for row in json.loads(report.read_text())["tensors"] if row["role"] == "input"]
    beyond = np.abs(samples_for(6)) > 1 + 0.5 * 2 / 255
    assert row["clipped"] == pytest.approx(beyond.mean(), abs=0.003)


def test_images_of_a_data_set(cli: Cli, net: Path, out: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.zeros(5))
    found = cli("quantize", net, "-o", out, "--data", tmp_path / "set.npz", "--json").json()
    assert found["calibration"]["samples"] == 5
    assert any("0..1" in note for note in found["notes"])
    expected = qc.quantize_model(net, pixels.astype(np.float32) / np.float32(255))
    assert out.read_bytes() == qc.flatbuffer.write_model(expected)
    np.savez(tmp_path / "set.npz", photos=pixels, labels=np.zeros(5))
    assert_one_line(cli("quantize", net, "-o", out, "--data", tmp_path / "set.npz"), "photos", "--images")
    words = ["--data", tmp_path / "set.npz", "--images", "photos", "--samples", "2"]
    assert cli("quantize", net, "-o", out, *words, "--json").json()["calibration"]["samples"] == 2


def test_random_samples_warn(cli: Cli, net: Path, out: Path) -> None:
    result = cli("quantize", net, "-o", out, "--random-samples", "3")
    assert result.code == 0
    assert result.err.startswith("quantcore: warning: random samples")
    assert "note" in result.out


def test_operators_that_stay_float(cli: Cli, odd_net: Path, samples: Path, out: Path) -> None:
    result = cli("quantize", odd_net, "-o", out, "--data", samples)
    assert_one_line(result, "operator 1 (SIN, 'sin0')", "--allow-float")
    assert not list(out.parent.iterdir())
    result = cli("quantize", odd_net, "-o", out, "--data", samples, "--allow-float")
    assert result.code == 0
    assert "operators that stay float" in result.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ["representative dataset"]),
        (["--mode", "dynamic", "--data", "DATA"], ["leave it out"]),
        (["--data", "DATA", "--random-samples", "3"], ["--random-samples"]),
        (["--data", "DATA", "--io", "int16"], ["int16", "uint8"]),
        (["--data", "DATA", "--ranges", "no.json"], ["give one of them"]),
        (["--ranges", "no.json"], ["no.json", "clean, converter"]),
        (["--ranges", "no.json", "--save-ranges", "r.json"], ["--save-ranges"]),
        (["--data", "DATA", "--recipe", "no.json"], ["no.json", "No such file"]),
        (["--data", "DATA", "--method", "median"], ["median", "min_max"]),
        (["--data", "no.npz"], ["no.npz", "No such file"]),
        (["--data", "DATA", "--report", "no-folder/r.json"], ["no-folder"]),
        (["--data", "DATA", "--report", "DATA"], ["is an input"]),
        (["--data", "DATA", "--save-ranges", "OUT"], ["is written already"]),
        (["--ranges", "r.json", "--method", "mse"], ["--method has no effect"]),
        (["--mode", "dynamic", "--save-ranges", "r.json"], ["--save-ranges has no effect", "dynamic"]),
        (["--random-samples", "3", "--samples", "2"], ["--samples has no effect"]),
        (["--random-samples", "3", "--seed", "-1"], ["--seed"]),
        (["--data", "DATA", "--images", "photos"], ["no array 'photos'", "found: x"]),
        (["--data", "NAN"], ["sample 1", "NaN", "'x'"]),
        (["--data", "WRONG"], ["(1, 4, 4, 3)"]),
    ],
)
def test_nothing_is_written_when_something_is_wrong(
    words: list[str], says: list[str], cli: Cli, net: Path, samples: Path, out: Path, tmp_path: Path
) -> None:
    x = samples_for(3)
    np.savez(tmp_path / "wrong.npz", x=x[:, :3])
    x[1, 0, 0, 0] = np.nan
    np.savez(tmp_path / "nan.npz", x=x)
    files = {"DATA": samples, "NAN": tmp_path / "nan.npz", "WRONG": tmp_path / "wrong.npz", "OUT": out}
    out.write_bytes(b"what was there before")
    result = cli("quantize", net, "-o", out, *(files.get(word, word) for word in words))
    assert_one_line(result, *says)
    assert out.read_bytes() == b"what was there before"
    assert [path.name for path in out.parent.iterdir()] == ["model.tflite"]


def test_no_folder_to_write_to(cli: Cli, net: Path, samples: Path, tmp_path: Path) -> None:
    assert_one_line(cli("quantize", net, "-o", tmp_path / "no" / "x.tflite", "--data", samples), "no folder")


@pytest.mark.parametrize("link", [False, True])
def test_the_float_model_is_not_overwritten(
    link: bool, cli: Cli, net: Path, samples: Path, out: Path
) -> None:
    target = net
    if link:
        target = out
        target.symlink_to(net)
    before = net.read_bytes()
    assert_one_line(cli("quantize", net, "-o", target, "--data", samples), "is an input", "another name")
    assert net.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "says"), [("net.keras", "no Keras file"), ("net.h5", "no Keras file"), ("folder", "SavedModel")]
)
def test_what_is_not_of_keras(name: str, says: str, cli: Cli, out: Path, tmp_path: Path) -> None:
    if name == "folder":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"neither the one nor the other")
    assert_one_line(cli("quantize", tmp_path / name, "-o", out, "--mode", "dynamic"), name, says)


def test_images_of_a_model_with_two_inputs(cli: Cli, out: Path, tmp_path: Path) -> None:
    tensors = {name: tensor((1, 4), "float32") for name in "xyz"}
    save(graph_model(tensors, [Op("ADD", ("x", "y"), ("z",))], ["x", "y"], ["z"]), tmp_path / "add.tflite")
    np.savez(tmp_path / "xy.npz", x=np.ones((2, 4), np.float32), y=np.ones((2, 4), np.float32))
    words = ("quantize", tmp_path / "add.tflite", "-o", out, "--data", tmp_path / "xy.npz")
    assert_one_line(cli(*words, "--images", "x"), "--images", "has 2")
    assert cli(*words).code == 0


@pytest.fixture
def trained_net(tmp_path: Path) -> Path:
    """Return the path of a float model with fake quantization."""
    build, y = network()
    path = tmp_path / "trained.tflite"
    save(build.model(y), path)
    return path


def test_trained_ranges_need_no_data(cli: Cli, trained_net: Path, out: Path, tmp_path: Path) -> None:
    result = cli("quantize", trained_net, "-o", out)
    assert (result.code, result.err) == (0, "")
    assert out.read_bytes() == qc.flatbuffer.write_model(qc.quantize_model(trained_net))
    assert "trained ranges, in the model" in result.out
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 2, 4), np.float32))
    result = cli("quantize", trained_net, "-o", out, "--explain", "--json", "--data", tmp_path / "x.npz")
    rows = {row["role"]: row for row in json.loads(result.out)["tensors"]}
    assert (rows["input"]["rule"], rows["input"]["scale"]) == ("trained range", [float(np.float32(0.01))])
    assert rows["output"]["sqnr_db"] is not None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--random-samples", "2"], "has trained ranges, and a representative dataset would give it others"),
        (["--method", "mse"], "--method has no effect: the model has trained ranges"),
        (["--explain", "--random-samples", "2", "--equalize"], "--equalize has no effect: the model has"),
        (["--weight-bits", "4"], "weights have the bits that they were trained with"),
        (["--mode", "float16"], "which are for mode 'int8'"),
    ],
)
def test_what_trained_ranges_exclude(
    options: list[str], says: str, cli: Cli, trained_net: Path, out: Path
) -> None:
    result = cli("quantize", trained_net, "-o", out, *options)
    assert_one_line(result, says)
    assert not out.exists()


def test_weight_bits(cli: Cli, net: Path, samples: Path, out: Path) -> None:
    result = cli("quantize", net, "-o", out, "--data", samples, "--weight-bits", "4", "--json")
    assert json.loads(result.out)["weight_bits"] == 4
    assert out.read_bytes() == qc.flatbuffer.write_model(
        qc.quantize_model(net, samples_for(6), weight_bits=4)
    )
    assert "int4" in {t.dtype for t in qc.load(out).subgraphs[0].tensors}
    assert cli("quantize", net, "-o", out, "--data", samples, "--weight-bits", "3").code == 2
