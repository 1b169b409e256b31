"""Post-training quantization to int8: weights, biases and activations."""

from __future__ import annotations

from quantcore.calibration.ranges import Ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.qparams import QuantParams, choose_qparams
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.int8.canonical import canonicalize
from quantcore.quantizer.int8.decisions import Decisions
from quantcore.quantizer.int8.mixed import free_scales, put_int16
from quantcore.quantizer.int8.propagation import propagate
from quantcore.quantizer.int8.recurrent import intermediate_params, joined_ranges, state_params
from quantcore.quantizer.int8.rewrite import Rewrite
from quantcore.quantizer.int8.squash import squash
from quantcore.quantizer.int8.statistics import prune_statistics
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.stored_weights import fold_dequantize
from quantcore.quantizer.working_copy import redirect, working_copy

__all__ = ["quantize"]


def quantize(model: Model, ranges: Ranges, settings: Settings, account: Account) -> Model:
    """Return the int8 form of a float model, as TFLite's converter makes it.

    ``docs/quantization/int8.md`` says by which rules. The model is not changed. The result is a draft, which
    `quantcore.quantizer.finish` completes.

    Parameters
    ----------
    model : Model
        That of a `Plan`. Its main subgraph is quantized.
    ranges : Ranges
        A value without a range has the parameters that its neighbours give it, or stays float.
    settings : Settings
    account : Account
        Is filled in; whether operators may stay float is the caller's to say (`quantcore.quantizer.refusal`).

    Raises
    ------
    QuantizationError
        A range gives no scale.
    """
    draft = working_copy(model)
    graph = FloatGraph.of(draft, fold_dequantize(draft.subgraphs[0]))
    if settings.trained:
        known = [t for t in (*graph.subgraph.inputs, *graph.producers) if graph.is_value(t)]
        fixed = {t: settings.trained[t] for t in known if t in settings.trained}
        found = propagate(graph, fixed, settings)
    else:
        free_scales(graph, ranges, settings.int16_operators)
        kept = prune_statistics(graph, ranges)
        joined = joined_ranges(graph, ranges, kept)
        fixed = {t: _params(graph, joined, t) for t in kept} | state_params(graph, joined)
        found = propagate(graph, fixed, settings, intermediate_params(graph, joined))
    decisions = Decisions(found, settings)
    account.kept_float.update(decisions.reasons)
    rewrite = Rewrite(found, decisions, settings.io, account)
    main = rewrite.run()
    if decisions.int16:
        main = put_int16(main, rewrite, ranges, settings)
    main = canonicalize(squash(main, settings.io) if settings.trained else main)
    redirect(draft, "outputs", main.outputs)
    draft.subgraphs[0] = main
    return draft


def _params(graph: FloatGraph, ranges: Ranges, t: int) -> QuantParams:
    try:
        return choose_qparams(ranges[t].rmin, ranges[t].rmax)
    except QuantizationError as error:
        raise QuantizationError(f"tensor {t} ({graph.tensor(t).name!r}): {error}") from None
