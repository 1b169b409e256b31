"""What ``quantcore check-kernel`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcore.cli._output import say
from quantcore.cli._tables import print_table, table
from quantcore.wording import counted

if TYPE_CHECKING:
    from quantcore.check_kernel import CheckResult
    from quantcore.kernel_check.coverage import Coverage

__all__ = ["print_check"]


def print_check(result: CheckResult) -> None:
    """Print what was covered, time, and what is wrong."""
    coverage = result.coverage
    print_coverage(coverage)
    say("")
    for name, why in result.missing.items():
        say(f"not run: build '{name}': {why}")
    if not result.ok:
        say(result.report())
        return
    compared = counted(coverage.elements, "output")
    ties = "" if coverage.ties is None else f", {coverage.ties} of them at rounding ties"
    say(f"{result.symbol} is {result.kernel} of the profile {result.numerics}, bit for bit: {compared}{ties}")
    if {"kernel", "reference"} <= result.nanoseconds.keys():
        own, other = result.nanoseconds["kernel"], result.nanoseconds["reference"]
        say(
            f"time on the largest case: {own / 1000:.3g} us; of the reference, built alike: "
            f"{other / 1000:.3g} us (a hint, of this machine)"
        )


def print_coverage(coverage: Coverage) -> None:
    """Print the cases by aspect."""
    result = table("aspect", "cases by what it was there", title=counted(coverage.cases, "case"))
    for aspect, counts in coverage.aspects.items():
        result.add_row(aspect, "  ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    print_table(result)
