"""The programs that build and run for a target: make, GNU's compiler for Arm, and QEMU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from quantcore.c_compiler import first_errors
from quantcore.errors import TargetError

__all__ = ["ProgramSize", "build", "need_tools", "read_sizes", "tool_versions"]

# A program, and the package of Debian and Ubuntu that has it
COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
BUILDING = {"make": "make", COMPILER: "gcc-arm-none-eabi", "arm-none-eabi-size": "binutils-arm-none-eabi"}
RUNNING = {EMULATOR: "qemu-system-arm"}
LIBRARY = "libnewlib-arm-none-eabi"
BUILD_SECONDS = 600.0

OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes")
VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")


def need_tools(*, running: bool) -> None:
    """Check that what is needed is installed.

    Raises
    ------
    TargetError
        Something is missing; the message names the packages of Debian.
    """
    wanted = BUILDING | (RUNNING if running else {})
    missing = {tool: package for tool, package in wanted.items() if shutil.which(tool) is None}
    packages = list(missing.values())
    if COMPILER not in missing and not _has_library():
        missing["the C library for Arm (newlib)"] = LIBRARY
        packages.append(LIBRARY)
    elif COMPILER in missing:
        packages.append(LIBRARY)
    if missing:
        names = list(missing)
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        raise TargetError(
            f"{listed} {'is' if len(names) == 1 else 'are'} not installed "
            f"(Debian, Ubuntu: apt-get install {' '.join(dict.fromkeys(packages))})"
        )


def _has_library() -> bool:
    command = [COMPILER, "-mcpu=cortex-m4", "-mthumb", "-fsyntax-only", "-xc", "-"]
    done = subprocess.run(command, input="#include <string.h>", capture_output=True, text=True, check=False)
    return done.returncode == 0


def tool_versions(*, running: bool) -> dict[str, str]:
    """Return the versions of the compiler and of QEMU."""
    found = {}
    for tool in (COMPILER, EMULATOR)[: 1 + running]:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        first = done.stdout.splitlines()[:1]
        numbers = VERSION.findall(re.sub(r"\(.*?\)", "", first[0])) if first else []
        found[tool] = numbers[0] if numbers else "unknown"
    return found


def build(folder: Path) -> Path:
    """Run make in a folder that `write_harness` wrote, and return the program.

    Raises
    ------
    TargetError
        A file does not compile, or the program does not fit; with the compiler's first messages.
    """
    jobs = len(os.sched_getaffinity(0))
    try:
        done = subprocess.run(
            ["make", f"-j{jobs}"], cwd=folder, capture_output=True, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C", "MAKEFLAGS": ""}, timeout=BUILD_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TargetError(f"make did not finish within {BUILD_SECONDS:g} s in {folder}") from None
    program = folder / "model.elf"
    if done.returncode != 0 or not program.exists():
        output = done.stdout + done.stderr
        if over := OVERFLOW.findall(output):
            what = " and ".join(f"{region} by {int(size):,} bytes" for region, size in dict(over).items())
            raise TargetError(
                f"the program does not fit: it is larger than {what}; --flash and --ram are what there is, "
                "--stack is a part of RAM"
            )
        raise TargetError(f"{COMPILER} cannot build the program in {folder}:\n{first_errors(output)}")
    return program


@dataclass(frozen=True, slots=True)
class ProgramSize:
    """Bytes of a linked program, without the harness that tests it.

    Attributes
    ----------
    text, rodata, data, bss : int
        Code; constants; variables with a value, which flash holds too; other variables, among them the arena.
    harness : int
        Flash that the harness takes beside.
    """

    text: int
    rodata: int
    data: int
    bss: int
    harness: int

    @property
    def flash(self) -> int:
        """What the model takes of flash."""
        return self.text + self.rodata + self.data

    @property
    def ram(self) -> int:
        """What the model takes of RAM, without the stack."""
        return self.data + self.bss


def read_sizes(program: Path) -> ProgramSize:
    """Return what `size` says of a program's sections."""
    command = ["arm-none-eabi-size", "-A", str(program)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in output.splitlines()]
    sizes = {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}
    known = {".text", ".data", ".bss", ".vectors", ".harness_text", ".harness_bss", ".stack"}
    ignored = (".debug", ".ARM.attributes", ".comment")
    constants = sum(n for name, n in sizes.items() if name not in known and not name.startswith(ignored))
    harness = sizes.get(".vectors", 0) + sizes.get(".harness_text", 0)
    return ProgramSize(sizes.get(".text", 0), constants, sizes.get(".data", 0), sizes.get(".bss", 0), harness)
