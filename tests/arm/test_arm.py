"""The vector versions for 64-bit ARM, cross-compiled and run in emulation: each against its definition."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
FLAGS = ["-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]  # setup.py, less -O3

# files in csrc/reference with the definitions of kernels that csrc/arm has versions of, and of what they call
DEFINITIONS = [
    "affine", "conv", "depthwise_conv", "elementwise", "fully_connected", "hybrid", "lookup", "min_max",
    "pool",
]  # fmt: skip


def missing_tool() -> str:
    """Return what is missing to run the tests, or ""."""
    for tool, package in ((COMPILER, "gcc-aarch64-linux-gnu"), (EMULATOR, "qemu-user")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian, Ubuntu: apt-get install {package})"
    check = [COMPILER, "-fsyntax-only", "-xc", "-"]
    if subprocess.run(check, input="#include <sys/auxv.h>", capture_output=True, text=True).returncode != 0:
        return "there is no C library for ARM (Debian, Ubuntu: apt-get install libc6-dev-arm64-cross)"
    return ""


def compile_harness(folder: Path) -> Path:
    """Compile the harness for ARM, with the files that it needs: the table of kernels names more.

    What is not linked has the address 0, which nothing calls.
    """

    def compile_one(source: Path) -> Path:
        made = folder / ("_".join(source.relative_to(ROOT).parts) + ".o")
        level = "-O1" if source.parent.name == "reference" else "-O2"
        folders = [f"-I{ROOT}/csrc/include", f"-I{ROOT}/csrc"]
        subprocess.run([COMPILER, *FLAGS, level, *folders, "-c", source, "-o", made], check=True)
        return made

    folders = (ROOT / "csrc", ROOT / "csrc/arm", HERE)
    sources = sorted(source for place in folders for source in place.glob("*.c"))
    sources += [ROOT / "csrc/reference" / f"{name}.c" for name in DEFINITIONS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    program = folder / "compare"
    link = [COMPILER, "-static", "-Wl,--unresolved-symbols=ignore-all", "-o", str(program)]
    subprocess.run([*link, *map(str, objects), "-lm"], check=True)
    return program


def versions(isa: str) -> set[str]:
    """Return the kernels that have a version for an instruction set."""
    rows = (ROOT / "csrc/arm/versions.def").read_text(encoding="utf-8")
    return set(re.findall(rf"^QC_VERSION\((\w+), {isa}\)", rows, flags=re.MULTILINE))


@pytest.mark.slow
def test_versions_equal_definitions(tmp_path: Path) -> None:
    """On a CPU with dot product and on one without; it finds out by itself."""
    reason = missing_tool()
    if reason:
        pytest.skip(reason)
    program = compile_harness(tmp_path)
    for cpu, sets, repetitions in (("max", ("neon", "dotprod"), 150), ("cortex-a53", ("neon",), 30)):
        command = [EMULATOR, "-cpu", cpu, str(program), str(repetitions)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{cpu}: {done.stdout}{done.stderr}"
        rows = [line.split() for line in done.stdout.splitlines()]
        compared = {(name, isa) for name, isa, _, _ in rows}
        assert compared == {(name, isa) for isa in sets for name in versions(isa)}, cpu
        for name, isa, times, changing in rows:
            assert int(times) >= repetitions, f"{name}, {isa}"
            assert float(changing) > 0.05, f"{name}, {isa}: most of what was compared is the same value"
