"""The folder of a target: start-up code, linker script, Makefile, recorded inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import numpy as np

from quantcore.export_c.targets.boards import ICOUNT_SHIFT, Region, Target
from quantcore.export_c.targets.emulator import emulator_command

__all__ = ["EXPECTED", "INPUTS", "OUTPUTS", "Exported", "Port", "write_harness", "write_runtime"]

INPUTS, EXPECTED, OUTPUTS = "inputs.bin", "expected.bin", "outputs.bin"
COPIED = ("startup.c", "semihosting.c", "counter.c", "main.c", "harness.h", "model_io.h")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the exported function: its C type, and how many elements."""

    c_type: str
    elements: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What the harness needs to know of an exported model.

    Attributes
    ----------
    prefix : str
        Of the model's C names.
    inputs, outputs : sequence of Port
    steps : int
        How many operators can be called one by one.
    sources : sequence of str
        C files, relative to the folder of the exported model.
    include : sequence of str
        Folders of headers, relative to that folder.
    standard : str
        Of C.
    """

    prefix: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    steps: int
    sources: Sequence[str]
    include: Sequence[str] = ("include", ".")
    standard: str = "c99"


def write_harness(
    folder: Path,
    target: Target,
    exported: Exported,
    samples: Sequence[Sequence[np.ndarray]],
    expected: Sequence[Sequence[np.ndarray]],
    *,
    stack: int,
    optimization: str,
) -> None:
    """Write all that builds and runs an exported model for `target` into a folder two below the model's."""
    write_runtime(folder, target, stack=stack)
    write_text(folder / "model_io.c", model_io(exported))
    write_text(folder / "Makefile", filled("Makefile", make_values(target, exported, optimization)))
    write_samples(folder / INPUTS, samples)
    write_samples(folder / EXPECTED, expected)


def write_runtime(folder: Path, target: Target, *, stack: int) -> None:
    """Write what does not depend on the model: start-up code, semihosting, the linker script."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        write_text(folder / name, filled(name, {}))
    write_text(folder / "board.h", board_header(target))
    write_text(folder / "memory.ld", filled("memory.ld", memory_values(target, stack)))


def filled(name: str, values: dict[str, str]) -> str:
    """Return one of the files in ``c/``, with each ``@NAME@`` replaced."""
    text = (files("quantcore.export_c.targets") / "c" / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_samples(path: Path, samples: Sequence[Sequence[np.ndarray]]) -> None:
    """Write arrays one after the other, little-endian."""
    with path.open("wb") as file:
        for sample in samples:
            for array in sample:
                file.write(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())


def board_header(target: Target) -> str:
    """Return ``board.h``: the timer that counts instructions, if there is one."""
    ticks = Fraction(target.timer_hz * 2**ICOUNT_SHIFT, 10**9) or Fraction(1)
    timer = f"#define BOARD_{target.timer} 0x{target.timer_address:08X}u\n" if target.timer else ""
    return (
        f"/* {target.board or target.name}: where the timer is; with -icount shift={ICOUNT_SHIFT} it has "
        f"BOARD_TICKS ticks in\n * BOARD_INSTRUCTIONS instructions. */\n"
        f"{timer}#define BOARD_TICKS {ticks.numerator}u\n#define BOARD_INSTRUCTIONS {ticks.denominator}u\n"
    )


def memory_values(target: Target, stack: int) -> dict[str, str]:
    """Return what the linker script has of the target."""
    regions = [("VECTORS", "rx", target.vectors), ("FLASH", "rx", target.flash), ("RAM", "rwx", target.ram)]

    def line(name: str, access: str, region: Region) -> str:
        return f"    {name} ({access}) : ORIGIN = 0x{region.origin:08X}, LENGTH = {region.size}"

    memory = "\n".join(line(name, access, region) for name, access, region in regions if region is not None)
    return {
        "MEMORY": memory,
        "STACK": str(stack),
        "VECTORS": "FLASH" if target.vectors is None else "VECTORS",
    }


def make_values(target: Target, exported: Exported, optimization: str) -> dict[str, str]:
    """Return what the Makefile has of target and model."""
    board = f", run by QEMU as {target.machine} ({target.board})" if target.machine else ""
    command = emulator_command(target, "model.elf") if target.machine else []
    none = f"@echo QEMU has no board with a {target.name}; exit 2"
    run = " ".join(["$(QEMU)", *command[1:]]) if command else none
    return {
        "TITLE": f"The exported model on a {target.name}: {target.core}{board}.",
        "OPT": optimization,
        "SOURCES": " ".join(exported.sources),
        "FLAGS": " ".join(target.flags),
        "STANDARD": exported.standard,
        "INCLUDE": " ".join(f"-I$(MODEL)/{name}" for name in exported.include),
        "RUN": run,
    }


def model_io(exported: Exported) -> str:
    """Return ``model_io.c``, which joins the harness and the model."""
    p = exported.prefix
    ports = [(f"input_{i}", port) for i, port in enumerate(exported.inputs)]
    results = [(f"output_{i}", port) for i, port in enumerate(exported.outputs)]

    def buffers(kind: str, named: list[tuple[str, Port]]) -> str:
        rows = ", ".join(f"{{{name}, sizeof {name}}}" for name, _ in named)
        return f"const struct model_buffer model_io_{kind}s[] = {{{rows or '{0, 0}'}}};\n"

    arrays = "".join(f"static {port.c_type} {name}[{port.elements}];\n" for name, port in ports + results)
    arguments = ", ".join(name for name, _ in ports + results)
    return (
        f'/* Buffers for inputs and outputs of the model, and its functions. */\n#include "{p}.h"\n'
        f'#include "model_io.h"\n\n{arrays}\n{buffers("input", ports)}{buffers("output", results)}'
        f"const int model_io_input_count = {len(ports)}, model_io_output_count = {len(results)}, "
        f"model_io_step_count = {exported.steps};\n\n"
        f"void model_io_reset(void)\n{{\n    {p}_reset();\n}}\n\n"
        f"int model_io_invoke(void)\n{{\n    return {p}_invoke({arguments});\n}}\n\n"
        f"int model_io_invoke_step(int step)\n{{\n    return {p}_invoke_step(step, {arguments});\n}}\n"
    )
