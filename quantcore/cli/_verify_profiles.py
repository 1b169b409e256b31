"""What ``quantcore verify --numerics all`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from quantcore.cli._output import say
from quantcore.cli._tables import console, print_fields, print_table, table
from quantcore.cli._verify_tables import explain, oracle_line, verdict
from quantcore.verification.rules import ROUNDINGS

if TYPE_CHECKING:
    from quantcore.verification.divergence import Divergence, Parting
    from quantcore.verification.recorded import RecordedMatch
    from quantcore.verify import ProfilesResult, VerifyResult

__all__ = ["print_profiles", "recorded_verdict"]

FEW = 8  # of a long list of operators, named in a line


def print_profiles(result: ProfilesResult) -> None:
    """Print each profile against its oracle, where they part, and what a recording matches."""
    rows = [("model", result.model), ("samples", str(result.samples))]
    rows += [("note", note) for note in result.notes]
    print_fields(rows)
    _print_oracles(result)
    for name, profile in result.profiles.items():
        for note in profile.notes:
            say(f"{name}: {note}")
    _print_failures(result)
    _print_missing(result.operators)
    _print_partings("where the profiles part: each operator by all, on the same inputs", result.operators)
    _print_partings("end to end", result.end_to_end)
    console().print()
    for line in _summary(result):
        say(line)
    if result.recorded is not None:
        _print_recorded(result.recorded)
        say(recorded_verdict(result))


def _print_oracles(result: ProfilesResult) -> None:
    found = table("profile", "oracle", "result", title="each profile against its oracle")
    for name, profile in result.profiles.items():
        found.add_row(name, oracle_line(profile.oracle), verdict(profile))
    for name, reason in result.unavailable.items():
        found.add_row(name, "", f"not compared: {reason}")
    print_table(found)


def _print_failures(result: ProfilesResult) -> None:
    """Print what is wrong or could not be compared; reasons that repeat, once."""
    for name, profile in result.profiles.items():
        for row in profile.rows:
            if row.status == "mismatch":
                say(f"{name}: {explain(row)}")
        for reason, who in _by_reason(profile).items():
            say(f"{name}: not compared: {who}: {reason}")


def _by_reason(profile: VerifyResult) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for row in profile.rows:
        if row.status == "not compared":
            who = "end to end" if row.index is None else f"{row.index} {row.op}"
            # The operator and its index are what differs between reasons that are the same.
            reason = row.reason.removeprefix(f"operator {row.index} ({row.op}): ")
            found.setdefault(reason, []).append(who)
    return {reason: _few(who) for reason, who in found.items()}


def _few(items: Sequence[str]) -> str:
    """Return the first `FEW` of them; an operator with several outputs once, with their number."""
    counts = Counter(items)
    items = [name if count == 1 else f"{name} ({count} tensors)" for name, count in counts.items()]
    return ", ".join(items[:FEW]) + (f" and {len(items) - FEW} more" if len(items) > FEW else "")


def _print_missing(rows: Iterable[Divergence]) -> None:
    """Say what a profile does not run, so that its absence below is not taken for agreement."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for name in row.missing:
            found.setdefault(name, []).append(f"{row.index} {row.op} {row.dtype}")
    for name, who in found.items():
        say(f"{name}: not run, so not compared with the other profiles: {_few(who)}")


def _print_partings(title: str, rows: Sequence[Divergence]) -> None:
    """Print one line per pair of profiles (or groups of them that agree) and tensor."""
    end_to_end = all(row.index is None for row in rows)
    last = ("arg-max",) if end_to_end else (">rate", ">expected", "rules")
    columns = (">#", "operator", "dtype", "profiles", ">elements", ">differ", ">max diff", *last)
    found = table(*columns, title=title)
    for row in rows:
        for parting in row.partings:
            common = (
                "" if row.index is None else str(row.index),
                row.op or row.name,
                row.dtype,
                _groups(row, parting),
                f"{parting.elements:,}",
                f"{parting.mismatches:,}",
                f"{parting.max_abs_diff:.6g}",
            )
            found.add_row(*common, *((_argmax(parting),) if end_to_end else _rates(row, parting)))
    if found.row_count:
        print_table(found)
    for line in _legend(rows):
        say(line)


def _legend(rows: Sequence[Divergence]) -> list[str]:
    """Say in words what the rules are, and where they are derived."""
    sides = [side for row in rows for parting in row.partings for side in parting.rules]
    parts = [part for side in sides for part in side.split(", ") if not part.startswith("product")]
    words = {word for part in parts for word in part.split()}
    pages = dict.fromkeys(f"{row.page}.md" for row in rows if row.page and row.partings)
    lines = [f"{name}: {meaning}" for name, meaning in ROUNDINGS.items() if name in words]
    if any(parting.expected for row in rows for parting in row.partings):
        lines.append("expected: 2**-(r+1) for two roundings against one, right shift r; see docs/verify.md")
    return lines + ([f"the rules are derived in docs/numerics: {', '.join(pages)}"] if pages else [])


def _groups(row: Divergence, parting: Parting) -> str:
    sides = [next(group for group in row.groups if name in group) for name in parting.profiles]
    return " | ".join(" = ".join(side) for side in sides)


def _rates(row: Divergence, parting: Parting) -> tuple[str, str, str]:
    expected = parting.expected_rate
    same = "those of its subgraphs" if row.op in ("IF", "WHILE") else "the same rule"
    rules = " | ".join(parting.rules) if any(parting.rules) else same
    return f"{parting.rate:.2e}", "" if expected is None else f"{expected:.2e}", rules


def _argmax(parting: Parting) -> str:
    if not parting.positions:
        return ""
    return f"changes in {parting.argmax_changes:,} of {parting.positions:,}"


def _summary(result: ProfilesResult) -> list[str]:
    """Return where the profiles agree, and whether that changes a decision."""
    compared = [row for row in result.operators if len(row.computed) > 1]
    apart = [row for row in compared if row.partings]
    lines = [f"the profiles part in {len(apart)} of the {len(compared)} tensors that several of them compute"]
    for row in result.end_to_end:
        if not row.computed:
            continue
        if len(row.computed) == 1:
            lines.append(f"output {row.name}: only {row.computed[0]} computes it")
            continue
        agreement = " | ".join(" = ".join(group) for group in row.groups)
        changes = sum(parting.argmax_changes for parting in row.partings)
        decision = "the arg-max changes" if changes else "the arg-max never changes"
        known = any(parting.positions for parting in row.partings)
        lines.append(f"output {row.name}: {agreement}" + (f"; {decision}" if known else ""))
    return lines


def _print_recorded(matches: Sequence[RecordedMatch]) -> None:
    found = table("profile", "output", ">elements", ">differ", ">max diff", "result", title="the recording")
    for match in matches:
        for row in match.outputs:
            result = "matches" if row.status == "exact" else "differs"
            found.add_row(match.profile, row.name, f"{row.elements:,}", f"{row.mismatches:,}",
                          f"{row.max_abs_diff:.6g}", result)  # fmt: skip
        if match.reason:
            found.add_row(match.profile, "", "", "", "", f"not compared: {match.reason}")
    print_table(found)


def recorded_verdict(result: ProfilesResult) -> str:
    """Return which profiles a recording matches, in one line."""
    if result.matching:
        return f"the recording matches {' and '.join(result.matching)}, bit for bit"
    closest = [match for match in result.recorded or [] if not match.reason][:1]
    near = [f"; the closest is {match.profile}: {match.mismatches:,} values differ" for match in closest]
    return "the recording matches no profile" + "".join(near)
