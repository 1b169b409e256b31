"""Mode float16: constants are stored as float16, and one DEQUANTIZE each makes them float32 again.

See docs/quantization/float16.md. Source: ``prepare_quantize_dynamic_range.cc`` in TensorFlow's converter.
"""

from __future__ import annotations

import numpy as np

from quantcore.calibration.ranges import Ranges
from quantcore.graph import Model, Operator, Subgraph
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_constants import FloatConstants, in_subgraphs
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.working_copy import working_copy

__all__ = ["quantize", "to_float16"]

LARGEST = np.float32(65504)  # the largest float16


def quantize(model: Model, ranges: Ranges, settings: Settings, account: Account) -> Model:
    """Return `model` with its float32 constants as float16.

    Every float32 constant that an operator uses is rounded to float16, whatever its size, in all subgraphs.
    So are the zeros that the state of LSTM and SVDF holds at first; it persists all the same, since TFLite
    runs DEQUANTIZE of a constant once.

    Parameters
    ----------
    model : Model
        A float model. It is not changed.
    ranges : Ranges
        Not looked at: nothing is calibrated.
    settings : Settings
        `float_operators` of the main subgraph keep their float32 constants.
    account : Account
        Is told of the constants of the main subgraph.

    Returns
    -------
    Model
        A draft, which `quantcore.quantizer.finish` completes.
    """
    draft = working_copy(model)
    for constants, told in in_subgraphs(draft, settings, account):
        store_constants(constants, told)
    return draft


def store_constants(constants: FloatConstants, account: Account) -> None:
    """Replace the float32 constants of a subgraph where operators use them, and dequantize them first."""
    graph = constants.graph
    conversions: dict[int, list[Operator]] = {}
    for t, uses in constants.uses.items():
        tensor = graph.tensors[t]
        half = constants.add(t, "float16", to_float16(constants.value(t)))
        account.record(half, "rounded to float16", t)
        conversion = constants.dequantize(half, version=3, variable=tensor.is_variable)
        position = _place(graph, t, uses[0][0]) if tensor.is_variable else 0
        for use in uses:
            constants.replace(use, conversion.outputs[0])
        conversions.setdefault(position, []).append(conversion)
    operators = []
    for i, op in enumerate(graph.operators):
        operators += [*conversions.get(i, ()), op]
    graph.operators[:] = operators


def _place(graph: Subgraph, state: int, user: int) -> int:
    """Return the operator before which the converter dequantizes a state: it leaves zeros where they stand.

    A file of the converter numbers tensors in order, so that is where an operator first writes a tensor of a
    higher index.
    """
    later = (i for i, op in enumerate(graph.operators) if max(op.outputs, default=-1) > state)
    return min(next(later, user), user)


def to_float16(values: np.ndarray) -> np.ndarray:
    """Return float32 values as float16: rounded to nearest, ties to even, clamped to -65504 and 65504.

    NaN stays NaN.
    """
    with np.errstate(invalid="ignore", under="ignore"):
        halves: np.ndarray = np.clip(values, -LARGEST, LARGEST).astype(np.float16)
    return halves
