"""What all tests share: where the real models are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from quantcore.cli import run
from quantcore.errors import OracleUnavailable
from quantcore.oracle import find_package

VARIABLE = "QUANTCORE_MODELS"

# No test fails for being slow: how long an example takes depends on what else the machine does.
settings.register_profile("quantcore", deadline=None)
settings.load_profile("quantcore")


def model_paths() -> list[Path]:
    """Return the ``.tflite`` files in the folder that ``QUANTCORE_MODELS`` names, or none."""
    folder = os.environ.get(VARIABLE)
    return sorted(Path(folder).glob("*.tflite")) if folder else []


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Return the folder of real models; skip the test where there is none."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} does not name a folder of .tflite models")
    return Path(folder)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `model_path` once per real model."""
    if "model_path" not in metafunc.fixturenames:
        return
    paths = model_paths()
    skip = pytest.mark.skip(reason=f"{VARIABLE} does not name a folder of .tflite models")
    metafunc.parametrize(
        "model_path",
        paths or [pytest.param(Path(), marks=skip)],
        ids=[path.stem for path in paths] or ["no-models"],
    )


@pytest.fixture(scope="session")
def demo_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what ``quantcore demo`` wrote after a short training."""
    try:
        find_package("tensorflow")
    except OracleUnavailable as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("demo") / "output"
    assert run(["demo", "--out", str(out), "--epochs", "3"]) == 0
    return out
