"""From `Model` to kernel calls: the only place that knows both.

Operators are visited once, in order. Shapes follow from the shapes of the subgraph's inputs; a value
that follows from constants and shapes alone is computed here, so that shape arithmetic and the
dequantization of float16 weights cost nothing at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from quantcore.custom_kernels.bound import BoundKernel
from quantcore.custom_kernels.keys import Assignment, KernelTable
from quantcore.errors import ModelFormatError, UnsupportedOperatorError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Profile
from quantcore.ops.node import Node
from quantcore.ops.registry import build_node, find_definition
from quantcore.runtime.calls import Calls
from quantcore.runtime.custom_operators import lower_custom, lowering_lock
from quantcore.runtime.lowered import RUNNABLE_DTYPES, Lowered, Step, check_shape
from quantcore.runtime.padding import fusible_pads, padding_of_image

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
    *,
    fuse: bool = False,
    kernels: KernelTable | None = None,
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
    fuse : bool
        Whether operators may become a part of others, so that not all tensors are computed.
    kernels : KernelTable, optional
        Kernels of the user's in the place of ours.

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
    assignment = Assignment(kernels or KernelTable({}))
    lower_next = operator_lowering(model, subgraph_index, profile, lowered, fuse=fuse, assignment=assignment)
    with lowering_lock:
        for index in range(len(subgraph.operators)):
            lower_next(subgraph, index)
    assignment.finish()
    lowered.kernels = assignment.used
    for t in subgraph.outputs:
        if t not in lowered.shapes:
            raise ModelFormatError(
                f"output tensor {t} is never computed", f"subgraphs[{subgraph_index}].outputs"
            )
    return lowered


def operator_lowering(
    model: Model,
    subgraph_index: int,
    profile: Profile,
    lowered: Lowered,
    *,
    fuse: bool = False,
    assignment: Assignment,
) -> Callable[[Subgraph, int], None]:
    """Return the function that lowers an operator, given its subgraph and index, into `lowered`."""
    main = model.subgraphs[subgraph_index]
    pads = fusible_pads(main, assignment.table.named_operators(main)) if fuse else ()

    def lower_next(subgraph: Subgraph, index: int) -> None:
        may_fuse = subgraph is main and index in pads
        lower_operator(subgraph, index, profile, lowered, calls, assignment, may_fuse=may_fuse)

    calls = Calls(model, lowered, lower_next)
    calls.active.append(subgraph_index)
    return lower_next


def lower_operator(
    subgraph: Subgraph,
    index: int,
    profile: Profile,
    lowered: Lowered,
    calls: Calls,
    assignment: Assignment,
    *,
    may_fuse: bool = False,
) -> None:
    """Lower one operator and record its step, or its value where that is already known.

    With `may_fuse`, a PAD can become a part of the convolutions that read its output.
    """
    op = subgraph.operators[index]
    is_main = len(calls.active) == 1
    candidates = assignment.candidates(subgraph, index, is_main=is_main)
    if not candidates:
        find_definition(op, index)
    for t in op.inputs:
        if t >= 0 and t not in lowered.shapes:
            raise UnsupportedOperatorError(f"reads tensor {t}, which nothing has computed yet", op.op, index)
    if only_starts_state(subgraph, op, lowered.values):
        return
    for t in op.outputs:
        if t in lowered.shapes:
            raise UnsupportedOperatorError(f"writes tensor {t}, which already has a value", op.op, index)
    if candidates:
        make_node = partial(build_node, subgraph, index, profile, lowered.shapes, lowered.values)
        custom = lower_custom(make_node, candidates, assignment, (calls.active[-1], index))
        if custom is not None:
            record_custom(*custom, lowered)
            return
    definition = find_definition(op, index)
    node = build_node(subgraph, index, profile, lowered.shapes, lowered.values)
    if definition.expand is not None:
        calls.finish(node, definition.expand(node, partial(calls.call, node)))
        return
    node.check_profile()
    given = take_padding(node, lowered)
    try:
        call = definition.lower(node)
    except OverflowError as error:
        # Parameters are C integers; only a damaged or hostile model has one that does not fit.
        raise node.refuse(f"a parameter is out of the range of its C type: {error}") from None
    set_shapes(node, lowered)
    written = tuple(y.index for y in node.outputs)
    step = Step(op.op, index, call, (*kernel_inputs(given, call, len(written)), *written), len(written))
    if all(y.value is not None for y in node.outputs):
        lowered.values.update((y.index, np.asarray(y.value)) for y in node.outputs)
    elif all(x is None or x.value is not None for x in node.inputs):
        run_now(step, lowered)
    elif may_fuse and (padding := padding_of_image(node)) is not None:
        lowered.padded[node.output.index] = (node.input(0).index, padding)
    else:
        step.macs = 0 if definition.macs is None else int(definition.macs(node))
        step.in_place = definition.in_place if len(written) == 1 else ()
        lowered.steps.append(step)


def record_custom(node: Node, custom: BoundKernel, lowered: Lowered) -> None:
    """Record the step of an operator that a user's kernel computes, or its value, as for any other."""
    set_shapes(node, lowered)
    op, definition = node.op, node.definition
    name = op.custom_code or op.op
    written = tuple(y.index for y in node.outputs)
    tensors = (*kernel_inputs(op.inputs, custom.call, len(written)), *written)
    step = Step(name, node.index, custom.call, tensors, len(written), custom=custom)
    if node.inputs and all(x is None or x.value is not None for x in node.inputs):
        run_now(step, lowered)
        return
    if (
        custom.call.name not in ("custom", "python")
        and definition is not None
        and definition.macs is not None
    ):
        step.macs = int(definition.macs(node))
    lowered.steps.append(step)


