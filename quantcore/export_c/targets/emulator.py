"""A program run by QEMU, and what it printed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from quantcore.export_c.targets.boards import ICOUNT_SHIFT, Target
from quantcore.export_c.targets.toolchain import EMULATOR

__all__ = ["Run", "emulator_command", "run_program"]

NUMBERS = ("calibration", "instructions", "stack")  # lines with two numbers
SHOWN = 600  # characters of unexpected output in a message


@dataclass(slots=True)
class Run:
    """What one run of the program said; see ``main.c`` for the lines.

    Attributes
    ----------
    failure : str
        Why there is no complete result: a fault, a time-out, an error; "" if the run is complete.
    calibration : tuple of int
        Instructions counted, and expected, in a loop of known length.
    instructions : tuple of int
        Least and most of one inference.
    stack : tuple of int
        Bytes used by one inference, and what there is.
    steps : list of int
        Instructions of each operator.
    """

    failure: str = ""
    calibration: tuple[int, int] = (0, 0)
    instructions: tuple[int, int] = (0, 0)
    stack: tuple[int, int] = (0, 0)
    steps: list[int] = field(default_factory=list)


def emulator_command(target: Target, program: str) -> list[str]:
    """Return the command line that runs a program; its output is on stderr."""
    return [
        EMULATOR, "-machine", target.machine, "-nographic", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-icount", f"shift={ICOUNT_SHIFT}",
        "-kernel", program,
    ]  # fmt: skip


def run_program(target: Target, program: Path, timeout: float) -> Run:
    """Run a program in its own folder, where it finds its inputs; a crash or a time-out is a result."""
    command = emulator_command(target, program.name)
    try:
        done = subprocess.run(
            command, cwd=program.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        run = read_lines((error.stdout or b"").decode(errors="replace"))
        run.failure = (
            f"the program did not end within {timeout:g} s and was stopped{_reached(run)}; "
            "--timeout gives it more"
        )
        return run
    output = done.stdout.decode(errors="replace")
    run = read_lines(output)
    if not run.failure and "done" not in output.split():
        said = " ".join(output.split())[-SHOWN:] or "without output"
        run.failure = f"QEMU ended with exit status {done.returncode}{_reached(run)}: {said}"
    return run


def _reached(run: Run) -> str:
    if run.steps:
        return f", after operator {len(run.steps) - 1}"
    return "" if run.instructions == (0, 0) else ", after all samples"


def read_lines(output: str) -> Run:
    """Return what the program's lines say."""
    run = Run()
    lines = output.splitlines()
    for number, line in enumerate(lines):
        word, *rest = line.split() or [""]
        if word == "fault":
            said = "; ".join([" ".join(rest), *lines[number + 1 :]])
            run.failure = f"the program crashed{_reached(run)}: {said}"
            break
        if word == "failed":
            run.failure = " ".join(rest)
        elif word in ("step", *NUMBERS) and len(rest) == 2 and all(part.isdigit() for part in rest):
            first, second = map(int, rest)
            if word == "step":
                run.steps.append(second)
            else:
                setattr(run, word, (first, second))
    return run
