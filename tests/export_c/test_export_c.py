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
from quantcore.c_interface import kernel_interface
from quantcore.errors import QuantcoreError
from quantcore.export_c import export_c
from quantcore.export_c.code import write_code
from quantcore.export_c.export import config, record
from quantcore.export_c.plan import make_plan
from quantcore.export_c.sources import used_sources
from quantcore.export_c.vectors import write_test
from quantcore.graph import Model
from quantcore.numerics import PROFILES
from quantcore.ops.registry import load_operators
from quantcore.runtime.definitions import lower_to_definitions
from tests.ops.examples import example, forms, inputs_of

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


@pytest.mark.slow
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


def test_math_is_included_where_it_is_used(tmp_path: Path) -> None:
    """QUANTIZE rounds with roundf; the header that it gets math.h from has no use for that itself."""
    export_c(example("QUANTIZE", "float32_to_int8"), tmp_path / "out")
    run_test(tmp_path / "out")


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
        pytest.skip(
            "takes minutes; exports of the large models are compared by hand, in tflm and in reference"
        )
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


KERNEL = """
#include "quantcore/fully_connected.h"
#include "units.h"

qc_status my_fc(const qc_fully_connected_params *p, const int8_t *x, const int8_t *w, const int32_t *b,
                int8_t *y, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < p->batches; ++i) {
        for (int32_t u = 0; u < p->units; ++u) {
            int32_t acc = b ? b[u] : 0;
            for (int32_t d = 0; d < p->depth; ++d)
                acc += (x[i * p->depth + d] + p->input_offset) * w[u * p->depth + d];
            y[i * p->units + u] = (int8_t)(ONE * qc_requantize(&p->requant, acc, u));
        }
    }
    return QC_OK;
}
"""


def test_kernel_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "my_fc.c").write_text(KERNEL)
    (tmp_path / "units.h").write_text("#define ONE 1\n")
    kernel = qc.CKernel.from_source(tmp_path / "my_fc.c", "my_fc")
    made = export_c(small_model(), tmp_path / "out", kernels={"FULLY_CONNECTED": kernel})
    assert made.plan.steps[0].function == "my_fc"
    assert (tmp_path / "out" / "src" / "kernel_0" / "my_fc.c").exists()
    assert not (tmp_path / "out" / "src" / "fully_connected.c").exists()
    run_test(tmp_path / "out")
    with pytest.raises(qc.UnsupportedOperatorError, match="without C source"):
        export_c(small_model(), tmp_path / "other", kernels={0: lambda op, inputs, outputs: None})


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


# All operators ----------------------------------------------------------------------------------------

TOGETHER = """
#include <stdio.h>
#define main {prefix}_main
int {prefix}_main(void);
#include "{prefix}_test.c"
#include "{prefix}.c"
#include "{prefix}_data.c"
"""


def exported(folder: Path, op: str, form: str, profiles: list[str], prefix: str) -> set[str]:
    """Write the code of an operator's example, by the first profile that runs it; return the kernels."""
    model = example(op, form)
    drawn = [[values[sample] for values in inputs_of(op, model)] for sample in range(2)]
    for numerics in profiles:
        try:
            plan = make_plan(lower_to_definitions(model, numerics, 0), prefix)
        except qc.UnsupportedOperatorError:
            continue
        samples = record(model, numerics, 0, drawn, None)
        title = f"{op} {form} {numerics}"
        files = write_code(plan, prefix, title, None) | write_test(plan, prefix, samples, numerics)
        for name, text in files.items():
            (folder / name).write_text(text)
        return {step.call.name for step in plan.steps}
    raise AssertionError(f"no profile runs {op} {form}")


@pytest.mark.slow
def test_every_operator(tmp_path: Path) -> None:
    """Forms of every operator, by one profile or another, in a program of many models."""
    forms_of = [(op, form) for op, definition in load_operators().items() for form in forms(definition)]
    # The first of each operator, and every fourth of the others.
    firsts = dict(reversed(forms_of))
    chosen = [(op, form) for i, (op, form) in enumerate(forms_of) if firsts[op] == form or i % 4 == 0]
    kernels: set[str] = set()
    names = [f"m{i}" for i in range(len(chosen))]
    profiles = list(PROFILES)
    for i, (op, form) in enumerate(chosen):
        turned = profiles[i % len(profiles) :] + profiles[: i % len(profiles)]
        kernels |= exported(tmp_path, op, form, turned, names[i])
    headers = {kernel_interface(kernel).header for kernel in kernels}
    macros = ("QC_WITH_FLOAT_RULES 1",)
    sources = used_sources(kernels, headers, (), macros) | {"include/quantcore/config.h": config(macros)}
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    calls = "".join(f"    bad += {name}_main();\n" for name in names)
    declared = "".join(f"int {name}_main(void);\n" for name in names)
    (tmp_path / "main.c").write_text(
        f"{declared}int main(void) {{\n    int bad = 0;\n{calls}    return bad;\n}}\n"
    )
    for name in names:
        (tmp_path / f"one_{name}.c").write_text(TOGETHER.format(prefix=name))
    compiled = [name for name in sources if name.endswith(".c")] + [
        "main.c",
        *(f"one_{name}.c" for name in names),
    ]
    flags = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-O0",
        "-ffp-contract=off",
        "-I.",
        "-Iinclude",
    ]
    command = [COMPILERS[0], *flags, *compiled, "-o", "all", "-lm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    run = subprocess.run([str(tmp_path / "all")], capture_output=True, text=True)
    wrong = [line for line in run.stdout.splitlines() if not line.endswith("bit for bit")]
    assert not wrong, wrong
    assert run.returncode == 0
    assert len(run.stdout.splitlines()) == len(names)