def set_shapes(node: Node, lowered: Lowered) -> None:
    """Record the shapes that lowering found for the outputs of an operator."""
    for y in node.outputs:
        check_shape(y.shape, f"operator {node.index} ({node.op.op}): output tensor {y.index}")
        numpy_dtype(y.tensor, y.index)
        lowered.shapes[y.index] = y.shape


def run_now(step: Step, lowered: Lowered) -> None:
    """Compute the outputs of a step whose inputs are known."""
    inputs, written = step.tensors[: -step.outputs], step.tensors[-step.outputs :]
    outputs = [np.zeros(lowered.shapes[t], numpy_dtype(lowered.tensors[t], t)) for t in written]
    step.run([None if t < 0 else contiguous(lowered.values[t]) for t in inputs], outputs)
    lowered.values.update(zip(written, outputs, strict=True))


def take_padding(node: Node, lowered: Lowered) -> tuple[int, ...]:
    """Return the inputs of an operator; one whose first is padded elsewhere is to pad the image itself."""
    x = node.optional_input(0)
    if x is None or x.index not in lowered.padded:
        return node.op.inputs
    image, node.padding = lowered.padded[x.index]
    node.inputs[0] = replace(x, index=image, shape=lowered.shapes[image])
    return (image, *node.op.inputs[1:])


def only_starts_state(subgraph: Subgraph, op: Operator, values: Mapping[int, np.ndarray]) -> bool:
    """Whether an operator does nothing but give state the zeros that it starts with.

    Float16 models of the converter hold such a DEQUANTIZE. TFLite runs it once, as it does for constants.
    """
    if op.op != "DEQUANTIZE" or len(op.inputs) != 1 or op.inputs[0] not in values:
        return False
    return all(subgraph.tensors[t].is_variable for t in op.outputs) and not values[op.inputs[0]].any()


def kernel_inputs(inputs: tuple[int, ...], call: KernelCall, outputs: int) -> tuple[int, ...]:
    """Return the inputs in the kernel's order: optional ones that the file leaves out become -1."""
    return (*inputs, *[-1] * (call.arity - len(inputs) - outputs))


def contiguous(value: np.ndarray) -> np.ndarray:
    """Return `value` as an aligned, C-contiguous array; a copy only where it is not one."""
    return np.require(value, requirements=["C", "A"])
