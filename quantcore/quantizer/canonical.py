"""Operators that the converter writes in another form, whatever their dtype."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["canonicalize"]

LSTM_INPUTS = 24


def canonicalize(subgraph: Subgraph) -> Subgraph:
    """Return `subgraph` as the converter writes reshapes, slices and LSTMs.

    SQUEEZE of a known shape is a RESHAPE. The shape of a RESHAPE is an operand, of one dimension, and not in
    its options. STRIDED_SLICE without strides and masks is a SLICE. An LSTM says of the coefficients of a
    normalization too that it has none.
    """
    tensors, operators = list(subgraph.tensors), []
    for op in subgraph.operators:
        output = tensors[op.outputs[0]] if op.outputs else None
        if op.op == "SQUEEZE" and output is not None and min(output.shape_signature or (0,)) >= 0:
            operators.append(_reshape(op, tensors, np.array(output.shape, np.int32)))
        elif op.op == "RESHAPE":
            operators.append(_reshape(op, tensors, _shape_constant(op, tensors)))
        elif op.op == "STRIDED_SLICE":
            operators.append(_slice(op, tensors))
        elif op.op == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            operators.append(replace(op, inputs=op.inputs + (-1,) * (LSTM_INPUTS - len(op.inputs))))
        else:
            operators.append(op)
    return replace(subgraph, tensors=tensors, operators=operators)


def _reshape(op: Operator, tensors: list[Tensor], shape: np.ndarray | None) -> Operator:
    """Return a RESHAPE in place of `op`; with another shape operand where `shape` is not None."""
    inputs = op.inputs
    if shape is not None:
        tensors.append(Tensor(f"{tensors[op.outputs[0]].name}/shape", shape.shape, "int32", data=shape))
        inputs = (op.inputs[0], len(tensors) - 1)
    return Operator("RESHAPE", op.version if op.op == "RESHAPE" else 1, inputs, op.outputs)


def _shape_constant(op: Operator, tensors: list[Tensor]) -> np.ndarray | None:
    """Return the shape of a RESHAPE as a new constant; None where its operand can stay."""
    if len(op.inputs) < 2:
        return np.array(op.options.get("new_shape", ()), np.int32)
    data = tensors[op.inputs[1]].data
    return data.reshape(-1) if data is not None and data.ndim > 1 else None


def _slice(op: Operator, tensors: list[Tensor]) -> Operator:
    """Return a STRIDED_SLICE as SLICE where its bounds say all."""
    begin, end, strides = (tensors[t].data for t in op.inputs[1:4])
    if begin is None or end is None or strides is None or any(op.options.values()):
        return op
    if (strides != 1).any() or (begin < 0).any() or (end < begin).any():
        return op
    size = (end - begin).astype(begin.dtype)
    tensors.append(Tensor(f"{tensors[op.outputs[0]].name}/size", size.shape, str(size.dtype), data=size))
    return Operator("SLICE", 1, (*op.inputs[:2], len(tensors) - 1), op.outputs)
