"""Models that the converter writes once per session."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flatbuffer.converted import NAMES


@pytest.fixture(scope="session")
def converted_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models of `tests.flatbuffer.converted`."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow's converter")
    folder = tmp_path_factory.mktemp("converted")
    result = subprocess.run(
        [sys.executable, "-m", "tests.flatbuffer.converted", str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(params=NAMES)
def converted_path(request: pytest.FixtureRequest, converted_dir: Path) -> Path:
    """Return one converted model after the other."""
    return converted_dir / f"{request.param}.tflite"
