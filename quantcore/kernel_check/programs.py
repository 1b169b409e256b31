"""The programs in which a kernel is checked: the runner, linked with the kernel, built in several ways."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from quantcore.c_compiler import Compiler
from quantcore.c_interface import KernelInterface, kernel_interface, source_folder
from quantcore.custom_kernels import CKernel
from quantcore.custom_kernels.build import FLAGS
from quantcore.errors import KernelError

__all__ = ["BUILDS", "Build", "Program", "build_programs", "build_reference", "what_was_said"]

# A file of definitions has others, which call what is not among the sources of this one.
SECTIONS = ("-ffunction-sections", "-Wl,--gc-sections")
RUNNER_FLAGS = ("-std=gnu11", "-O1", "-g")

# The kernel's own file comes first, so that it is compiled as it will be where it is used.
GLUE = """\
{include}
#include "{header}"

#include <stdint.h>

int quantcore_check_call(const void *params, void *const *tensors, void *scratch);
int quantcore_check_call(const void *params, void *const *tensors, void *scratch) {{
    __typeof__(qc_{kernel}_ref) *const kernel = {symbol};
    void *const *t = tensors;
    return (int)kernel(params, {arguments}, scratch);
}}

int64_t quantcore_check_scratch(const void *params);
int64_t quantcore_check_scratch(const void *params) {{
    (void)params;
    return {scratch};
}}
"""


@dataclass(frozen=True, slots=True)
class Build:
    """A way to compile the kernel.

    Attributes
    ----------
    name : str
    flags : tuple of str
        Behind the user's own.
    finds : str
        What it is for, in words.
    """

    name: str
    flags: tuple[str, ...]
    finds: str


BUILDS = (
    Build("plain", (), "wrong results; memory outside of arrays, by guard pages"),
    Build("locals", ("-O1", "-ftrivial-auto-var-init=pattern"), "local variables without a value"),
    Build(
        "sanitizers",
        ("-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        "memory errors and undefined behaviour, by the compiler's sanitizers",
    ),
)


@dataclass(frozen=True, slots=True)
class Program:
    """A runner with a kernel in it."""

    build: Build
    path: Path


def build_programs(
    kernel: CKernel, name: str, compiler: Compiler, folder: Path, *, sanitizers: bool = True
) -> tuple[list[Program], dict[str, str]]:
    """Build the runner with a kernel in all ways of `BUILDS` that the compiler has.

    Parameters
    ----------
    kernel : CKernel
        From source.
    name : str
        Which of its `kernels` it is checked as.
    compiler : Compiler
    folder : Path
        Where the programs go.
    sanitizers : bool
        Whether that build is made.

    Returns
    -------
    programs : list of Program
    missing : dict of str to str
        Why there is no such build, by name.
    """
    first, *others = kernel.sources
    call = f"{kernel.scratch}(params)" if kernel.scratch else "-1"
    glue = write_glue(folder, f'#include "{first}"', kernel_interface(name), kernel.symbol, call)
    programs, missing = [], {}
    for build in BUILDS if sanitizers else BUILDS[:-1]:
        target = folder / f"runner_{build.name}"
        flags = (*FLAGS, "-w", "-g", *kernel.flags, *build.flags)
        try:
            link(compiler, target, [glue, *others], flags, kernel.include, build)
        except KernelError as error:
            if build is BUILDS[0]:
                raise
            missing[build.name] = what_was_said(error)
            continue
        programs.append(Program(build, target))
    return programs, missing


def what_was_said(error: KernelError) -> str:
    """Return what the compiler, or the program that does not start, has said."""
    return str(error).partition("\n")[2] or str(error)


@cache
def workshop() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for what is built once in a process."""
    return tempfile.TemporaryDirectory(prefix="quantcore-check-")


def new_folder() -> Path:
    """Return a folder of its own for one thing that is built once."""
    return Path(tempfile.mkdtemp(dir=workshop().name))


@cache
def build_reference(name: str, compiler: Compiler) -> Program:
    """Build the runner with the definition of a kernel."""
    folder = new_folder()
    interface = kernel_interface(name)
    sources = [source for source in interface.sources if source.suffix == ".c"]
    glue = write_glue(folder, "", interface, f"qc_{name}_ref", "-1")
    target = folder / f"reference_{name}"
    link(compiler, target, [glue, *sources], (*FLAGS, "-w", "-g", *SECTIONS), (), BUILDS[0])
    return Program(BUILDS[0], target)


def write_glue(folder: Path, include: str, interface: KernelInterface, symbol: str, scratch: str) -> Path:
    """Write the file by which the runner calls a function."""
    count = len(interface.tensors)
    arguments = ", ".join(f"t[{k}]" for k in range(count)) or "t"
    glue = folder / f"glue_{symbol}.c"
    glue.write_text(
        GLUE.format(
            include=include,
            header=interface.header,
            kernel=interface.name,
            symbol=symbol,
            arguments=arguments,
            scratch=scratch,
        ),
        encoding="utf-8",
    )
    return glue


def link(
    compiler: Compiler,
    target: Path,
    sources: Sequence[Path],
    flags: Sequence[str],
    include: Sequence[Path],
    build: Build,
) -> None:
    """Compile `sources` with a kernel's flags, and the runner with flags of its own."""
    root = source_folder()
    runner = runner_object(compiler, tuple(flag for flag in build.flags if "sanitize" in flag))
    folders = (*include, root / "include", root, root / "reference")
    compiler.program([runner, *sources], target, flags=(*flags, "-lm"), include=folders)
    check_start(target)


@cache
def runner_object(compiler: Compiler, flags: tuple[str, ...]) -> Path:
    """Compile the runner."""
    target = new_folder() / "runner.o"
    source = source_folder() / "check" / "runner.c"
    return compiler.program([source], target, flags=(*RUNNER_FLAGS, *flags, "-c"))


def check_start(program: Path) -> None:
    """Start a program that has nothing to do: a sanitizer's library may be missing, or not work here."""
    unused, end = os.pipe()
    os.close(end)
    try:
        done = subprocess.run(
            [program, str(unused), "1"], pass_fds=[unused], capture_output=True, timeout=60, check=False
        )
    finally:
        os.close(unused)
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stderr.decode(errors="replace")).strip()
        raise KernelError(f"{program.name} does not start:\n{said[:300]}")
