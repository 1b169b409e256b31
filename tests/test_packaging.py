"""The package as people get it: imports, the distribution, the make targets of a fresh clone."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import quantcore

ROOT = Path(__file__).resolve().parents[1]


def python(code: str, **environment: str) -> str:
    """Run code in a new interpreter, away from the checkout, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


# Names ------------------------------------------------------------------------------------------------


def test_import_is_light() -> None:
    loaded = python("import sys, quantcore; print(*sys.modules)").split()
    assert "quantcore.errors" in loaded
    assert not {"numpy", "tensorflow", "sklearn", "click", "rich"} & set(loaded)


def test_working_does_not_import_tensorflow_or_sklearn() -> None:
    code = "import sys, quantcore; [getattr(quantcore, n) for n in quantcore.__all__]; print(*sys.modules)"
    assert not {"tensorflow", "keras", "sklearn", "ai_edge_litert"} & set(python(code).split())


@pytest.mark.parametrize("name", quantcore.__all__)
def test_public_names(name: str) -> None:
    assert getattr(quantcore, name) is not None
    assert name in dir(quantcore)


def test_function_wins_over_module_of_the_same_name() -> None:
    importlib.import_module("quantcore.verify")
    assert callable(quantcore.verify)
    code = "import quantcore.verify; import quantcore; print(callable(quantcore.verify))"
    assert python(code) == "True"


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        quantcore.nonsense  # noqa: B018 (the access is the test)


def test_version() -> None:
    assert importlib.metadata.version("quantcore-tflite") == quantcore.__version__


# Documents ----------------------------------------------------------------------------------------------


def test_no_document_installs_somebody_elses_package() -> None:
    """On the public index the plain name belongs to another project."""
    found = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("quantcore/**/*.py")]
    for path in [ROOT / "README.md", ROOT / "Makefile", *found]:
        assert not re.search(r"pip3? install\s+(-\S+\s+)*quantcore\b", path.read_text()), path


# The distribution ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution and, from it, the wheel.

    What `make ext` has made of the same sources in the same way is taken over: Cython's output, which is
    newer than they are, and objects, which `setup.py` knows by their digests. The rest is compiled anew.
    """
    source = tmp_path_factory.mktemp("source") / "quantcore"
    left_out = (".venv", ".git", "build", "*.so", "__pycache__", "demo-output", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*left_out))
    out = tmp_path_factory.mktemp("dist")
    build(source, out, "--sdist")
    (archive,) = out.glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as files:
        files.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    for objects in (ROOT / "build").glob("temp*"):
        shutil.copytree(objects, folder / "build" / objects.name)
    for cython in (ROOT / "quantcore").rglob("*.pyx"):
        shutil.copy2(cython.with_suffix(".c"), folder / cython.relative_to(ROOT).with_suffix(".c"))
    build(folder, out, "--wheel")
    return out


def build(source: Path, out: Path, kind: str) -> None:
    """Build a distribution."""
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_source_distribution(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"setup.py", "pyproject.toml", "LICENSE", "Makefile", "README.md"} <= names
    assert {"csrc/kernels.def", "csrc/include/quantcore/plan.h", "quantcore/kernels/_core.pyx"} <= names
    cython = {str(path.relative_to(ROOT)) for path in (ROOT / "quantcore").rglob("*.p[yx][xd]")}
    assert cython <= names
    assert not [name for name in names if re.match(r"quantcore/(?!export_c/targets/c/).*\.(c|so)$", name)]


@pytest.mark.slow
def test_wheel_works_elsewhere(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    assert {"kernels.def", "kernels.h", "include/quantcore/conv.h", "reference/conv.c"} <= {
        name.removeprefix("quantcore/csrc/") for name in names
    }
    assert {"quantcore/export_c/targets/c/main.c", "quantcore/export_c/targets/c/memory.ld"} <= names
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, str(wheel)], check=True)
    code = (
        "import numpy, quantcore, quantcore.runtime, quantcore.inspection\n"
        "from quantcore.ops.registry import load_operators\n"
        "assert 'CONV_2D' in load_operators()\n"
        "from quantcore.c_interface import source_folder\n"
        "assert source_folder().parent.name == 'quantcore'\n"
        "print(quantcore.__file__)"
    )
    assert Path(python(code, PYTHONPATH=str(tmp_path))).parent == tmp_path / "quantcore"
    assert (tmp_path / "bin" / "quantcore").exists()


# build ------------------------------------------------------------------------------------------------


def test_the_build_sees_every_include(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not see can change without the file being compiled anew."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    files_named_in = importlib.import_module("setup").files_named_in
    for path in Path("csrc").rglob("*.[chid]*"):
        included = re.findall(r'#include "(.*)"', path.read_text(encoding="utf-8"))
        seen = {file.name for file in files_named_in(path, set())}
        assert {Path(name).name for name in included} <= seen, path


# make ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the files that make looks at first."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make."""
    return subprocess.run(["make", *arguments], cwd=clone, capture_output=True, text=True)


def stand_in(folder: Path, fails_on: str) -> Path:
    """Return a Python that fails whenever its arguments contain some text."""
    path = folder / "stand-in"
    path.write_text(f'#!/bin/sh\ncase "$*" in *{fails_on}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def test_make_help(clone: Path) -> None:
    done = make(clone)
    assert done.returncode == 0
    for target in ("demo", "test", "lint", "bench", "clean"):
        assert f"make {target}" in done.stdout


@pytest.mark.parametrize(
    ("fails_on", "says"),
    [
        ("version_info", "make PYTHON=python3.12"),
        ("ensurepip", "python3-venv"),
        ("Python.h", "python3-dev"),
    ],
)
def test_make_says_what_is_missing(fails_on: str, says: str, clone: Path) -> None:
    done = make(clone, "test", f"PYTHON={stand_in(clone, fails_on)}")
    assert done.returncode != 0
    first = done.stderr.splitlines()[0]
    assert first.startswith("make: ")
    assert says in first
    assert not (clone / ".venv").exists()


def test_make_without_python_or_compiler(clone: Path) -> None:
    done = make(clone, "demo", "PYTHON=no-such-python")
    assert "no-such-python cannot be run" in done.stderr
    done = make(clone, "demo", f"PYTHON={sys.executable}", "CC=no-such-compiler")
    assert "no C compiler (no-such-compiler)" in done.stderr
    assert not (clone / ".venv").exists()


def test_make_clean_keeps_sources(clone: Path) -> None:
    (clone / "quantcore").mkdir()
    for name in ("kernel.pyx", "kernel.c", "kernel.so", "module.py"):
        (clone / "quantcore" / name).touch()
    for name in ("build", "demo-output", "csrc", "tests", "benchmarks"):
        (clone / name).mkdir()
    (clone / "csrc" / "kernel.c").touch()
    assert make(clone, "clean").returncode == 0
    assert {path.name for path in (clone / "quantcore").iterdir()} == {"kernel.pyx", "module.py"}
    assert (clone / "csrc" / "kernel.c").exists()
    assert not (clone / "build").exists()
