"""Operators that would stay float without having been asked to: a list, in place of a surprise."""

from __future__ import annotations

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph
from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.quantizer.float_graph import has_floats, rule_of
from quantcore.quantizer.int16x8.plan import why_float
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.stored_weights import foldable
from quantcore.wording import counted

__all__ = ["refuse_float", "refuse_int16", "without_form", "without_int16_form"]


def without_form(model: Model, settings: Settings) -> dict[int, str]:
    """Return the operators of the main subgraph that have no form in a static mode, and why.

    An operator without float operands is not meant: it stays as it is in every mode. Nor is DEQUANTIZE behind
    weights that the mode int8 takes as they are stored.
    """
    main = model.subgraphs[0]
    settled = settings.int16_operators
    if settings.mode == "int8":
        settled |= foldable(main)
    if settings.trained:  # conversions that training left
        settled |= {i for i, op in enumerate(main.operators) if op.op in ("QUANTIZE", "DEQUANTIZE")}
    return {
        index: f"{op.name} has no quantized form in mode {settings.mode}"
        for index, op in enumerate(main.operators)
        if has_floats(op, main) and index not in settled and not takes(rule_of(op), settings.mode)
    }


def without_int16_form(model: Model) -> dict[int, str]:
    """Return the operators of the main subgraph that cannot run in 16x8 in an int8 model, and why.

    An operator without float operands is not meant.
    """
    main = model.subgraphs[0]
    reasons = {}
    for index, op in enumerate(main.operators):
        if not has_floats(op, main):
            continue
        reason = why_float(op, main)
        if not reason and any(t >= 0 and main.tensors[t].is_quantized for t in op.inputs):
            reason = "its weights are quantized already"
        if reason:
            reasons[index] = reason
    return reasons


def refuse_int16(model: Model, settings: Settings) -> None:
    """Refuse to run operators in 16x8 that have no such form.

    Raises
    ------
    QuantizationError
        With the whole list: index, kind, output, reason.
    """
    reasons, main = without_int16_form(model) if settings.int16_operators else {}, model.subgraphs[0]
    if unknown := sorted(i for i in settings.int16_operators if not 0 <= i < len(main.operators)):
        raise QuantizationError(
            f"{model.source}: there is no operator {unknown[0]}; it has {len(main.operators)}"
        )
    refused = [
        f"{described(i, main)}: {reasons[i]}" for i in sorted(settings.int16_operators) if i in reasons
    ]
    if refused:
        some = counted(len(refused), "operator")
        raise QuantizationError(
            f"{model.source}: {some} cannot run in 16x8: {'; '.join(refused)}. Leave them in int8 or float"
        )


def refuse_float(model: Model, settings: Settings, kept_float: dict[int, str]) -> None:
    """Refuse operators that stay float, unless that was asked for.

    int8 with float inputs and outputs is no request for integers only: as in TensorFlow Lite's converter,
    operators without an int8 form are left in float.

    Parameters
    ----------
    model : Model
        The float model.
    settings : Settings
    kept_float : dict of int to str
        Operators of its main subgraph, and why each stays float.

    Raises
    ------
    QuantizationError
        With the whole list: index, kind, output, reason.
    """
    if settings.allow_float or (settings.mode, settings.io) == ("int8", "float32"):
        return
    main = model.subgraphs[0]
    unasked = [index for index in sorted(kept_float) if index not in settings.float_operators]
    if not unasked:
        return
    listed = [f"{described(index, main)}: {kept_float[index]}" for index in unasked]
    some = counted(len(unasked), "operator")
    raise QuantizationError(
        f"{model.source}: {some} would stay float: {'; '.join(listed)}. Allow that (allow_float=True, "
        "--allow-float), or name them in a recipe with the precision 'float'"
    )


def described(index: int, graph: Subgraph) -> str:
    """Return ``operator 3 (SIN, 'output name')``."""
    op = graph.operators[index]
    names = [repr(graph.tensors[t].name) for t in op.outputs if t >= 0]
    return f"operator {index} ({', '.join([op.name, *names[:1]])})"


def takes(rule: QuantizationRule, mode: str) -> bool:
    """Whether a static mode has a form of an operator."""
    return rule.int16 if mode == "int16x8" else rule.int8
