"""Mode int16x8: int16 activations, int8 weights, int64 biases.

TFLite's converter has its older quantizer for this mode, which visits the operators once, in order
(``tools/optimize/quantize_model.cc``). ``docs/quantization/int16x8.md`` has its rules, and where ours differ
from them on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.calibration.ranges import Ranges
from quantcore.flatbuffer.schema import TABLES, options_table
from quantcore.graph import Model, Quantization
from quantcore.quantizer.account import Account
from quantcore.quantizer.int16x8.constants import Constants
from quantcore.quantizer.int16x8.draft import Draft
from quantcore.quantizer.int16x8.ends import set_ends
from quantcore.quantizer.int16x8.operands import Operands
from quantcore.quantizer.int16x8.plan import Step, plan
from quantcore.quantizer.int16x8.same_scale import requantize_operands
from quantcore.quantizer.settings import Settings

__all__ = ["quantize"]

# Options that choose among kernels for int16: powers of two as scales, and the dtype of the accumulator
OPTIONS = {"pot_scale_int16": False, "quantized_bias_type": "INT64"}


def quantize(model: Model, ranges: Ranges, settings: Settings, account: Account) -> Model:
    """Return `model` with int16 activations, int8 weights and int64 biases.

    Parameters
    ----------
    model : Model
        That of a `Plan`. It is not changed.
    ranges : Ranges
        The range of each float tensor that is computed; the graph's inputs are among them.
    settings : Settings
        `mode` is ``int16x8``.
    account : Account
        Is told which rule fixed the parameters of each tensor, and which operators stayed float.

    Returns
    -------
    Model
        The main subgraph is quantized. Operator versions are those of the float model, and tensors that
        nothing uses any more are still there.

    Raises
    ------
    QuantizationError
        No range for a tensor that needs one; a model that is quantized already.
    """
    draft = Draft.of(model, ranges, account)
    for op in draft.graph.operators:
        op.intermediates = ()  # an LSTM, which has no form for int16
    steps = plan(draft, settings)
    constants = Constants(draft)
    constants.find_ranges(steps)
    record_ranges(draft)
    operands = Operands(draft, constants)
    operands.run(steps, settings.io)
    requantize_operands(draft, steps)
    quantize_biases(steps, constants)
    set_options(draft)
    set_ends(draft, operands, settings.io)
    return draft.model


def record_ranges(draft: Draft) -> None:
    """Note the range of each tensor in its quantization record, where the converter leaves it."""
    for t, found in sorted(draft.ranges.items()):
        low, high = (np.array([end], np.float32) for end in (found.rmin, found.rmax))
        draft.tensors[t].quantization = Quantization(
            np.empty(0, np.float32), np.empty(0, np.int64), 0, low, high
        )


def quantize_biases(steps: Sequence[Step], constants: Constants) -> None:
    """Give each bias the product of the scales of its operator's input and weights."""
    draft = constants.draft
    for step in steps:
        if step.rule is None or step.rule.bias is None or step.operand(step.rule.bias[0]) < 0:
            continue
        position, given, weights = step.rule.bias
        scales = draft.tensors[step.operand(weights)].quantization
        assert scales is not None
        bias = constants.bias(step.operand(position), draft.scale(step.operand(given)), scales.scale)
        step.replace_operand(position, bias)


def set_options(draft: Draft) -> None:
    """Set the options that choose among kernels for int16, where an operator has them."""
    for op in draft.graph.operators:
        table = options_table(op.op)
        known = TABLES[table].defaults if table is not None else {}
        op.options.update({name: value for name, value in OPTIONS.items() if name in known})
