"""The folder of a target: start-up code, linker script, Makefile, recorded inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.resources import files

import numpy as np

from quantcore.export_c.plan import ExportPlan, Port
from quantcore.export_c.result import Export
from quantcore.export_c.targets.boards import ICOUNT_SHIFT, Region, Target
from quantcore.export_c.targets.emulator import emulator_command

__all__ = ["EXPECTED", "INPUTS", "OUTPUTS", "folder_of", "harness_files", "runtime_files"]

INPUTS, EXPECTED, OUTPUTS = "inputs.bin", "expected.bin", "outputs.bin"
COPIED = ("startup.c", "semihosting.c", "counter.c", "main.c", "harness.h", "model_io.h")


def folder_of(target: Target) -> str:
    """Return where the files of a target lie in the folder of an exported model."""
    return f"target/{target.name}"


def harness_files(target: Target, export: Export, *, stack: int, cflags: str) -> dict[str, str | bytes]:
    """Return all that builds and runs an exported model for `target`, by name in its folder."""
    return {
        **runtime_files(target, stack=stack),
        "model_io.c": model_io(export.plan, export.prefix),
        "Makefile": filled("Makefile", make_values(target, export, cflags)),
        INPUTS: sample_bytes([inputs for inputs, _ in export.vectors]),
        EXPECTED: sample_bytes([outputs for _, outputs in export.vectors]),
    }


def runtime_files(target: Target, *, stack: int) -> dict[str, str | bytes]:
    """Return what does not depend on the model: start-up code, semihosting, the linker script."""
    return {
        **{name: filled(name, {}) for name in COPIED},
        "board.h": board_header(target),
        "memory.ld": filled("memory.ld", memory_values(target, stack)),
    }


def filled(name: str, values: Mapping[str, str]) -> str:
    """Return one of the files in ``c/``, with each ``@NAME@`` replaced."""
    text = (files("quantcore.export_c.targets") / "c" / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def sample_bytes(samples: Sequence[Sequence[np.ndarray]]) -> bytes:
    """Return the elements of arrays one after the other, little-endian."""
    return b"".join(
        np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        for sample in samples
        for array in sample
    )


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


def make_values(target: Target, export: Export, cflags: str) -> dict[str, str]:
    """Return what the Makefile has of target and model."""
    board = f", run by QEMU as {target.machine} ({target.board})" if target.machine else ""
    command = emulator_command(target, "model.elf") if target.machine else []
    none = f"@echo QEMU has no board with a {target.name}; exit 2"
    custom = [step.custom for step in export.plan.steps if step.custom is not None]
    flags = dict.fromkeys(flag for kernel in custom for flag in kernel.flags)
    tested = f"{export.prefix}_test.c"
    sources = [name for name in export.files if name.endswith(".c") and "/" not in name and name != tested]
    sources += [name for name in export.files if name.endswith(".c") and name.startswith("src/")]
    folders = dict.fromkeys(name.rpartition("/")[0] for name in sources if name.startswith("src/kernel_"))
    return {
        "TITLE": f"The exported model on a {target.name}: {target.core}{board}.",
        "OPT": cflags,
        "SOURCES": " ".join(sources),
        "FLAGS": " ".join([*target.flags, *flags]),
        "INCLUDE": " ".join(f"-I$(MODEL){name and '/'}{name}" for name in ("", "include", *folders)),
        "RUN": " ".join(["$(QEMU)", *command[1:]]) if command else none,
    }


def model_io(plan: ExportPlan, prefix: str) -> str:
    """Return ``model_io.c``, which joins the harness and the model."""
    sides = [("input", plan.inputs), ("output", plan.outputs)]
    arrays = "".join(buffer(word, i, port) for word, ports in sides for i, port in enumerate(ports))
    tables = "".join(buffer_table(word, ports, prefix) for word, ports in sides)
    arguments = ", ".join(f"{word}_{i}" for word, ports in sides for i in range(len(ports)))
    copies = "".join(
        f"    memcpy({prefix}_input_{i}(), input_{i}, {prefix.upper()}_INPUT_{i}_SIZE);\n"
        for i, port in enumerate(plan.inputs)
        if port.offset is not None and port.nbytes
    )
    return f"""\
/* The model as the harness calls it, with buffers for inputs and outputs. */
#include "model_io.h"

#include <stddef.h>
#include <string.h>

#include "{prefix}.h"

{arrays}
{tables}const int model_io_input_count = {len(plan.inputs)}, model_io_output_count = {len(plan.outputs)};
const int model_io_step_count = {len(plan.steps)};

void model_io_reset(void) {{
    {prefix}_reset();
}}

int model_io_invoke(void) {{
    return {prefix}_invoke({arguments});
}}

void model_io_set_inputs(void) {{
{copies}}}

int model_io_invoke_step(int step) {{
    return {prefix}_invoke_step(step);
}}
"""


def buffer(word: str, index: int, port: Port) -> str:
    """Return the buffer of an input or output; C has no arrays without elements."""
    size = max(port.nbytes, 1)
    length = f"({size} + sizeof({port.c_type}) - 1) / sizeof({port.c_type})"
    return f"static {port.c_type} {word}_{index}[{length}];\n"


def buffer_table(word: str, ports: Sequence[Port], prefix: str) -> str:
    """Return the table of buffers that ``main.c`` reads."""
    rows = ", ".join(f"{{{word}_{i}, {prefix.upper()}_{word.upper()}_{i}_SIZE}}" for i in range(len(ports)))
    return f"const struct model_buffer model_io_{word}s[] = {{{rows or '{NULL, 0}'}}};\n"
