"""Integer inputs that say a shape, an axis or an index: values for them that fit the stored shapes.

Most models have such operands as constants. Where one is an input of the graph, its value is unknown until
a run; these are the values that the shapes in the file imply.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["fitting_value", "governing_inputs", "index_limit"]

Shape = tuple[int, ...]

MOST_VALUES = 64  # of an input that a plan is made for

# By operator and operand: the value, from the stored shapes of the first data operand and of the output.
_FITTING: dict[tuple[str, int], Callable[[Shape, Shape], object]] = {
    ("BROADCAST_TO", 1): lambda x, y: y,
    ("EXPAND_DIMS", 1): lambda x, y: 0,
    ("FILL", 0): lambda x, y: y,
    ("MIRROR_PAD", 1): lambda x, y: _paddings(x, y),
    ("PAD", 1): lambda x, y: _paddings(x, y),
    ("PADV2", 1): lambda x, y: _paddings(x, y),
    ("RESHAPE", 1): lambda x, y: y,
    ("RESIZE_BILINEAR", 1): lambda x, y: y[1:3],
    ("RESIZE_NEAREST_NEIGHBOR", 1): lambda x, y: y[1:3],
    ("SLICE", 1): lambda x, y: [0] * len(x),
    ("SLICE", 2): lambda x, y: y,
    ("STRIDED_SLICE", 1): lambda x, y: [0] * len(x),
    ("STRIDED_SLICE", 2): lambda x, y: y if len(x) == len(y) else x,
    ("STRIDED_SLICE", 3): lambda x, y: [1] * len(x),
    ("TILE", 1): lambda x, y: [b // max(a, 1) for a, b in zip(x, y, strict=False)],
    ("TOPK_V2", 1): lambda x, y: y[-1] if y else 1,
    ("TRANSPOSE", 1): lambda x, y: range(len(x)),
    ("TRANSPOSE_CONV", 0): lambda x, y: y,
}

# What is valid whatever the data, where the stored shapes do not say: the first element, then the others.
_NEUTRAL = {
    ("RESHAPE", 1): (-1, 1),
    ("RESIZE_BILINEAR", 1): (1, 1),
    ("RESIZE_NEAREST_NEIGHBOR", 1): (1, 1),
    ("SLICE", 2): (-1, -1),
    ("STRIDED_SLICE", 3): (1, 1),
    ("TILE", 1): (1, 1),
}

# Operand that holds the data, where it is not the first.
_DATA = {"TRANSPOSE_CONV": 2}

# By operator and operand of indices: operand that they point into, and its axis where no option says so.
_INDICES = {("GATHER", 1): 0, ("GATHER_ND", 1): 0, ("EMBEDDING_LOOKUP", 0): 1}


def _paddings(x: Shape, y: Shape) -> list[list[int]]:
    return [[0, max(0, b - a)] for a, b in zip(x, y, strict=False)]


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
    for op, position in _readers(subgraph, t):
        fit = _FITTING.get((op.op, position))
        shape = _operand_shape(subgraph, op, _DATA.get(op.op, 0))
        if fit is None or shape is None or op.outputs[0] < 0:
            continue
        value = np.asarray(fit(shape, subgraph.tensors[op.outputs[0]].shape))
        if value.shape == tensor.shape:
            return value.astype(tensor.dtype)
        if (op.op, position) in _NEUTRAL:
            first, others = _NEUTRAL[op.op, position]
            neutral = np.full(tensor.shape, others, tensor.dtype)
            neutral[:1] = first
            return neutral
    return None


def index_limit(subgraph: Subgraph, t: int) -> int | None:
    """Return the number that every element of index tensor `t` must stay below; None where it is no index."""
    limits = []
    for op, position in _readers(subgraph, t):
        table = _INDICES.get((op.op, position))
        shape = None if table is None else _operand_shape(subgraph, op, table)
        if shape is None:
            continue
        if op.op == "GATHER_ND":  # each index is a row of positions along the leading axes
            shape = shape[: subgraph.tensors[t].shape[-1]] if subgraph.tensors[t].shape else shape
            limits.append(min(shape, default=1))
        elif shape:
            axis = int((op.options or {}).get("axis", 0))
            limits.append(shape[axis] if -len(shape) <= axis < len(shape) else 1)
    return max(1, min(limits)) if limits else None


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


def _operand_shape(subgraph: Subgraph, op: Operator, position: int) -> Shape | None:
    """Return the stored shape of an operand; None where the operator, as in a damaged model, lacks it."""
    t = op.inputs[position] if position < len(op.inputs) else -1
    return subgraph.tensors[t].shape if t >= 0 else None


def _readers(subgraph: Subgraph, t: int) -> list[tuple[Operator, int]]:
    """Return the operators that read tensor `t`, with the operand it is."""
    return [(op, k) for op in subgraph.operators for k, x in enumerate(op.inputs) if x == t and op.outputs]
