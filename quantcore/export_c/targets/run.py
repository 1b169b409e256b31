"""An exported model with a harness for a target: the files, the build, the run, what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantcore.errors import TargetError
from quantcore.export_c.plan import Port
from quantcore.export_c.result import Export
from quantcore.export_c.targets.boards import Target, find_target, parse_size, with_memory
from quantcore.export_c.targets.emulator import run_program
from quantcore.export_c.targets.harness import OUTPUTS, folder_of, harness_files
from quantcore.export_c.targets.result import OperatorCount, TargetResult, compare_outputs
from quantcore.export_c.targets.toolchain import build, need_tools, read_sizes, tool_versions
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.oracle import Oracle

__all__ = ["STACK", "TargetOptions", "add_target", "prepare", "run_target"]

STACK = "16K"
CFLAGS = "-O2"
TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What is to be built, and how.

    Attributes
    ----------
    target : Target
        With the memory that was asked for.
    stack : int
        Bytes of RAM.
    cflags : str
        How the compiler optimizes.
    timeout : float
        Seconds that the program may take.
    """

    target: Target
    stack: int
    cflags: str = CFLAGS
    timeout: float = TIMEOUT


def prepare(
    name: str,
    *,
    run: bool,
    ram: str | int | None = None,
    flash: str | int | None = None,
    stack: str | int | None = None,
    cflags: str = CFLAGS,
    timeout: float = TIMEOUT,
) -> TargetOptions:
    """Check what can be checked before anything is exported.

    Parameters
    ----------
    name : str
        Of a target.
    run : bool
        Whether the program is to be built and run.
    ram, flash, stack : str or int, optional
        Sizes, as in ``256K``; by default those of the board, and 16K of stack.
    cflags : str
    timeout : float

    Raises
    ------
    TargetError
        An unknown target, a size that is none, a target without a board, tools that are missing.
    """
    target = with_memory(find_target(name), ram, flash, emulated=run)
    if run and not target.machine:
        raise TargetError(f"QEMU has no board with a {name}; without --run-qemu the files for it are written")
    if run:
        need_tools(running=True)
    size = -(-parse_size(STACK if stack is None else stack) // 8) * 8
    return TargetOptions(target, size, cflags, timeout)


def add_target(export: Export, options: TargetOptions) -> None:
    """Add the files of a target to an export that is not yet written.

    Raises
    ------
    TargetError
        The model does not fit into the target's memory.
    """
    check_memory(export, options)
    files = harness_files(options.target, export, stack=options.stack, cflags=options.cflags)
    folder = folder_of(options.target)
    export.files |= {f"{folder}/{name}": contents for name, contents in files.items()}


def check_memory(export: Export, options: TargetOptions) -> None:
    """Refuse a model that cannot fit; code and variables of the C library come on top of what is known."""
    target = options.target
    needed = export.arena_bytes + options.stack
    if needed > target.ram.size:
        raise TargetError(
            f"the model does not fit into the RAM of {target.name}: the arena takes {export.arena_bytes:,} "
            f"bytes and the stack {options.stack:,}, the RAM has {target.ram.size:,} (--ram, --stack)"
        )
    if export.constant_bytes > target.flash.size:
        raise TargetError(
            f"the model does not fit into the flash of {target.name}: its constants take "
            f"{export.constant_bytes:,} bytes, the flash has {target.flash.size:,} (--flash)"
        )


def run_target(
    export: Export, options: TargetOptions, model: Model | None = None, *, oracle: Oracle | None = None
) -> TargetResult:
    """Build an export that has been written, run it on QEMU, and compare its outputs.

    Parameters
    ----------
    export : Export
        With the files of `add_target`.
    options : TargetOptions
    model : Model, optional
        What was exported, for the oracle.
    oracle : Oracle, optional
        That of the profile: the outputs are compared with its outputs as well.

    Raises
    ------
    TargetError
        The program does not build or does not fit.
    OracleError
        The oracle does not answer.
    """
    wanted = None  # the oracle first: if it refuses, nobody has waited for minutes of emulation
    if oracle is not None and model is not None:
        wanted = oracle.run_batch(model, [inputs for inputs, _ in export.vectors], keep_state=True)
    folder = Path(export.folder, folder_of(options.target)).resolve()
    program = build(folder)
    size = read_sizes(program)
    result = TargetResult(
        Path(export.source).name or export.prefix, options.target, str(folder), tool_versions(running=True),
        options.cflags, size, export.arena_bytes, run_program(options.target, program, options.timeout),
    )  # fmt: skip
    steps = result.run.steps
    result.operators = [
        OperatorCount(i, step.op, step.output, step.function, step.macs, steps[i] if i < len(steps) else None)
        for i, step in enumerate(export.plan.steps)
    ]
    if result.run.instructions == (0, 0):  # it did not come to the end of the samples
        return result
    got = read_outputs(folder / OUTPUTS, export.plan.outputs, len(export.vectors))
    result.agreements = [compare_outputs("recorded outputs", got, [outputs for _, outputs in export.vectors])]
    if oracle is not None and wanted is not None:
        about = oracle.about
        name = f"{about['name']} {about['version']}, {about['resolver']}"
        result.agreements.append(compare_outputs(name, got, wanted, about))
    return result


def oracle_of(numerics: str, timeout: float) -> Oracle:
    """Return the oracle of a profile."""
    profile = get_profile(numerics)
    return Oracle(profile.resolver, timeout=timeout, package=profile.package)


def read_outputs(path: Path, ports: list[Port], samples: int) -> list[list[np.ndarray]]:
    """Return what the program wrote."""
    data = path.read_bytes()
    expected = samples * sum(port.nbytes for port in ports)
    if len(data) != expected:
        raise TargetError(f"{path} has {len(data):,} bytes; expected {expected:,}")
    found, at = [], 0
    for _ in range(samples):
        row = []
        for port in ports:
            row.append(np.frombuffer(data[at : at + port.nbytes], port.dtype.newbyteorder("<")))
            at += port.nbytes
        found.append([array.astype(array.dtype.newbyteorder("=")) for array in row])
    return found
