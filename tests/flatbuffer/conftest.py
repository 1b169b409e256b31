"""Models that the converter writes once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import made_once
from tests.flatbuffer.converted import NAMES
from tests.process import run_with_tensorflow


@pytest.fixture(scope="session")
def converted_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models of `tests.flatbuffer.converted`."""
    return made_once(
        tmp_path_factory,
        "converted_models",
        lambda folder: run_with_tensorflow("-m", "tests.flatbuffer.converted", folder),
    )


@pytest.fixture(params=NAMES)
def converted_path(request: pytest.FixtureRequest, converted_dir: Path) -> Path:
    """Return one converted model after the other."""
    return converted_dir / f"{request.param}.tflite"
