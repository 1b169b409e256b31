"""The page that lies in an exported folder."""

from __future__ import annotations

from quantcore.export_c.memory_map import peak_step
from quantcore.export_c.result import Export

__all__ = ["write_readme"]


def write_readme(export: Export) -> str:
    """Return the page: what there is, what it takes, and operator by operator."""
    prefix, upper, plan = export.prefix, export.prefix.upper(), export.plan
    peak, used = peak_step(plan.blocks)
    size = export.size
    flash = (
        "The size of the code is not known: no compiler was found."
        if size is None
        else f"Flash: {size.flash:,} bytes, of which {size.code:,} are code (-Os, {size.compiler}, "
        f"{size.target})."
    )
    rows = "".join(
        f"| {i} | {step.op} | {step.function} | {step.macs:,} | {_cell(step.output)} |\n"
        for i, step in enumerate(plan.steps)
    )
    return f"""\
# {prefix}

A model as C99, with the numerics `{export.numerics}`, bit for bit. It needs a C compiler and nothing else: no
allocation, and of the C library string.h{" and math.h" if "-lm" in str(export.files["Makefile"]) else ""}.

    make test       # builds it for this computer, and runs it on {len(export.vectors)} recorded samples

| file | what it is |
| --- | --- |
| `{prefix}.h` | the functions, and sizes, scales and zero points of inputs and outputs |
| `{prefix}.c` | the steps, with their parameters, and the arena |
| `{prefix}_data.c` | the constant tensors |
| `src/`, `include/` | the kernels that it uses |
| `{prefix}_test.c`, `{prefix}_vectors.h` | the test, and what it compares with |
| `memory.svg`, `memory.txt` | what lies where in the arena, step by step |

To use it, compile `{prefix}.c`, `{prefix}_data.c` and the C files below `src/` with `-std=c99 -I. -Iinclude
-ffp-contract=off`, and call `{prefix}_reset` once and `{prefix}_invoke` for each sample.

## What it takes

- RAM: {export.arena_bytes:,} bytes (`{upper}_ARENA_SIZE`). Most is in use at step {peak}: {used:,} bytes.
- {flash}
- Constant tensors: {export.constant_bytes:,} bytes.
- Multiply-accumulates: {export.macs:,}.

| step | operator | kernel | MACs | output |
| ---: | --- | --- | ---: | --- |
{rows}"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
