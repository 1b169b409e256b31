"""``quantcore check-kernel``."""

from __future__ import annotations

import click

from quantcore.cli._command import COUNT, numerics_option, seed_option, verb
from quantcore.cli._output import print_json, step_progress

EXAMPLES = """
quantcore check-kernel conv.c --op CONV_2D --symbol conv_s8
quantcore check-kernel conv.c --op CONV_2D --symbol conv_s8 --numerics tflm --cases 5000
quantcore check-kernel conv.c --op CONV_2D --symbol conv_s8 --replay conv_s8_failure.npz
quantcore check-kernel fc.c dot.c --op FULLY_CONNECTED --symbol fc --flag=-O2
"""


@verb(examples=EXAMPLES)
@click.argument("sources", type=click.Path(), nargs=-1, required=True)
@click.option("--op", required=True, help="The operator: CONV_2D, DEPTHWISE_CONV_2D, ADD ...")
@click.option("--symbol", required=True, help="Name of the function in the first source.")
@click.option("--dtype", help="Form of the operator, where several fit: int8, 'int8 int4', int16 ...")
@numerics_option
@click.option("--cases", type=COUNT, default=500, help="How many cases.")
@seed_option("the cases")
@click.option("--timeout", type=float, default=10.0, help="Seconds that one call of the kernel may take.")
@click.option(
    "--out", type=click.Path(), default=".", help="Folder for a failing case, .npz and .c, if there is one."
)
@click.option("--replay", type=click.Path(), help="Check this failing case, .npz, and no other.")
@click.option(
    "--sanitizers/--no-sanitizers", default=True, help="Build with the compiler's sanitizers as well."
)
@click.option("--scratch", help="Function in the source that says how much scratch memory the kernel needs.")
@click.option("--flag", "flags", multiple=True, help="Argument for the compiler; also several.")
@click.option("--include", multiple=True, type=click.Path(), help="Folder of headers; also several.")
@click.option("--compiler", help="Command of the C compiler.  [default: $CC, cc, gcc or clang]")
def command(
    sources: tuple[str, ...],
    op: str,
    symbol: str,
    dtype: str | None,
    numerics: str,
    cases: int,
    seed: int,
    timeout: float,
    out: str,
    replay: str | None,
    sanitizers: bool,
    scratch: str | None,
    flags: tuple[str, ...],
    include: tuple[str, ...],
    compiler: str | None,
    as_json: bool,
) -> int:
    """Check a kernel in C against its operator, bit for bit.

    SOURCES are C files; the first has the function, with the prototype of a kernel in the headers
    quantcore/*.h. It is compiled, and called in a process of its own on cases that aim at the edges:
    ties, saturation, zero points at both ends, dimensions of one element, odd channels. The memory
    around every array is guarded, and a part of the work is done once more with the compiler's
    sanitizers, so that accesses out of bounds and values without a source are found as well. A case
    on which the kernel is wrong is made small, explained as far as possible, and written as .npz and
    as a C program.

    Exit code 0: every bit is right; 1: the kernel is wrong, crashes, hangs or returns an error; 2: it
    could not be checked (it does not compile, its prototype is that of no kernel of the operator).
    Needs a C compiler and the extra 'kernels'.
    """
    from quantcore.check_kernel import check_kernel
    from quantcore.cli._check_tables import print_check

    with step_progress("checking") as progress:
        result = check_kernel(
            sources,
            op,
            symbol,
            dtype=dtype,
            numerics=numerics,
            cases=cases,
            seed=seed,
            timeout=timeout,
            out=out,
            replay=replay,
            sanitizers=sanitizers,
            compiler=compiler,
            progress=progress,
            flags=flags,
            include=include,
            scratch=scratch,
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_check(result)
    return 0 if result.ok else 1
