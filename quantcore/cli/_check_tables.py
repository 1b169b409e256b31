"""What ``quantcore check-kernel`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from quantcore.cli._output import say
from quantcore.cli._tables import print_table, table
from quantcore.wording import counted

if TYPE_CHECKING:
    from quantcore.check_kernel import CheckResult
    from quantcore.kernel_check.coverage import Coverage
    from quantcore.kernel_check.vectors import WrittenVectors

__all__ = ["print_check", "print_vectors"]


def print_check(result: CheckResult) -> None:
    """Print what was covered, time, and what is wrong."""
    coverage = result.coverage
    print_coverage(coverage)
    say("")
    print_missing(result.missing)
    if not result.ok:
        say(result.report())
        return
    compared = counted(coverage.elements, "output")
    if coverage.refused:
        say(f"passed over: {counted(coverage.refused, 'case')} that the kernel refused with QC_BAD_ARGUMENT")
    ties = "" if coverage.ties is None else f", {coverage.ties} of them at rounding ties"
    say(f"{result.symbol} is {result.kernel} of the profile {result.numerics}, bit for bit: {compared}{ties}")
    if {"kernel", "reference"} <= result.nanoseconds.keys():
        own, other = result.nanoseconds["kernel"], result.nanoseconds["reference"]
        say(
            f"time on the largest case: {own / 1000:.3g} us; of the reference, built alike: "
            f"{other / 1000:.3g} us (a hint, of this machine)"
        )


def print_missing(missing: Mapping[str, str]) -> None:
    """Print what could not be built, and what is therefore not known."""
    from quantcore.kernel_check.programs import BUILDS

    for build in BUILDS:
        if build.name in missing:
            say(f"not looked for: {build.finds} (the build '{build.name}'): {missing[build.name]}")
    if "definition" in missing:
        why = missing["definition"]
        say(f"the definition does not build, so ties are not counted and a failure is not explained: {why}")


def print_coverage(coverage: Coverage) -> None:
    """Print the cases by aspect."""
    result = table("aspect", "cases by what it was there", title=counted(coverage.cases, "case"))
    for aspect, counts in coverage.aspects.items():
        result.add_row(aspect, "  ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    print_table(result)


def print_vectors(written: WrittenVectors) -> None:
    """Print what the cases in a folder tell apart."""
    result = table(">cases", "on which the definition gives something else", title=written.title)
    for words, count in written.purposes.items():
        result.add_row(str(count), words)
    print_table(result)
    say(f"\n{counted(written.size, 'byte')} of data; written: {written.folder} (its README.md says more)")
