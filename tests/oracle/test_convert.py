"""The converter, driven through the worker, in every mode."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from quantcore.errors import OracleError, OracleRefused
from quantcore.flatbuffer import read_model, write_model
from quantcore.oracle import Oracle, convert
from quantcore.oracle.conversion import MODES
from quantcore.quantizer import source
from quantcore.quantizer.quantize import quantize_model
from tests.ops.harness import get_oracle
from tests.process import run_with_tensorflow

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

MAKE_MODEL = """
import sys, keras
from keras.layers import Conv2D, Dense, Flatten, Input
keras.utils.set_random_seed(0)
model = keras.Sequential([Input((8, 8, 1)), Conv2D(4, 3), Flatten(), Dense(40)])
model.save(sys.argv[1] + "/model.keras")
model.export(sys.argv[1] + "/saved")
"""

# mode: dtype of input and output, dtype of the stored filter
EXPECTED = {
    "float": ("float32", "float32"),
    "dynamic_range": ("float32", "int8"),
    "float_fallback": ("float32", "int8"),
    "int8": ("int8", "int8"),
    "uint8": ("uint8", "int8"),
    "float16": ("float32", "float16"),
    "int16x8": ("int16", "int8"),
    "int16x8_float_io": ("float32", "int8"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one Keras model, saved in both formats."""
    folder = tmp_path_factory.mktemp("models")
    run_with_tensorflow("-c", MAKE_MODEL, folder)
    return folder


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return get_oracle()


DATA = np.random.default_rng(0).random((20, 8, 8, 1), dtype=np.float32)


def test_every_mode_is_expected() -> None:
    trained = {mode for mode in MODES if mode.endswith("_trained")}  # tests/quantizer/test_trained_oracle.py
    assert MODES.keys() == EXPECTED.keys() | trained


@pytest.mark.parametrize("mode", EXPECTED)
def test_modes(mode: str, saved: Path, oracle: Oracle) -> None:
    data = oracle.convert(saved / "model.keras", mode, DATA)
    main = read_model(data).subgraphs[0]
    io_type, weight_type = EXPECTED[mode]
    assert [main.tensors[t].dtype for t in (*main.inputs, *main.outputs)] == [io_type] * 2
    weights = max((t for t in main.tensors if t.data is not None), key=lambda t: np.asarray(t.data).size)
    assert weights.dtype == weight_type
    (y,) = oracle.run(data, DATA[:1].astype(io_type))
    assert y.shape == (1, 40)


def test_saved_model_folder_in_a_process_of_its_own(
    saved: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is one of the session here, since starting TensorFlow takes seconds."""
    packages = []

    def lend(*, package: str) -> nullcontext[Oracle]:
        packages.append(package)
        return nullcontext(oracle)

    monkeypatch.setattr("quantcore.oracle.client.Oracle", lend)
    from_folder = convert(saved / "saved", "float")
    assert packages == ["tensorflow"]
    from_file = oracle.convert(saved / "model.keras", "float")
    results = [oracle.run(data, DATA[:1])[0] for data in (from_folder, from_file)]
    assert np.array_equal(*results)


def test_representative_data_decides_the_range(saved: Path, oracle: Oracle) -> None:
    scales = []
    for factor in (1, 10):
        data = oracle.convert(saved / "model.keras", "int8", DATA * np.float32(factor))
        main = read_model(data).subgraphs[0]
        quantization = main.tensors[main.inputs[0]].quantization
        assert quantization is not None
        scales.append(float(quantization.scale[0]))
    assert scales[1] == pytest.approx(10 * scales[0])


def test_what_cannot_be_converted(saved: Path, oracle: Oracle, tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(OracleRefused, match="converting"):
        oracle.convert(broken, "float")
    with pytest.raises(OracleRefused):
        oracle.convert(saved / "model.keras", "int8", DATA[:, :4])
    with pytest.raises(OracleError, match="no such file"):
        oracle.convert(tmp_path / "none.keras", "float")
    with pytest.raises(OracleError, match="known: float, dynamic_range"):
        oracle.convert(saved / "model.keras", "int4")
    with pytest.raises(OracleError, match="calibrates on data"):
        oracle.convert(saved / "model.keras", "int8")
    assert oracle.convert(saved / "model.keras", "float")


class KerasModel:
    """What `quantize_model` uses of a Keras model, without an import of Keras."""

    name = "net"

    def __init__(self, file: Path) -> None:
        self.file = file

    def save(self, path: Path) -> None:
        shutil.copy(self.file, path)


def test_quantize_model_takes_what_keras_saves(
    saved: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "convert", oracle.convert)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(Model=KerasModel))
    from_file, from_object, from_folder = (
        quantize_model(what, DATA)
        for what in (saved / "model.keras", KerasModel(saved / "model.keras"), str(saved / "saved"))
    )
    assert write_model(from_file) == write_model(from_object)
    for model in (from_file, from_folder):
        main = model.subgraphs[0]
        assert {main.tensors[t].dtype for t in (*main.inputs, *main.outputs)} == {"int8"}
