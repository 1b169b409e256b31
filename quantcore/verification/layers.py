"""One subgraph against the oracle: layer by layer on the oracle's own tensors, then end to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.differences import differing
from quantcore.errors import QuantcoreError
from quantcore.numerics import get_profile
from quantcore.verification.check import SubgraphCheck, Values, give_reason
from quantcore.verification.end_to_end import EndToEnd
from quantcore.verification.entry_point import Sample

__all__ = ["compare_layers"]


def compare_layers(check: SubgraphCheck) -> list[str]:
    """Fill the rows from the oracle's tensors, and return notes.

    The oracle runs every sample twice: as the model stands, for the end-to-end comparison, and rewritten so
    that it hands out all tensors.

    Raises
    ------
    OracleError
        The oracle could not run the subgraph.
    """
    entry = check.entry
    whole = EndToEnd(check)
    notes: list[str] = []
    prepared: Values | None = None
    for first, chunk in entry.chunks(entry.tensors):
        outputs = check.ask(entry.whole, chunk)
        tensors = check.ask(entry.layered, chunk)
        if prepared is None:
            prepared = _computed_while_preparing(check, chunk[0])
        for number, (sample, expected, result) in enumerate(zip(chunk, outputs, tensors, strict=True), first):
            values = dict(zip(entry.tensors, result, strict=True)) | prepared
            for i, op in enumerate(check.operators):
                _compare_operator(check, i, values, number)
                check.step(f"operator {i} {op.op}")
            whole.compare(sample, expected, number)
            if not notes and not _agree(expected, [values[t] for t in entry.subgraph.outputs]):
                notes.append(
                    f"sample {number}: the oracle gave other outputs when asked for intermediate tensors; "
                    "the layers above may not be what it computes otherwise"
                )
    return notes + whole.notes()


def _computed_while_preparing(check: SubgraphCheck, sample: Sample) -> Values:
    """Return the tensors that follow from constants alone, where the profile has a delegate.

    A delegate computes them once, while it prepares, and hands out unwritten memory for them (XNNPACK, the
    DEQUANTIZE of int8 filters): they are taken from the kernels that it delegates for.
    """
    fallback = get_profile(check.numerics).fallback
    known = {t for t, tensor in enumerate(check.entry.subgraph.tensors) if tensor.data is not None}
    found: list[int] = []
    for op in check.operators:
        if op.inputs and known.issuperset(t for t in op.inputs if t >= 0):
            known.update(op.outputs)
            found += [t for t in op.outputs if t >= 0]
    if fallback is None or not found:
        return {}
    kernels = check.oracle.sibling(get_profile(fallback).resolver)
    (values,) = kernels.run_batch(check.entry.model, [sample], found, subgraph=check.entry.index)
    return dict(zip(found, values, strict=True))


def _agree(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return all(x.shape == y.shape and not differing(x, y).any() for x, y in zip(a, b, strict=True))


def _compare_operator(check: SubgraphCheck, i: int, values: Values, number: int) -> None:
    try:
        ours = check.ours.run(i, values)
    except QuantcoreError as error:
        give_reason(check.rows[i], str(error))
        return
    check.compare(i, number, values, ours, values)
