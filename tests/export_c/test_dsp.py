"""The DSP functions of quantcore/dsp.h: instructions on a Cortex-M, portable C elsewhere, the same bits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from quantcore.c_compiler import find_compiler
from quantcore.errors import TargetError
from quantcore.export_c.targets import find_target
from quantcore.export_c.targets.emulator import emulator_command
from quantcore.export_c.targets.harness import runtime_files
from quantcore.export_c.targets.toolchain import COMPILER, need_tools

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("dsp_forms.c")
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]


def test_portable_forms_have_no_undefined_behaviour(tmp_path: Path) -> None:
    flags = ["-std=c11", "-O1", *WARNINGS, "-fsanitize=undefined", "-fno-sanitize-recover"]
    program = find_compiler().program(
        [SOURCE], tmp_path / "forms", flags=flags, include=[ROOT / "csrc/include"]
    )
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["cortex-m3", "cortex-m4", "cortex-m55"])
def test_instructions_equal_portable_forms(name: str, tmp_path: Path) -> None:
    try:
        need_tools(running=True)
    except TargetError as error:
        pytest.skip(str(error))
    target = find_target(name)
    for file, contents in runtime_files(target, stack=4096).items():
        (tmp_path / file).write_text(str(contents))
    sources = ["startup.c", "semihosting.c", str(SOURCE)]
    flags = [*target.flags, "-std=c99", "-O2", *WARNINGS, "-DON_TARGET", "-I.", f"-I{ROOT}/csrc/include"]
    link = ["-nostartfiles", "-T", "memory.ld", "-o", "forms.elf"]
    subprocess.run([COMPILER, *flags, *sources, *link], cwd=tmp_path, check=True)
    command = emulator_command(target, "forms.elf")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "forms.elf"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert ("smlad" in listing) == (name != "cortex-m3"), "the instructions themselves are tested"
