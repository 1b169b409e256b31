"""``quantcore bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quantcore.cli._command import COUNT, numerics_option, verb
from quantcore.cli._output import print_json, progress, say

if TYPE_CHECKING:
    from quantcore.benchmark.speed import Speed

EXAMPLES = """
quantcore bench model.tflite
quantcore bench *.tflite --threads 4 --batch 64
quantcore bench model.tflite --alone             # without TensorFlow Lite
"""

REASON_WIDTH = 150


@verb(examples=EXAMPLES)
@click.argument("models", type=click.Path(), nargs=-1, required=True)
@click.option("--turns", type=COUNT, default=15, help="Turns of each contender.")
@click.option("--batch", type=COUNT, default=1, help="Samples per call.")
@click.option("--threads", type=COUNT, default=1, help="Threads of each contender.")
@click.option("--alone", is_flag=True, help="Measure quantcore only.")
@numerics_option
def command(
    models: tuple[str, ...],
    turns: int,
    batch: int,
    threads: int,
    alone: bool,
    numerics: str,
    as_json: bool,
) -> None:
    """Time models, here and in TensorFlow Lite.

    Each of MODELS is timed with each of TensorFlow Lite's resolvers beside quantcore. A time is that of
    one sample: inputs in, outputs out. With --batch, a call takes several samples (in TensorFlow Lite
    by resizing the inputs), and its time is divided by their number. The contenders take turns in one
    run; the median over the turns counts. A ratio above 1 means that quantcore is faster. Without
    --alone, needs the extra 'oracle' (TensorFlow).
    """
    from contextlib import ExitStack

    from quantcore.benchmark.speed import TimedTFLite, compare_speed
    from quantcore.flatbuffer import read_model
    from quantcore.oracle.packages import RESOLVERS
    from quantcore.runtime import Interpreter

    for path in models:  # whatever is wrong with a model is said before anything is measured
        Interpreter(read_model(path), numerics)
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
                advance=advance,
            )
            for path in models
        ]
    if as_json:
        print_json({"models": [speed.to_json() for speed in speeds]})
    else:
        print_speeds(speeds)


def print_speeds(speeds: list[Speed]) -> None:
    """Print one row per model: our time, and how many times slower each resolver is; then the refusals."""
    from pathlib import Path
    from textwrap import shorten

    from quantcore.cli._tables import print_table, table
    from quantcore.numerics import PROFILES
    from quantcore.oracle.packages import RESOLVERS

    # of profiles that share a resolver, the first
    short = {profile.resolver: name for name, profile in reversed(PROFILES.items())}
    resolvers = [r for r in RESOLVERS if any(r in (*speed.oracle, *speed.refused) for speed in speeds)]
    columns = [f">x {short[resolver]}" for resolver in resolvers]
    title = f"time per sample, {speeds[0].batch} per call; how many times faster than TensorFlow Lite"
    result = table("model", ">quantcore", *columns, title=title)
    for speed in speeds:
        ratios = [speed.ratio(resolver) for resolver in resolvers]
        cells = ["refused" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        result.add_row(Path(speed.model).name, f"{speed.ours * 1e6:,.1f} us", *cells)
    print_table(result)
    for speed in speeds:
        for reason in dict.fromkeys(speed.refused.values()):
            say(f"TensorFlow Lite refuses {Path(speed.model).name}: {shorten(reason, REASON_WIDTH)}")
