"""``quantcore export-c``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from quantcore.cli._command import COUNT, input_option, model_argument, seed_option, verb
from quantcore.cli._output import print_json, say
from quantcore.numerics import PROFILES

if TYPE_CHECKING:
    from quantcore.export_c import Export

EXAMPLES = """
quantcore export-c model.tflite -o model_c                # then: make -C model_c test
quantcore export-c model.tflite -o kws --symbol-prefix kws --arena-section .bss.arena
quantcore export-c model.tflite -o model_c --numerics reference --input samples.npz
quantcore export-c model.tflite -o model_c --kernel CONV_2D=my_conv.c:my_conv_s8
"""


class KernelOption(click.ParamType):  # type: ignore[type-arg]
    """``KEY=FILE:SYMBOL``."""

    name = "KEY=FILE:SYMBOL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return (key, file, symbol)."""
        if isinstance(value, tuple):
            return value
        key, _, rest = str(value).partition("=")
        file, _, symbol = rest.rpartition(":")
        if not (key and file and symbol):
            self.fail(f"{value!r} is not KEY=FILE:SYMBOL, such as CONV_2D=my_conv.c:my_conv_s8", param, ctx)
        return (int(key) if key.isdigit() else key, file, symbol)


@verb(examples=EXAMPLES)
@model_argument
@click.option("-o", "--out", type=click.Path(), required=True, help="The folder to write.")
@click.option(
    "--numerics",
    type=click.Choice(list(PROFILES)),
    default="tflm",
    help="Numerics profile: whose rounding to reproduce. tflm: TensorFlow Lite Micro's, integers only.",
)
@click.option(
    "--symbol-prefix", default="model", help="What names of functions, macros and files begin with."
)
@click.option("--arena-section", help="Section of the object file that the arena is put into: .bss.arena")
@click.option(
    "--kernel",
    "kernels",
    type=KernelOption(),
    multiple=True,
    help="A kernel of yours in place of the definition; KEY is an operator's name, its index, or a pattern "
    "of the name of its output.",
)
@input_option
@click.option(
    "--samples", type=COUNT, default=5, help="How many random samples are recorded, without --input."
)
@seed_option("the random samples")
@click.option("--subgraph", type=click.IntRange(min=0), default=0, help="Which subgraph of the file.")
@click.option("--force", is_flag=True, help="Replace the folder, whatever is in it.")
def command(
    model: str,
    out: str,
    numerics: str,
    symbol_prefix: str,
    arena_section: str | None,
    kernels: tuple[tuple[str | int, str, str], ...],
    input_path: str | None,
    samples: int,
    seed: int,
    subgraph: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write MODEL as C99, with a test.

    The folder compiles with nothing but a C compiler. It has the model's constants, a static plan, the
    kernels that it uses, one arena of a stated size, `int model_invoke(const int8_t *input, int8_t
    *output)`, a test with recorded samples (`make test`), and a report: README.md, export.json, and the
    memory map, memory.svg. The code allocates nothing. Its outputs are those of `quantcore run` with the
    same numerics, bit for bit.

    An earlier export in the folder is replaced. Exit code 2: an operator that cannot be exported, or a
    folder with other files in it. Needs the extra 'kernels'.
    """
    from quantcore.export_c import export_c
    from quantcore.flatbuffer import read_model

    made = export_c(
        read_model(model),
        out,
        numerics=numerics,
        symbol_prefix=symbol_prefix,
        arena_section=arena_section,
        kernels=compiled(kernels),
        inputs=input_path,
        samples=samples,
        seed=seed,
        subgraph_index=subgraph,
        force=force,
    )
    if as_json:
        print_json(made.to_json())
    else:
        print_report(made)


def compiled(kernels: tuple[tuple[str | int, str, str], ...]) -> dict[str | int, Any] | None:
    """Return the user's kernels by key; None without any."""
    if not kernels:
        return None
    from quantcore.custom_kernels import CKernel

    return {key: CKernel.from_source(file, symbol) for key, file, symbol in kernels}


def print_report(export: Export) -> None:
    """Print what the folder holds, and what the model takes."""
    from quantcore.cli._tables import print_fields, print_table, table
    from quantcore.export_c.memory_map import peak_step

    peak, used = peak_step(export.plan.blocks)
    size = export.size
    flash = "no compiler was found to measure the code"
    if size is not None:
        parts = f"code {size.code:,}, constants {size.constants:,}"
        flash = f"{size.flash:,} bytes ({parts}; {size.target}, {size.compiler} -Os)"
    print_fields(
        [
            ("model", export.source),
            ("numerics", export.numerics),
            ("arena", f"{export.arena_bytes:,} bytes (most in use at step {peak}: {used:,})"),
            ("flash", flash),
            ("MACs", f"{export.macs:,}"),
            ("samples", f"{len(export.vectors)} recorded"),
        ]
    )
    rows = table(">step", "operator", "kernel", ">MACs", ">constants", ">scratch", "output")
    for row in export.to_json()["operators"]:
        macs = f"{row['macs']:,}" if row["macs"] else ""
        constants = f"{row['constant_bytes']:,}" if row["constant_bytes"] else ""
        scratch = f"{row['scratch_bytes']:,}" if row["scratch_bytes"] else ""
        rows.add_row(str(row["step"]), row["op"], row["kernel"], macs, constants, scratch, row["output"])
    print_table(rows)
    say(f"\n{export.folder}: run `make -C {export.folder} test`; README.md says what is in it")
