"""What ``quantcore bench`` prints."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

from quantcore.benchmark.operators import OperatorTime, OperatorTimes
from quantcore.benchmark.speed import Speed
from quantcore.cli._output import say
from quantcore.cli._tables import percent, print_table, table
from quantcore.numerics import PROFILES
from quantcore.oracle.packages import RESOLVERS

__all__ = ["print_operators", "print_speeds"]

REASON_WIDTH = 150
RATES = (">us", ">share", ">MAC", ">GMAC/s", ">bytes", ">GB/s")


def print_speeds(speeds: list[Speed]) -> None:
    """Print one row per model: our time, and how many times slower each resolver is; then the refusals."""
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


def print_operators(times: OperatorTimes) -> None:
    """Print a row per step of the plan, then a row per kind of step."""
    name = Path(times.model).name
    threads = "1 thread" if times.threads == 1 else f"{times.threads} threads"
    title = f"{name}: time by operator, {threads}, median of {times.runs:,} runs"
    steps = table(">#", "operator", "kernel", "isa", *RATES, title=title)
    for step in times.steps:
        steps.add_row(step.index, step.op, step.kernel, step.isa, *rates(step))
    total = OperatorTime("", "all", "", "", times.seconds, 1.0, times.macs, times.bytes)
    steps.add_row("", "all", "", "", *rates(total))
    print_table(steps)
    kinds = table("operator", "kernel", "isa", ">steps", *RATES, title=f"{name}: time by kind of operator")
    for kind in times.kinds():
        kinds.add_row(kind.op, kind.kernel, kind.isa, kind.index, *rates(kind))
    print_table(kinds)


def rates(row: OperatorTime) -> tuple[str, ...]:
    """Return the cells of `RATES`."""
    counted = row.macs > 0
    return (
        f"{row.seconds * 1e6:,.1f}",
        percent(row.share),
        f"{row.macs:,}" if counted else "",
        f"{row.macs_per_second / 1e9:.1f}" if counted else "",
        f"{row.bytes:,}",
        f"{row.bytes_per_second / 1e9:.1f}",
    )
