"""One profile against its oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quantcore.errors import OracleError, OracleUnavailable
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.oracle import Oracle
from quantcore.oracle.arguments import ModelLike
from quantcore.verification.alone import compare_alone
from quantcore.verification.drawing import Drawn
from quantcore.verification.layers import Sample, SubgraphCheck, compare_layers
from quantcore.verification.result import VerifyResult

__all__ = ["verify_profile"]


def verify_profile(
    source: ModelLike, model: Model, numerics: str, oracle: Oracle, drawn: Drawn, step: Callable[[str], None]
) -> VerifyResult:
    """Compare every reachable subgraph with the oracle; see `quantcore.verify`.

    Parameters
    ----------
    source : Model, bytes or path
        The model as it is; `model` is the same, read.
    """
    result = VerifyResult(model.source, numerics, {}, len(drawn.samples[0]), drawn.seed, notes=[*drawn.notes])
    result.oracle = {"name": oracle.name, "version": oracle.version, "resolver": oracle.resolver}
    confirmed = get_profile(numerics).confirmed_on
    if confirmed.get(oracle.name) != oracle.version:
        known = ", ".join(f"{name} {version}" for name, version in confirmed.items())
        result.notes.append(
            f"the profile {numerics!r} was confirmed on {known}; {oracle.name} {oracle.version} may differ"
        )
    for s, samples in drawn.samples.items():
        _compare_subgraph(SubgraphCheck(source, model, s, numerics, oracle, step), samples, result)
    return result


def _compare_subgraph(check: SubgraphCheck, samples: Sequence[Sample], result: VerifyResult) -> None:
    """Compare a subgraph on `samples` and append what was found to `result`."""
    try:
        result.notes += compare_layers(check, samples)
    except OracleUnavailable:
        raise
    except OracleError as error:
        where = f"subgraph {check.index}: " if check.index else ""
        result.notes.append(
            f"{where}the oracle could not run the whole model, so each operator was run alone, on the values "
            f"that quantcore computed for its inputs: {error}"
        )
        check.clear()
        result.notes += compare_alone(check, samples)
        for row in check.end_to_end:
            row.reason = f"the oracle could not run the whole model: {error}"
    check.add_to_result(result)
