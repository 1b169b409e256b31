"""Exported models: they compile without a warning, and their outputs are those of the interpreter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import QuantcoreError
from quantcore.export_c import export_c
from quantcore.graph import Model
from tests.ops.examples import example

STRICT = "-Wall -Wextra -Wconversion -std=c99 -ffreestanding -Werror"
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]

pytestmark = pytest.mark.skipif(
    not COMPILERS or shutil.which("make") is None, reason="needs make and gcc or clang"
)


def run_test(folder: Path, compiler: str = COMPILERS[0] if COMPILERS else "", flags: str = "-O1") -> str:
    """Build the test of an exported folder, run it, and return what it prints."""
    shutil.rmtree(folder / "build", ignore_errors=True)
    command = ["make", "-s", "test", f"CC={compiler}", f"CFLAGS={flags} {STRICT}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def small_model() -> Model:
    return example("FULLY_CONNECTED", "int8")


def test_folder(tmp_path: Path) -> None:
    made = export_c(small_model(), tmp_path / "out", samples=3)
    assert "all outputs of 3 samples are equal" in run_test(tmp_path / "out")
    header = (tmp_path / "out" / "model.h").read_text()
    assert f"#define MODEL_ARENA_SIZE {made.arena_bytes}\n" in header
    assert "int model_invoke(const int8_t *input, int8_t *output);" in header
    report = json.loads((tmp_path / "out" / "export.json").read_text())
    assert report["operators"][0]["kernel"] == "qc_fully_connected_s8_ref"
    assert report["numerics"] == "tflm"
    sources = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.[ch]"))
    assert "math.h" not in sources
    assert "malloc" not in sources


def test_a_wrong_bit_is_found(tmp_path: Path) -> None:
    export_c(small_model(), tmp_path / "out")
    path = tmp_path / "out" / "model_data.c"
    path.write_text(
        re.sub(r"\{\n    (-?\d+)", lambda found: "{\n    " + str(-int(found[1])), path.read_text())
    )
    done = subprocess.run(["make", "-s", "test"], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(r"sample 0, output 0: byte \d+ is 0x.., expected 0x..", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
def test_all_optimizations(compiler: str, tmp_path: Path) -> None:
    model = example("SOFTMAX", "int8")
    export_c(model, tmp_path / "out", symbol_prefix="kws", arena_section=".bss.arena")
    for level in ("-O0", "-Os", "-O3"):
        assert run_test(tmp_path / "out", compiler, level).startswith("kws: all outputs")


@pytest.mark.parametrize("numerics", ["tflm", "reference", "optimized", "xnnpack"])
def test_profiles(numerics: str, tmp_path: Path) -> None:
    export_c(example("CONV_2D", "int8"), tmp_path / "out", numerics=numerics)
    run_test(tmp_path / "out")
    config = (tmp_path / "out" / "include" / "quantcore" / "config.h").read_text()
    assert f"#define QC_WITH_FLOAT_RULES {int(numerics == 'xnnpack')}\n" in config


def test_state(tmp_path: Path) -> None:
    """SVDF keeps its last steps; samples are recorded one after the other."""
    made = export_c(example("SVDF", "int8"), tmp_path / "out")
    assert made.plan.state
    run_test(tmp_path / "out")


@pytest.mark.slow
def test_models(model_path: Path, tmp_path: Path) -> None:
    """The smaller models of the folder, by one compiler."""
    if model_path.stat().st_size > 400_000 or "dtln" in model_path.name:
        pytest.skip("takes long; `make -C` of an export of it has been run by hand")
    try:
        export_c(model_path, tmp_path / "out", samples=2)
    except qc.UnsupportedOperatorError:
        export_c(model_path, tmp_path / "out", samples=2, numerics="reference")
    run_test(tmp_path / "out", flags="-Os")


def needs(tool: str) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    return tool


def test_no_floats_on_the_target(tmp_path: Path) -> None:
    """A quantized model, linked for a core without floating point, needs no function for floats."""
    compiler = needs("arm-none-eabi-gcc")
    export_c(example("DEPTHWISE_CONV_2D", "int8"), tmp_path / "out")
    folder = tmp_path / "out"
    sources = ["model.c", "model_data.c", *(str(path) for path in (folder / "src").glob("*.c"))]
    flags = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "-Os", "-ffunction-sections", *STRICT.split()]
    link = ["-nostdlib", "-r", "-Wl,--gc-sections", "-Wl,-u,model_invoke", "-o", "model.o"]
    subprocess.run([compiler, *flags, "-I.", "-Iinclude", *sources, *link], cwd=folder, check=True)
    names = subprocess.run(
        ["arm-none-eabi-nm", "-u", "model.o"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()
    # Of the compiler's own library there are divisions and shifts of 64 bits.
    assert not [name for name in names if re.search(r"aeabi_[fd](?!\w*2?lz)", name) or "round" in name], names
    assert {name for name in names if not name.startswith(("U", "__aeabi_"))} <= {
        "memcpy",
        "memset",
        "memcmp",
    }


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(QuantcoreError, match="prefix '2x' is no free name of C"):
        export_c(small_model(), tmp_path / "out", symbol_prefix="2x")
    with pytest.raises(QuantcoreError, match="no name of a section"):
        export_c(small_model(), tmp_path / "out", arena_section='a"b')
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export_c(small_model(), tmp_path / "missing" / "out")
    with pytest.raises(qc.UnsupportedOperatorError, match=r"operator 0 \(.*profile 'tflm'"):
        export_c(example("CONV_2D", "uint8"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_other_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(QuantcoreError, match="is a folder with other files in it"):
        export_c(small_model(), out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    export_c(small_model(), out, force=True)
    assert not (out / "mine.txt").exists()
    (out / "model.h").unlink()
    export_c(small_model(), out)  # an earlier export is replaced
    assert (out / "model.h").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_given_samples(tmp_path: Path) -> None:
    model = small_model()
    shape = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape
    inputs = np.zeros((4, *shape), np.int8)
    assert len(export_c(model, tmp_path / "out", inputs=inputs).vectors) == 4
