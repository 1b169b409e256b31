"""The converter's in-place effect: which inputs TensorFlow Lite's memory planner lets an operator overwrite.

TensorFlow's calibrator records the inputs of every operator before it runs, and once more afterwards. Where
the planner has put the output in the place of an input, the second time finds the output there, and the range
of the input becomes the union of both. (``tflite/arena_planner.cc``, IdentifyInPlaceTensors;
``tflite/tools/optimize/calibration/calibrator.cc``, LoggingEval.)
"""

from __future__ import annotations

import math
from collections import Counter

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["overwritten_inputs"]

# How many leading inputs may share their memory with the output; all of these write other data there.
OVERWRITING = {"ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SOFTMAX": 1, "DYNAMIC_UPDATE_SLICE": 1}
# The output of these is the input's memory under another shape.
RENAMING = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BITCAST"})
SCALAR_BYTES = 4  # as small, or smaller, is never shared


def overwritten_inputs(subgraph: Subgraph) -> list[tuple[int, int]]:
    """Return ``(input, output)`` of each operator that overwrites an input, as tensor indices in run order.

    The sizes are those stored in the file: the planner decides before the first run, when operators have not
    resized their outputs yet.
    """
    uses = Counter(t for op in subgraph.operators for t in op.inputs)
    uses.update(subgraph.inputs)
    uses.update(subgraph.outputs)
    uses.update(subgraph.variables())
    storage: dict[int, int] = {}  # by tensor: the one whose memory it is in
    found = []
    for op in subgraph.operators:
        shared = shared_input(subgraph, op, uses)
        if shared is None:
            continue
        place = storage.get(shared, shared)
        if op.op in OVERWRITING:
            if uses[place] > 1:
                continue
            found.append((shared, op.outputs[0]))
        storage[op.outputs[0]] = place
    return found


def shared_input(subgraph: Subgraph, op: Operator, uses: Counter[int]) -> int | None:
    """Return the first input of `op` that its output may share memory with."""
    if not op.outputs or op.outputs[0] in subgraph.outputs:
        return None
    for t in op.inputs[: OVERWRITING.get(op.op, 1 if op.op in RENAMING else 0)]:
        if t < 0 or t in subgraph.inputs:
            continue
        tensor = subgraph.tensors[t]
        if tensor.is_constant or tensor.is_variable:
            continue
        if op.op in OVERWRITING and (uses[t] > 1 or not same_size(tensor, subgraph.tensors[op.outputs[0]])):
            continue
        return t
    return None


def same_size(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are float32, of one size, and more than a scalar."""
    size = 4 * math.prod(a.shape)
    return a.dtype == b.dtype == "float32" and size == 4 * math.prod(b.shape) and size > SCALAR_BYTES
