"""What ``quantcore export-c --run-qemu`` prints."""

from __future__ import annotations

from quantcore.cli._output import complain, say
from quantcore.cli._tables import print_fields, print_table, table
from quantcore.export_c.targets import Agreement, TargetResult

__all__ = ["print_target_result", "target_exit_code"]


def print_target_result(result: TargetResult) -> None:
    """Print memory, instructions per operator, and how the outputs compare."""
    if result.operators:
        print_operators(result)
    say("")
    print_fields(fields(result))
    for agreement in result.agreements:
        print_mismatches(agreement)


def print_operators(result: TargetResult) -> None:
    """Print a row for each operator."""
    tools = f"gcc {result.tools.get('arm-none-eabi-gcc', '')} {result.optimization}"
    rows = table(
        "", "operator", "output", ">MACs", ">instructions", ">per MAC", ">share",
        title=f"{result.model} on {result.target.name} ({result.target.machine}), {tools}",
    )  # fmt: skip
    total = sum(row.instructions or 0 for row in result.operators)
    for row in result.operators:
        rows.add_row(
            str(row.index), row.op, row.output, count(row.macs), count(row.instructions),
            "" if row.per_mac is None else f"{row.per_mac:.2f}",
            f"{row.instructions / total:.1%}" if row.instructions and total else "",
        )  # fmt: skip
    print_table(rows)


def count(number: int | None) -> str:
    """Return a number for people; nothing for what is missing or zero."""
    return f"{number:,}" if number else ""


def fields(result: TargetResult) -> list[tuple[str, str]]:
    """Return names and values of the whole."""
    size, run, target = result.size, result.run, result.target
    rows = [
        (
            "flash",
            f"{size.flash:,} bytes of {target.flash.size:,}: text {size.text:,}, rodata {size.rodata:,}, "
            f"data {size.data:,} (and the test harness {size.harness:,})",
        ),
        (
            "RAM",
            f"{size.ram:,} bytes of {target.ram.size:,}: data {size.data:,}, bss {size.bss:,}, of which the "
            f"arena {result.arena:,}",
        ),
    ]
    if run.stack[1]:
        rows.append(("stack", f"{run.stack[0]:,} bytes at most in one inference, of {run.stack[1]:,}"))
    if run.instructions[1]:
        least, most = run.instructions
        spent = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        per_mac = f", {result.per_mac:.2f} per MAC of {result.macs:,}" if result.per_mac else ""
        rows.append(("instructions", f"{spent} per inference{per_mac}"))
    if run.calibration[1]:
        counted, expected = run.calibration
        good = "exact" if result.calibrated else "the counts above are wrong"
        rows.append(("counter", f"{counted:,} instructions in a loop of {expected:,}: {good}"))
    rows += [(agreement.source, agreement_text(agreement)) for agreement in result.agreements]
    rows.append(("folder", f"{result.folder}: make, make run"))
    return rows


def agreement_text(agreement: Agreement) -> str:
    """Return how many samples are equal."""
    text = f"{agreement.equal} of {agreement.samples} samples bit-exact"
    if agreement.bit_exact:
        return text
    return f"{text}; {agreement.mismatches:,} of {agreement.elements:,} elements differ"


def print_mismatches(agreement: Agreement) -> None:
    """Print the first elements that differ, if any do."""
    if not agreement.first:
        return
    title = f"first mismatches with {agreement.source}"
    rows = table(">sample", ">output", ">element", ">target", ">expected", title=title)
    for m in agreement.first:
        rows.add_row(str(m.sample), str(m.output), str(m.element), str(m.got), str(m.expected))
    print_table(rows)


def target_exit_code(result: TargetResult) -> int:
    """Return 0 (ran, and every bit agrees) or 1 (a crash, a time-out, a mismatch), and say which."""
    if result.run.failure:
        complain(result.run.failure)
    return 0 if result.good else 1
