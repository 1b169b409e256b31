"""From `Model` to kernel calls: the only place that knows both.

Operators are visited once, in order. Shapes follow from the shapes of the subgraph's inputs; a value
that follows from constants and shapes alone is computed here, so that shape arithmetic and the
dequantization of float16 weights cost nothing at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from quantcore.errors import ModelFormatError, UnsupportedOperatorError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Profile
from quantcore.ops.registry import build_node, find_definition
from quantcore.runtime.calls import Calls
from quantcore.runtime.lowered import RUNNABLE_DTYPES, Lowered, Step, check_shape

__all__ = ["lower", "numpy_dtype", "operator_lowering"]


def numpy_dtype(tensor: Tensor, index: int) -> np.dtype:
    """Return the NumPy dtype in which a tensor is held at run time.

    Raises
    ------
    UnsupportedOperatorError
        For dtypes that no kernel computes with (strings, resources, sub-byte activations ...).
    """
    if tensor.dtype not in RUNNABLE_DTYPES:
        raise UnsupportedOperatorError(
            f"tensor {index} ({tensor.name!r}) has dtype {tensor.dtype}, "
            "which quantcore cannot hold at run time"
        )
    return np.dtype(tensor.dtype)


def lower(
    model: Model,
    subgraph_index: int,
    input_shapes: Mapping[int, tuple[int, ...]],
    profile: Profile,
    input_values: Mapping[int, np.ndarray],
) -> Lowered:
    """Lower a subgraph.

    Parameters
    ----------
    model : Model
    subgraph_index : int
    input_shapes : dict of int to tuple
        Shape of each graph input by tensor index; missing ones have the shape in the file.
    profile : Profile
    input_values : dict of int to ndarray
        Graph inputs whose value is known, since shapes follow from it.

    Raises
    ------
    UnsupportedOperatorError, KernelError, ModelFormatError
        UnknownValueError where a shape follows from a value that is not known.
    """
    subgraph = model.subgraphs[subgraph_index]
    lowered = Lowered(list(subgraph.tensors))
    for t, tensor in enumerate(subgraph.tensors):
        lowered.add_known(t, tensor)
    for t in subgraph.inputs:
        shape = tuple(input_shapes.get(t, subgraph.tensors[t].shape))
        check_shape(shape, f"input tensor {t} ({subgraph.tensors[t].name!r})")
        lowered.shapes[t] = shape
        lowered.values.pop(t, None)
        if t in input_values:
            lowered.values[t] = input_values[t]
    lower_next = operator_lowering(model, subgraph_index, profile, lowered)
    for index in range(len(subgraph.operators)):
        lower_next(subgraph, index)
    for t in subgraph.outputs:
        if t not in lowered.shapes:
            raise ModelFormatError(
                f"output tensor {t} is never computed", f"subgraphs[{subgraph_index}].outputs"
            )
    return lowered


def operator_lowering(
    model: Model, subgraph_index: int, profile: Profile, lowered: Lowered
) -> Callable[[Subgraph, int], None]:
    """Return the function that lowers an operator, given its subgraph and index, into `lowered`."""

    def lower_next(subgraph: Subgraph, index: int) -> None:
        lower_operator(subgraph, index, profile, lowered, calls)

    calls = Calls(model, lowered, lower_next)
    calls.active.append(subgraph_index)
    return lower_next


def lower_operator(subgraph: Subgraph, index: int, profile: Profile, lowered: Lowered, calls: Calls) -> None:
    """Lower one operator and record its step, or its value where that is already known."""
    op = subgraph.operators[index]
    definition = find_definition(op, index)
    for t in op.inputs:
        if t >= 0 and t not in lowered.shapes:
            raise UnsupportedOperatorError(f"reads tensor {t}, which nothing has computed yet", op.op, index)
    if only_starts_state(subgraph, op, lowered.values):
        return
    for t in op.outputs:
        if t in lowered.shapes:
            raise UnsupportedOperatorError(f"writes tensor {t}, which already has a value", op.op, index)
    node = build_node(subgraph, index, profile, lowered.shapes, lowered.values)
    if definition.expand is not None:
        calls.finish(node, definition.expand(node, partial(calls.call, node)))
        return
    node.check_profile()
    try:
        call = definition.lower(node)
    except OverflowError as error:
        # Parameters are C integers; only a damaged or hostile model has one that does not fit.
        raise node.refuse(f"a parameter is out of the range of its C type: {error}") from None
    for y in node.outputs:
        check_shape(y.shape, f"operator {index} ({op.op}): output tensor {y.index}")
        numpy_dtype(y.tensor, y.index)
        lowered.shapes[y.index] = y.shape
    if all(y.value is not None for y in node.outputs):
        lowered.values.update((y.index, np.asarray(y.value)) for y in node.outputs)
    elif all(x is None or x.value is not None for x in node.inputs):
        outputs = [np.zeros(y.shape, numpy_dtype(y.tensor, y.index)) for y in node.outputs]
        inputs = kernel_inputs(op, call, len(outputs))
        call([None if t < 0 else contiguous(lowered.values[t]) for t in inputs], outputs)
        lowered.values.update((y.index, value) for y, value in zip(node.outputs, outputs, strict=True))
    else:
        written = tuple(y.index for y in node.outputs)
        tensors = (*kernel_inputs(op, call, len(written)), *written)
        macs = 0 if definition.macs is None else int(definition.macs(node))
        lowered.steps.append(Step(f"operator {index} ({op.op})", call, tensors, len(written), macs))


def only_starts_state(subgraph: Subgraph, op: Operator, values: Mapping[int, np.ndarray]) -> bool:
    """Whether an operator does nothing but give state the zeros that it starts with.

    Float16 models of the converter hold such a DEQUANTIZE. TFLite runs it once, as it does for constants.
    """
    if op.op != "DEQUANTIZE" or len(op.inputs) != 1 or op.inputs[0] not in values:
        return False
    return all(subgraph.tensors[t].is_variable for t in op.outputs) and not values[op.inputs[0]].any()


def kernel_inputs(op: Operator, call: KernelCall, outputs: int) -> tuple[int, ...]:
    """Return the inputs in the kernel's order: optional ones that the file leaves out become -1."""
    return (*op.inputs, *[-1] * (call.arity - len(op.inputs) - outputs))


def contiguous(value: np.ndarray) -> np.ndarray:
    """Return `value` as an aligned, C-contiguous array; a copy only where it is not one."""
    return np.require(value, requirements=["C", "A"])


def step_tensors(lowered: Lowered) -> Iterator[tuple[int, int]]:
    """Yield ``(step position, tensor)`` for every tensor of a step that is not a known value."""
    for position, step in enumerate(lowered.steps):
        for t in step.tensors:
            if t >= 0 and t not in lowered.values:
                yield position, t
