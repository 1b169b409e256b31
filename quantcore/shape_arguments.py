"""Integer inputs that say a shape, an axis or an index: values for them that fit the stored shapes.

Most models have such operands as constants. Where one is an input of the graph, its value is unknown until
a run; these are the values that the shapes in the file imply, by what each operator says of its inputs
(`quantcore.ops.shared.integer_input`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor
from quantcore.ops.registry import load_operators
from quantcore.ops.shared.integer_input import IndexInput, ShapeInput

__all__ = ["fitting_value", "governing_inputs", "index_limit"]

MOST_VALUES = 64  # of an input that a plan is made for


def fitting_value(subgraph: Subgraph, t: int) -> np.ndarray | None:
    """Return a value for integer tensor `t` that fits the stored shapes; None where it says no shape.

    Parameters
    ----------
    subgraph : Subgraph
    t : int
        Index of a tensor that has no constant value.

    Returns
    -------
    ndarray of the tensor's dtype and stored shape, or None
    """
    tensor = subgraph.tensors[t]
    for op, meaning in _readers(subgraph, t):
        if not isinstance(meaning, ShapeInput):
            continue
        shape = _operand_shape(subgraph, op, meaning.data)
        if shape is None or op.outputs[0] < 0:
            continue
        value = np.asarray(meaning.fit(shape, subgraph.tensors[op.outputs[0]].shape))
        if value.shape == tensor.shape:
            return value.astype(tensor.dtype)
        if meaning.neutral is not None:
            first, others = meaning.neutral
            neutral = np.full(tensor.shape, others, tensor.dtype)
            neutral[:1] = first
            return neutral
    return None


def index_limit(subgraph: Subgraph, t: int) -> int | None:
    """Return the number that every element of index tensor `t` must stay below; None where it is no index."""
    limits = []
    for op, meaning in _readers(subgraph, t):
        if not isinstance(meaning, IndexInput):
            continue
        shape = _operand_shape(subgraph, op, meaning.table)
        if shape is not None:
            limits.append(meaning.limit(shape, subgraph.tensors[t].shape, op.options))
    return max(1, min(known)) if (known := [limit for limit in limits if limit is not None]) else None


def governing_inputs(subgraph: Subgraph, t: int) -> set[int]:
    """Return the graph inputs that tensor `t` is computed from, if all of them are plain integers.

    Empty where one is a float, has a scale or is large, or where state takes part: then the value is data.
    """
    written_by = {y: op for op in subgraph.operators for y in op.outputs}
    found: set[int] = set()
    todo, seen = [t], set()
    while todo:
        tensor = todo.pop()
        if tensor in seen or tensor < 0 or subgraph.tensors[tensor].data is not None:
            continue
        seen.add(tensor)
        if tensor in subgraph.inputs:
            found.add(tensor)
        elif tensor in written_by and written_by[tensor].op != "SHAPE":
            todo.extend(written_by[tensor].inputs)
        elif tensor not in written_by:
            return set()
    return found if all(_says_a_shape(subgraph.tensors[i]) for i in found) else set()


def _says_a_shape(tensor: Tensor) -> bool:
    plain = tensor.dtype in ("bool", "int32", "int64") and not tensor.is_quantized
    return plain and int(np.prod(tensor.shape)) <= MOST_VALUES


def _operand_shape(subgraph: Subgraph, op: Operator, position: int) -> tuple[int, ...] | None:
    """Return the stored shape of an operand; None where the operator, as in a damaged model, lacks it."""
    t = op.inputs[position] if position < len(op.inputs) else -1
    return subgraph.tensors[t].shape if t >= 0 else None


def _readers(subgraph: Subgraph, t: int) -> Iterator[tuple[Operator, ShapeInput | IndexInput]]:
    """Yield the operators to which tensor `t` says a shape or an index, with what it says."""
    for op in subgraph.operators:
        definition = load_operators().get(op.name)
        if definition is None or not op.outputs:
            continue
        for position, meaning in definition.integer_inputs.items():
            if op.inputs[position : position + 1] == (t,):
                yield op, meaning
