"""``quantcore bench``."""

from __future__ import annotations

import click

from quantcore.cli._command import COUNT, numerics_option, verb
from quantcore.cli._kernels import KernelOption, kernel_options, load_kernels
from quantcore.cli._output import print_json, progress

EXAMPLES = """
quantcore bench model.tflite                     # beside TensorFlow Lite; by operator
quantcore bench *.tflite --threads 2 --batch 64  # several models: one row each
quantcore bench model.tflite --alone             # without TensorFlow Lite
quantcore bench model.tflite --alone --kernel CONV_2D=my_conv.c:my_conv_s8
quantcore bench model.tflite --alone --json | jq '.models[0].operators.kinds'
"""


@verb(examples=EXAMPLES)
@click.argument("models", type=click.Path(), nargs=-1, required=True)
@click.option("--turns", type=COUNT, default=15, help="Turns of each contender.")
@click.option("--batch", type=COUNT, default=1, help="Samples per call.")
@click.option("--threads", type=COUNT, default=1, help="Threads of each contender.")
@click.option("--alone", is_flag=True, help="Measure quantcore only.")
@click.option("--invoke-only", is_flag=True, help="Leave out the copies of inputs and outputs.")
@click.option(
    "--operators/--no-operators",
    default=None,
    help="Also time operator by operator; by default where there is one model.",
)
@numerics_option
@kernel_options
def command(
    models: tuple[str, ...],
    turns: int,
    batch: int,
    threads: int,
    alone: bool,
    invoke_only: bool,
    operators: bool | None,
    numerics: str,
    kernels: tuple[KernelOption, ...],
    kernel_flags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Time models, beside TensorFlow Lite, and their operators.

    Each of MODELS is timed with each of TensorFlow Lite's resolvers beside quantcore. A time is that of
    one sample: inputs in, outputs out. With --batch, a call takes several samples (in TensorFlow Lite
    by resizing the inputs), and its time is divided by their number. The contenders take turns in one
    run; the median over the turns counts. A ratio above 1 means that quantcore is faster. Without
    --alone, needs the extra 'oracle' (TensorFlow).

    Operator by operator: the kernel and the instruction set of the version that
    was chosen (QUANTCORE_ISA sets the highest), time and share, multiply-accumulates (MAC) per second,
    and the bytes of all tensors that are read and written. Many MAC at few GMAC/s: a kernel could be
    better. Few MAC per byte: memory sets the pace. No MAC: time that quantization or movement takes.
    """
    from contextlib import ExitStack

    from quantcore.benchmark.operators import time_operators
    from quantcore.benchmark.speed import TimedTFLite, compare_speed
    from quantcore.cli._bench_tables import print_operators, print_speeds
    from quantcore.flatbuffer import read_model
    from quantcore.oracle.packages import RESOLVERS
    from quantcore.runtime import Interpreter

    for path in models:
        read_model(path)
    own = load_kernels(kernels, kernel_flags)
    for path in models:  # whatever is wrong with a model is said before anything is measured
        Interpreter(read_model(path), numerics, kernels=own)
    with ExitStack() as stack:
        timers = [stack.enter_context(TimedTFLite(name)) for name in ([] if alone else RESOLVERS)]
        advance = stack.enter_context(progress("measuring", len(models) * turns))
        speeds = [
            compare_speed(
                path,
                timers,
                turns=turns,
                batch=batch,
                threads=threads,
                numerics=numerics,
                invoke_only=invoke_only,
                advance=advance,
                kernels=own,
            )
            for path in models
        ]
    shown = models if operators or (operators is None and len(models) == 1) else ()
    times = {
        path: time_operators(read_model(path), numerics=numerics, samples=batch, threads=threads, kernels=own)
        for path in shown
    }
    if as_json:
        found = [speed.to_json() for speed in speeds]
        for model in found:
            if model["model"] in times:
                model["operators"] = times[model["model"]].to_json()
        print_json({"numerics": numerics, "models": found})
        return
    print_speeds(speeds)
    for path in shown:
        print_operators(times[path])
