"""Where each number came from, tensor by tensor: range, method, rule, parameters, and the error they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.calibration import Ranges
from quantcore.compare import compare, describe, match
from quantcore.comparison.constants import CASTS
from quantcore.comparison.result import CompareResult, Row
from quantcore.graph import Model, Subgraph, Tensor
from quantcore.quantizer.account import Account, Entry
from quantcore.quantizer.steps import Plan

__all__ = ["TensorAccount", "explain", "kept_float", "operator_dtypes"]

Advance = Callable[[int], None]


@dataclass(slots=True)
class TensorAccount:
    """One tensor of the quantized model.

    Attributes
    ----------
    index, name, dtype, shape
        The tensor.
    role : str
        ``input``, ``output``, ``constant`` or ``computed``.
    float_tensor : int or None
        The tensor of the float model that it stands for.
    range_min, range_max : float or None
        The range that calibration found for it; of a constant, its smallest and largest value.
    seen_min, seen_max : float or None
        Smallest and largest value that were seen, where the method narrowed the range.
    samples : int or None
    method : str or None
        How the range was found.
    scale, zero_point : list
    quantized_dimension : int or None
        Axis of the scales, if there are several.
    rule : str
        What fixed the parameters.
    source : str or None
        Name of the tensor of the float model that they come from, where that is another.
    facts : dict
        What else the rule used.
    clipped : float or None
        Share of the float values that the codes cannot express.
    sqnr_db : float or None
        Signal-to-quantization-noise ratio against the float model, both run end to end.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str
    float_tensor: int | None = None
    range_min: float | None = None
    range_max: float | None = None
    seen_min: float | None = None
    seen_max: float | None = None
    samples: int | None = None
    method: str | None = None
    scale: list[float] = field(default_factory=list)
    zero_point: list[int] = field(default_factory=list)
    quantized_dimension: int | None = None
    rule: str = ""
    source: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    clipped: float | None = None
    sqnr_db: float | None = None


def explain(
    planned: Plan,
    model: Model,
    ranges: Ranges | None,
    account: Account,
    samples: Sequence[Sequence[np.ndarray]] = (),
    *,
    advance: Advance | None = None,
) -> list[TensorAccount]:
    """Return one row per tensor of the main subgraph that the quantizer made, or whose dtype it changed.

    Parameters
    ----------
    planned : Plan
    model : Model
        What `quantcore.quantizer.quantize.apply` made of it.
    ranges : Ranges or None
        What it was made with.
    account : Account
        What it noted.
    samples : sequence of sequence of ndarray
        One array per input of the float model. Both models are run on them; without any, only the error of
        constants is known.
    advance : callable, optional
        Called with the number of samples that have been run since the last call.
    """
    measured = {row.tensor: row for row in measure(planned.model, model, samples, advance)}
    origin, graph = planned.model.subgraphs[0], model.subgraphs[0]
    for op in graph.operators:  # what DEQUANTIZE makes of a constant is measured; the constant is meant
        if op.op == "DEQUANTIZE" and graph.tensors[op.inputs[0]].is_constant and op.outputs[0] in measured:
            measured.setdefault(op.inputs[0], measured[op.outputs[0]])
    rows = []
    for t, tensor in enumerate(graph.tensors):
        row, entry = measured.get(t), account.tensors.get(t)
        if entry is None and not tensor.is_quantized:
            continue
        rows.append(one(t, tensor, graph, origin, row, entry, ranges or Ranges()))
    return rows


def measure(
    floats: Model, quants: Model, samples: Sequence[Sequence[np.ndarray]], advance: Advance | None
) -> list[Row]:
    """Return what `quantcore.compare` finds; without samples, only what it knows of constants."""
    if not samples:
        result = CompareResult(floats.source, quants.source, "quantized", "reference")
        describe(result, floats, quants, match(floats, quants))
        return result.constants
    seen = 0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal seen
        now = done * len(samples) // total
        if advance is not None and now > seen:
            advance(now - seen)
            seen = now

    result = compare(floats, quants, [list(sample) for sample in samples], progress=progress)
    return result.tensors + result.constants


def one(
    t: int,
    tensor: Tensor,
    graph: Subgraph,
    origin: Subgraph,
    measured: Row | None,
    entry: Entry | None,
    ranges: Ranges,
) -> TensorAccount:
    """Return the account of one tensor."""
    row = TensorAccount(t, tensor.name, tensor.dtype, tensor.shape, role(t, tensor, graph))
    source = None if entry is None else entry.source
    if source is not None and source >= len(origin.tensors):
        source = None  # a tensor that the quantizer has added
    row.float_tensor = source if measured is None else measured.float_tensor
    if entry is not None:
        row.rule, row.facts = entry.rule, entry.facts
        if source is not None and source != row.float_tensor:
            row.source = origin.tensors[source].name
    elif tensor.is_constant and tensor.is_quantized:
        row.rule = "quantized in the float model already"
    if tensor.quantization is not None and tensor.is_quantized:
        row.scale = tensor.quantization.scale.tolist()
        row.zero_point = tensor.quantization.zero_point.tolist()
        row.quantized_dimension = tensor.quantization.quantized_dimension if len(row.scale) > 1 else None
    add_range(row, origin, ranges)
    if measured is not None and not measured.reason and measured.sums.elements:
        measures = measured.measures
        row.sqnr_db = measures.sqnr_db
        if measures.clipped_low is not None and measures.clipped_high is not None:
            row.clipped = measures.clipped_low + measures.clipped_high
    return row


def add_range(row: TensorAccount, origin: Subgraph, ranges: Ranges) -> None:
    """Fill in the range of the float tensor that a row stands for."""
    f = row.float_tensor
    if f is None:
        return
    data = origin.tensors[f].data
    if f in ranges:
        found = ranges[f]
        row.range_min, row.range_max = found.rmin, found.rmax
        row.seen_min, row.seen_max = found.seen_min, found.seen_max
        row.samples, row.method = found.samples, found.method
    elif data is not None and data.dtype == np.float32 and data.size:
        row.range_min, row.range_max = float(data.min()), float(data.max())


def role(t: int, tensor: Tensor, graph: Subgraph) -> str:
    """Return what a tensor is in its graph."""
    if t in graph.inputs:
        return "input"
    if t in graph.outputs:
        return "output"
    return "constant" if tensor.is_constant else "computed"


def operator_dtypes(model: Model) -> dict[str, dict[str, int]]:
    """Return how many operators of each kind the main subgraph has, by the dtype of their (first) output.

    Float operators with quantized weights (mode dynamic) are ``float32, int8 weights``; operators that
    change the dtype stand under ``conversion``.
    """
    graph = model.subgraphs[0]
    counts: dict[str, Counter[str]] = {}
    for op in graph.operators:
        outputs = [graph.tensors[t].dtype for t in op.outputs if t >= 0]
        form = "conversion" if op.op in CASTS else outputs[0] if outputs else "no output"
        if form == "float32" and any(t >= 0 and graph.tensors[t].is_quantized for t in op.inputs):
            form = "float32, int8 weights"
        counts.setdefault(form, Counter())[op.name] += 1
    return {form: dict(sorted(counter.items())) for form, counter in sorted(counts.items())}


def kept_float(model: Model, account: Account) -> list[dict[str, Any]]:
    """Return the operators of the float model that stayed float, and why."""
    graph = model.subgraphs[0]
    rows = []
    for index, reason in sorted(account.kept_float.items()):
        op = graph.operators[index]
        output = next((graph.tensors[t].name for t in op.outputs if t >= 0), None)
        rows.append({"index": index, "op": op.name, "output": output, "reason": reason})
    return rows
