"""Inputs and outputs of a model in the mode int16x8, as the user wants them."""

from __future__ import annotations

from quantcore.graph import Operator, Tensor
from quantcore.quantizer.int16x8.draft import Draft
from quantcore.quantizer.int16x8.operands import Operands
from quantcore.quantizer.working_copy import redirect

__all__ = ["set_ends"]


def set_ends(draft: Draft, operands: Operands, io: str) -> None:
    """Make the graph's inputs and outputs what `io` says: float32, or int16.

    A new end has the name of the old one, whose name gets a suffix, ``_int16`` or ``_float``. Inputs that
    are to be int16 have been quantized before; outputs of float operators are quantized here.
    """
    graph = draft.graph
    if io == "float32":
        redirect(draft.model, "inputs", tuple(float_input(draft, t) for t in graph.inputs))
        redirect(draft.model, "outputs", tuple(float_output(draft, t) for t in graph.outputs))
    else:
        redirect(draft.model, "outputs", tuple(int16_output(draft, operands, t) for t in graph.outputs))


def quantized(tensor: Tensor) -> bool:
    """Whether a tensor holds quantized values."""
    return tensor.is_quantized and tensor.dtype in ("int16", "int8")


def exchange(draft: Draft, t: int, dtype: str, suffix: str) -> int:
    """Return a new tensor with the name of `t`, whose own name gets `suffix`."""
    name = draft.tensors[t].name
    draft.tensors[t].name = name + suffix
    return draft.add(name, t, dtype)


def float_input(draft: Draft, t: int) -> int:
    """Return the float tensor for an input, which is quantized behind it where operators need that."""
    if not quantized(draft.tensors[t]):
        return t
    new = exchange(draft, t, "float32", "_int16")
    draft.graph.operators.insert(0, Operator("QUANTIZE", 1, (new,), (t,)))
    return new


def float_output(draft: Draft, t: int) -> int:
    """Return the float tensor for an output."""
    if not quantized(draft.tensors[t]):
        return t
    new = exchange(draft, t, "float32", "_int16")
    draft.graph.operators.append(Operator("DEQUANTIZE", 2, (t,), (new,)))
    return new


def int16_output(draft: Draft, operands: Operands, t: int) -> int:
    """Return the int16 tensor for an output, which a float operator may compute, or which is a constant."""
    if draft.tensors[t].dtype != "float32":
        return t
    if draft.tensors[t].is_constant:
        return operands.constants.activation(t)
    new = exchange(draft, t, "int16", "_float")
    operands.set_range(t, new)
    draft.graph.operators.append(Operator("QUANTIZE", 1, (t,), (new,)))
    return new
