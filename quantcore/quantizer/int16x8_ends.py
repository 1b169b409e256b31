"""Inputs and outputs of a model in the mode int16x8, as the user wants them."""

from __future__ import annotations

from quantcore.graph import Operator, Tensor
from quantcore.quantizer.draft import Draft
from quantcore.quantizer.int16x8_operands import Operands

__all__ = ["set_ends"]


def set_ends(draft: Draft, operands: Operands, io: str) -> None:
    """Make the graph's inputs and outputs what `io` says: float32, or int16.

    A new end has the name of the old one, whose name gets a suffix, ``_int16`` or ``_float``. Inputs that
    are to be int16 have been quantized before; outputs of float operators are quantized here.
    """
    graph = draft.graph
    if io == "float32":
        for t in graph.inputs:
            if quantized(draft.tensors[t]):
                new = exchange(draft, t, "float32", "_int16")
                graph.operators.insert(0, Operator("QUANTIZE", 1, (new,), (t,)))
                redirect(draft, "inputs", t, new)
    for t in graph.outputs:
        if io == "float32" and quantized(draft.tensors[t]):
            new = exchange(draft, t, "float32", "_int16")
            graph.operators.append(Operator("DEQUANTIZE", 2, (t,), (new,)))
        elif io == "int16" and draft.tensors[t].dtype == "float32":
            new = int16_output(draft, operands, t)
        else:
            continue
        redirect(draft, "outputs", t, new)


def quantized(tensor: Tensor) -> bool:
    """Whether a tensor holds quantized values."""
    return tensor.is_quantized and tensor.dtype in ("int16", "int8")


def exchange(draft: Draft, t: int, dtype: str, suffix: str) -> int:
    """Return a new tensor with the name of `t`, whose own name gets `suffix`."""
    name = draft.tensors[t].name
    draft.tensors[t].name = name + suffix
    return draft.add(name, t, dtype)


def int16_output(draft: Draft, operands: Operands, t: int) -> int:
    """Return the int16 tensor for an output that a float operator computes, or that is a constant."""
    if draft.tensors[t].is_constant:
        return operands.constants.activation(t)
    new = exchange(draft, t, "int16", "_float")
    operands.set_range(t, new)
    draft.graph.operators.append(Operator("QUANTIZE", 1, (t,), (new,)))
    return new


def redirect(draft: Draft, kind: str, old: int, new: int) -> None:
    """Replace a tensor among the graph's ``inputs`` or ``outputs``, and in the signatures."""
    graph = draft.graph
    setattr(graph, kind, tuple(new if t == old else t for t in getattr(graph, kind)))
    for signature in draft.model.signatures:
        if signature.subgraph_index == 0:
            names = getattr(signature, kind)
            names.update({name: new for name, t in names.items() if t == old})
