"""``quantcore check-kernel``."""

from __future__ import annotations

import click

from quantcore.cli._command import COUNT, numerics_option, seed_option, verb
from quantcore.cli._output import print_json, step_progress

EXAMPLES = """
quantcore check-kernel conv.c --op CONV_2D --symbol my_conv
quantcore check-kernel conv.c --op CONV_2D --symbol my_conv --numerics tflm
quantcore check-kernel conv.c --op CONV_2D --symbol my_conv --replay failure.npz
quantcore check-kernel fc.c dot.c --op FULLY_CONNECTED --symbol my_fc --flag=-O2
quantcore check-kernel --op CONV_2D --vectors board/        # cases for a board
"""


@verb(examples=EXAMPLES)
@click.argument("sources", type=click.Path(), nargs=-1)
@click.option("--op", required=True, help="The operator: CONV_2D, DEPTHWISE_CONV_2D, ADD ...")
@click.option("--symbol", help="Name of the function in the first source.")
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
    "--vectors", type=click.Path(), help="Write cases and a runner in C to this folder; no SOURCES."
)
@click.option(
    "--sanitizers/--no-sanitizers", default=True, help="Build with the compiler's sanitizers as well."
)
@click.option(
    "--may-refuse", is_flag=True, help="The kernel may return QC_BAD_ARGUMENT: pass over such cases."
)
@click.option("--scratch", help="Function in the source that says how much scratch memory the kernel needs.")
@click.option("--flag", "flags", multiple=True, help="Argument for the compiler; also several.")
@click.option("--include", multiple=True, type=click.Path(), help="Folder of headers; also several.")
@click.option("--compiler", help="Command of the C compiler.  [default: $CC, cc, gcc or clang]")
def command(
    sources: tuple[str, ...],
    op: str,
    symbol: str | None,
    dtype: str | None,
    numerics: str,
    cases: int,
    seed: int,
    timeout: float,
    out: str,
    replay: str | None,
    vectors: str | None,
    sanitizers: bool,
    may_refuse: bool,
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
    if vectors is not None:
        if sources:
            raise click.UsageError(
                "--vectors writes cases for a kernel that is elsewhere; it takes no SOURCES"
            )
        from quantcore.cli._check_tables import print_vectors
        from quantcore.kernel_check.vectors import write_vectors

        written = write_vectors(vectors, op, dtype=dtype, numerics=numerics, symbol=symbol, seed=seed)
        if as_json:
            print_json(written.to_json())
        else:
            print_vectors(written)
        return 0
    if not sources or symbol is None:
        raise click.UsageError("expected SOURCES and --symbol (or --vectors alone)")
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
            may_refuse=may_refuse,
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
