"""One profile against its oracle."""

from __future__ import annotations

from collections.abc import Callable

from quantcore.custom_kernels import KernelTable
from quantcore.errors import OracleError, OracleUnavailable
from quantcore.numerics import get_profile
from quantcore.oracle import Oracle
from quantcore.oracle.registered import lowered_operators
from quantcore.verification.alone import compare_alone
from quantcore.verification.check import SubgraphCheck
from quantcore.verification.drawing import Drawn
from quantcore.verification.entry_point import EntryPoint
from quantcore.verification.layers import compare_layers
from quantcore.verification.result import VerifyResult

__all__ = ["verify_profile"]


def verify_profile(
    drawn: Drawn,
    numerics: str,
    oracle: Oracle,
    step: Callable[[str], None],
    kernels: KernelTable | None = None,
) -> VerifyResult:
    """Compare every entry point with the oracle; see `quantcore.verify`."""
    result = VerifyResult(
        drawn.model.source, numerics, oracle.about, drawn.samples, drawn.seed, notes=[*drawn.notes]
    )
    confirmed = get_profile(numerics).confirmed_on
    if confirmed.get(oracle.name) != oracle.version:
        known = ", ".join(f"{name} {version}" for name, version in confirmed.items())
        result.notes.append(
            f"the profile {numerics!r} was confirmed on {known}; {oracle.name} {oracle.version} may differ"
        )
    for name, (version, limit) in lowered_operators(drawn.model, oracle.resolver).items():
        result.notes.append(
            f"{oracle.resolver} registers {name} up to version {limit} only, although its kernel computes "
            f"version {version}: it was given the file with version {limit}"
        )
    for entry in drawn.entries:
        check, notes = _compare(entry, numerics, oracle, step, kernels)
        check.add_to(result)
        result.notes += notes
    return result


def _compare(
    entry: EntryPoint,
    numerics: str,
    oracle: Oracle,
    step: Callable[[str], None],
    kernels: KernelTable | None,
) -> tuple[SubgraphCheck, list[str]]:
    """Return the filled rows of an entry point, and notes."""
    check = SubgraphCheck(entry, numerics, oracle, step, kernels)
    try:
        return check, compare_layers(check)
    except OracleUnavailable:
        raise
    except OracleError as error:
        reason = str(error)
    check = SubgraphCheck(entry, numerics, oracle, step, kernels)
    notes = compare_alone(check)
    for row in check.end_to_end:
        row.reason = f"the oracle could not run the whole model: {reason}"
    where = f"subgraph {entry.index}: " if entry.index else ""
    note = (
        f"{where}the oracle could not run the whole model, so each operator was run alone, on the values "
        f"that quantcore computed for its inputs: {reason}"
    )
    return check, [note, *notes]
