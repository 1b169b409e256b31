"""Operators that the converter writes in another form, whatever their dtype."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["canonicalize"]

# Numbers of inputs, with those that are omitted
INPUTS = {"FULLY_CONNECTED": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 24}


def canonicalize(subgraph: Subgraph) -> Subgraph:
    """Return `subgraph` as the converter writes reshapes, slices and LSTMs.

    SQUEEZE is a RESHAPE, unless two dimensions are unknown. The shape of a RESHAPE is an operand, of one
    dimension, and not in its options. STRIDED_SLICE without strides and masks is a SLICE. FULLY_CONNECTED
    says that it has no bias, and an LSTM that it has no coefficients of a normalization; TRANSPOSE_CONV does
    not.
    """
    tensors, operators = list(subgraph.tensors), []
    for op in subgraph.operators:
        if op.op == "SQUEEZE" and (shape := _squeezed_shape(tensors[op.outputs[0]])) is not None:
            operators.append(_reshape(op, tensors, shape))
        elif op.op == "RESHAPE":
            operators.append(_reshape(op, tensors, _shape_constant(op, tensors)))
        elif op.op == "STRIDED_SLICE":
            operators.append(_slice(op, tensors))
        elif op.op in INPUTS:
            operators.append(replace(op, inputs=op.inputs + (-1,) * (INPUTS[op.op] - len(op.inputs))))
        elif op.op == "TRANSPOSE_CONV" and op.inputs[-1] < 0:
            operators.append(replace(op, inputs=op.inputs[:-1]))
        else:
            operators.append(op)
    return replace(subgraph, tensors=tensors, operators=operators)


def _squeezed_shape(output: Tensor) -> np.ndarray | None:
    """Return the result of a SQUEEZE as the shape of a RESHAPE; None where two dimensions are unknown."""
    shape = output.shape_signature or output.shape
    return np.array(shape, np.int32) if shape.count(-1) < 2 else None


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
    if len(op.inputs) < 4 or min(op.inputs) < 0:
        return op
    begin, end, strides = (tensors[t].data for t in op.inputs[1:4])
    if begin is None or end is None or strides is None or any(op.options.values()):
        return op
    if (strides != 1).any() or (begin < 0).any() or (end < begin).any():
        return op
    size = (end - begin).astype(begin.dtype)
    tensors.append(Tensor(f"{tensors[op.outputs[0]].name}/size", size.shape, str(size.dtype), data=size))
    return Operator("SLICE", 1, (*op.inputs[:2], len(tensors) - 1), op.outputs)
