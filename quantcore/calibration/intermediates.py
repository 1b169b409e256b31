"""Tensors for values inside of operators, which the quantized LSTM needs the scales of.

TensorFlow's calibrator adds them to the float model before it runs it
(``tools/optimize/quantization_wrapper_utils.cc``); so do `collect_ranges` and the quantizer, each for itself,
and both find them under the same indices.
"""

from __future__ import annotations

from dataclasses import replace

from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.ops.shared.lstm_operands import HIDDEN

__all__ = ["with_intermediates"]

# Of an LSTM: the sums of the input, forget, cell and output gate before layer normalization, and o * tanh(c).
COUNT = HIDDEN + 1
# The LSTM operators that have 20 or 24 inputs; the form of 5 inputs has no quantized form.
LSTM = ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM")
BASIC_INPUTS = 5


def with_intermediates(model: Model) -> Model:
    """Return `model` with five intermediate tensors for each LSTM of its main subgraph, added at the end.

    The model itself where it has no LSTM, or where an operator has such tensors already.
    """
    subgraph = model.subgraphs[0]
    if any(op.intermediates for s in model.subgraphs for op in s.operators):
        return model
    if not any(needs_intermediates(op) for op in subgraph.operators):
        return model
    return model.with_main(extended(subgraph))


def needs_intermediates(op: Operator) -> bool:
    """Whether an operator is an LSTM with a quantized form."""
    return op.op in LSTM and len(op.inputs) > BASIC_INPUTS


def extended(subgraph: Subgraph) -> Subgraph:
    tensors, operators = list(subgraph.tensors), []
    for i, op in enumerate(subgraph.operators):
        if needs_intermediates(op):
            first = len(tensors)
            tensors += [Tensor(f"intermediate_{i}_{k}", (0,), "float32") for k in range(COUNT)]
            op = replace(op, intermediates=tuple(range(first, first + COUNT)))
        operators.append(op)
    return replace(subgraph, tensors=tensors, operators=operators)
