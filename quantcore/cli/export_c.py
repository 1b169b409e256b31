"""``quantcore export-c``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quantcore.cli._command import COUNT, input_option, model_argument, seed_option, verb
from quantcore.cli._kernels import KernelOption, kernel_options, load_kernels
from quantcore.cli._output import print_json, say
from quantcore.cli._target_options import TargetRequest, target_options
from quantcore.numerics import PROFILES

if TYPE_CHECKING:
    from quantcore.export_c import Export

EXAMPLES = """
quantcore export-c model.tflite -o model_c                # then: make -C model_c test
quantcore export-c model.tflite -o kws --symbol-prefix kws --arena-section .bss.arena
quantcore export-c model.tflite -o model_c --numerics reference --input samples.npz
quantcore export-c model.tflite -o model_c --kernel CONV_2D=my_conv.c:my_conv_s8
quantcore export-c model.tflite -o model_c --target cortex-m4 --run-qemu --oracle
"""


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
@input_option
@click.option(
    "--samples", type=COUNT, default=5, help="How many random samples are recorded, without --input."
)
@seed_option("the random samples")
@click.option("--subgraph", type=click.IntRange(min=0), default=0, help="Which subgraph of the file.")
@click.option("--force", is_flag=True, help="Replace the folder, whatever is in it.")
@kernel_options
@target_options
def command(
    model: str,
    out: str,
    numerics: str,
    symbol_prefix: str,
    arena_section: str | None,
    kernels: tuple[KernelOption, ...],
    kernel_flags: tuple[str, ...],
    input_path: str | None,
    samples: int,
    seed: int,
    subgraph: int,
    force: bool,
    on_target: TargetRequest,
    as_json: bool,
) -> int:
    """Write MODEL as C99, with a test.

    The folder compiles with nothing but a C compiler. It has the model's constants, a static plan, the
    kernels that it uses, one arena of a stated size, `int model_invoke(const int8_t *input, int8_t
    *output)`, a test with recorded samples (`make test`), and a report: README.md, export.json, and the
    memory map, memory.svg. The code allocates nothing. Its outputs are those of `quantcore run` with the
    same numerics, bit for bit.

    With --target, the folder also has what a microcontroller needs around the model; with --run-qemu, the
    program is built, run on an emulated board and compared bit for bit.

    An earlier export in the folder is replaced. Exit code 1: on QEMU the program crashed, hung, or had
    other outputs; 2: an operator that cannot be exported, a folder with other files in it, a model that
    does not fit the target, a missing tool. Needs the extra 'kernels'.
    """
    from quantcore.cli._target_tables import print_target_result, target_exit_code
    from quantcore.export_c import export_c
    from quantcore.flatbuffer import read_model

    loaded = read_model(model)
    made = export_c(
        loaded,
        out,
        numerics=numerics,
        symbol_prefix=symbol_prefix,
        arena_section=arena_section,
        kernels=load_kernels(kernels, kernel_flags),
        inputs=input_path,
        samples=samples,
        seed=seed,
        subgraph_index=subgraph,
        force=force,
        complete=on_target.complete,
    )
    if not as_json:
        print_report(made)
    result = on_target.result(made, loaded)
    if as_json:
        print_json(made.to_json() | ({} if result is None else {"run": result.to_json()}))
    elif result is not None:
        print_target_result(result)
    return 0 if result is None else target_exit_code(result)


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
