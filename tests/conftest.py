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

# Fixtures that take seconds to make, each of which one process of `pytest -n` makes, and once
EXPENSIVE = ("demo_output", "converted_dir", "converted", "saved", "dist")
MEMORY_PER_PROCESS = 2.5 * 2**30  # of the tests, with the oracles' processes, which import TensorFlow

# No test fails for being slow: how long an example takes depends on what else the machine does.
settings.register_profile("quantcore", deadline=None)
settings.load_profile("quantcore")


def model_paths() -> list[Path]:
    """Return the ``.tflite`` files in the folder that ``QUANTCORE_MODELS`` names, or none."""
    folder = os.environ.get(VARIABLE)
    return sorted(Path(folder).glob("*.tflite")) if folder else []


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: one per core, as far as the memory goes."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), int(memory // MEMORY_PER_PROCESS)))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share an expensive fixture in one process."""
    for item in items:
        for name in EXPENSIVE:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


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
