"""Operators that a user's kernel computes, lowered.

The kernel gets the parameters of the definition, as they are made where no vector versions are used. An
operator that quantcore does not have, or not in this form, is lowered from what the file says of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from quantcore.custom_kernels.bound import BoundKernel
from quantcore.custom_kernels.c_kernel import CKernel
from quantcore.custom_kernels.keys import NO_KERNEL, Assignment, Candidate
from quantcore.custom_kernels.operator_info import describe_operator
from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.kernels._core import KernelCall, select_isa
from quantcore.kernels.custom import DTYPE_CODES, custom_call
from quantcore.ops.node import Node, Operand, UnknownValueError
from quantcore.ops.registry import find_definition

__all__ = ["definitions_alone", "lower_custom", "lowering_lock"]

# `select_isa` is for the whole process: nothing else is lowered while definitions are wanted.
lowering_lock = threading.RLock()

MakeNode = Callable[[], Node]


@contextmanager
def definitions_alone() -> Iterator[None]:
    """Make calls of the definitions, whose parameters hold nothing for vector versions."""
    with lowering_lock:
        before = select_isa("scalar")
        try:
            yield
        finally:
            select_isa(before)


def lower_custom(
    make_node: MakeNode, candidates: Sequence[Candidate], assignment: Assignment, place: tuple[int, int]
) -> tuple[Node, BoundKernel] | None:
    """Lower an operator to a kernel of the user's; None if no candidate fits it.

    Parameters
    ----------
    make_node : callable
        Returns the operator with its operands.
    candidates : sequence of Candidate
    assignment : Assignment
        Is told what became of them.
    place : (int, int)
        Subgraph and operator.

    Raises
    ------
    UnsupportedOperatorError
        quantcore does not run the operator, and no candidate can do without that.
    """
    node = make_node()
    call, reason, refusal = own_call(node)
    where = f"operator {node.index} ({node.op.custom_code or node.op.op})"
    chosen = assignment.choose(candidates, where, call.name if call is not None else None, reason)
    if chosen is None:
        if refusal is not None:
            raise refusal
        return None
    kernel = chosen.kernel
    fits = isinstance(kernel, CKernel) and call is not None and call.name in kernel.kernels
    if call is None:
        node = make_node()
        set_shapes(node, kernel)
    for operand in (*node.inputs, *node.outputs):
        if operand is not None and operand.dtype not in (*DTYPE_CODES, "int4"):
            raise node.refuse(
                f"tensor {operand.index} ({operand.tensor.name!r}) is {operand.dtype}, which no kernel takes"
            )
    if isinstance(kernel, CKernel) and not fits:
        call = described_call(node)
    try:
        bound = BoundKernel(kernel, describe_operator(node), call)
    except KernelError as error:
        raise KernelError(f"{where}: {error}") from None
    assignment.used[place] = kernel
    return node, bound


def own_call(node: Node) -> tuple[KernelCall | None, str, UnsupportedOperatorError | None]:
    """Return the call of quantcore's own kernel, or why there is none, and what lowering says of that."""
    try:
        definition = find_definition(node.op, node.index)
        if definition.expand is not None:
            return None, NO_KERNEL, None
        node.check_profile()
        with definitions_alone():
            call = definition.lower(node)
    except UnknownValueError:
        raise  # it can be lowered once the value is known
    except UnsupportedOperatorError as error:
        return None, f"quantcore does not run it ({error.reason})", error
    except OverflowError as error:
        refusal = node.refuse(f"a parameter is out of the range of its C type: {error}")
        return None, refusal.reason, refusal
    if all(y.value is not None for y in node.outputs):
        return None, NO_KERNEL, None
    return call, "", None


def set_shapes(node: Node, kernel: object) -> None:
    """Give the outputs of an operator that quantcore does not run their shapes."""
    output_shapes = getattr(kernel, "output_shapes", None)
    if output_shapes is None:
        for x in node.inputs:
            if x is not None and x.shape != x.tensor.shape:
                raise node.refuse(
                    f"input tensor {x.index} has shape {x.shape}, but {x.tensor.shape} in the file; give its "
                    "kernel a function output_shapes(op, input_shapes)"
                )
        return
    info = describe_operator(node)
    try:
        shapes = [
            tuple(int(n) for n in shape)
            for shape in output_shapes(info, [x and x.shape for x in node.inputs])
        ]
    except Exception as error:
        raise KernelError(
            f"operator {node.index} ({info.name}): output_shapes raised {type(error).__name__}: {error}"
        ) from error
    if len(shapes) != len(node.outputs):
        raise KernelError(
            f"operator {node.index} ({info.name}): output_shapes returned {len(shapes)} shapes; the operator "
            f"has {len(node.outputs)} outputs"
        )
    for y, shape in zip(node.outputs, shapes, strict=True):
        y.shape = shape


def described_call(node: Node) -> KernelCall:
    """Return a call of ``qc_custom_kernel``, with all that the file says of an operator."""
    tensors = [None if operand is None else described(operand) for operand in (*node.inputs, *node.outputs)]
    return custom_call(tensors, len(node.inputs), bytes(node.op.custom_options or b""))


def described(operand: Operand) -> tuple[str, tuple[int, ...], Any, Any, int]:
    """Return what `custom_call` takes of a tensor."""
    q = operand.tensor.quantization
    dtype = "int8" if operand.dtype == "int4" else operand.dtype
    if q is None or not operand.quantized:
        return dtype, operand.shape, (), (), 0
    return dtype, operand.shape, q.scale, q.zero_point, q.quantized_dimension
