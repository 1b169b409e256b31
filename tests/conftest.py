"""What all tests share: where the real models are, the demo, and who runs what."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from quantcore.cli import run_command_line
from quantcore.errors import OracleUnavailable
from quantcore.oracle import find_package

VARIABLE = "QUANTCORE_MODELS"

# Fixtures that take seconds to make
EXPENSIVE = ("demo_output", "converted_dir", "converted", "saved", "dist")
LONG = 10.0  # seconds; most of a first request to an oracle is the start of its process
MEMORY_PER_PROCESS = 2.5 * 2**30  # of the tests, with the oracles' processes, which import TensorFlow

# No test fails for being slow: how long an example takes depends on what else the machine does.
settings.register_profile("quantcore", deadline=None)
settings.load_profile("quantcore")


def model_paths() -> list[Path]:
    """Return the ``.tflite`` files in the folder that ``QUANTCORE_MODELS`` names, or none."""
    folder = os.environ.get(VARIABLE)
    return sorted(Path(folder).glob("*.tflite")) if folder else []


def pytest_configure() -> None:
    """Say at once that a new module is not compiled, of which an import would say that it does not exist."""
    package = Path(__file__).resolve().parents[1] / "quantcore"
    for source in package.rglob("*.pyx"):
        module = ".".join(source.relative_to(package.parent).with_suffix("").parts)
        if find_spec(module) is None:
            pytest.exit(f"{source} is not compiled: run make ext", returncode=1)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: one per core, as far as the memory goes."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), int(memory // MEMORY_PER_PROCESS)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that take an expensive fixture as slow."""
    for item in items:
        if not {*EXPENSIVE}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make(folder)`` filled, in the first process of `pytest -n` that asked for it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which all of them share
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = factory.mktemp(name)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List tests that took long and are not marked as slow."""
    passed = [r for r in terminalreporter.getreports("passed") if r.when == "call" and r.duration > LONG]
    if long := sorted((r.duration, r.nodeid) for r in passed if "slow" not in r.keywords):
        terminalreporter.section("took long without the marker slow")
        for duration, nodeid in long:
            terminalreporter.line(f"{duration:.0f} s  {nodeid}")


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

    def train(folder: Path) -> None:
        assert run_command_line(["demo", "--out", str(folder / "output"), "--epochs", "3"]) == 0

    return made_once(tmp_path_factory, "demo", train) / "output"
