"""Subgraphs that an operator calls, lowered into the steps of the subgraph that calls them.

A plan has no jumps: what is called is written out in place, with tensors of its own, and a loop as often as
it runs. That needs conditions that follow from constants and shapes, as the loops of recurrent layers have;
in return, shapes that differ from iteration to iteration are as good as any others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.kernels.movement import copy_call
from quantcore.ops.node import Node, Operand
from quantcore.runtime.lowered import Lowered, Step

__all__ = ["MAX_OPERATORS", "Calls"]

MAX_OPERATORS = 100_000  # written out for one model; more is taken for a loop without end

LowerOperator = Callable[[Subgraph, int], None]


class Calls:
    """What an operator with control flow does to the plan.

    Parameters
    ----------
    model : Model
    lowered : Lowered
        The plan so far.
    lower_operator : callable
        Lowers one operator of a subgraph into `lowered`.
    """

    def __init__(self, model: Model, lowered: Lowered, lower_operator: LowerOperator) -> None:
        self.model, self.lowered, self.lower_operator = model, lowered, lower_operator
        self.active: list[int] = []
        self.variables: dict[tuple[int, int], int] = {}

    def call(self, node: Node, subgraph_index: int, arguments: Sequence[Operand]) -> list[Operand]:
        """Write out a subgraph whose inputs are `arguments`, and return its outputs."""
        if not 0 <= subgraph_index < len(self.model.subgraphs):
            raise node.refuse(f"calls subgraph {subgraph_index}; the model has {len(self.model.subgraphs)}")
        if subgraph_index in self.active:
            raise node.refuse(f"calls subgraph {subgraph_index}, which calls it")
        source = self.model.subgraphs[subgraph_index]
        if len(arguments) != len(source.inputs):
            raise node.refuse(
                f"gives {len(arguments)} tensors to subgraph {subgraph_index}, which takes "
                f"{len(source.inputs)}"
            )
        ids = self._bind(node, source, arguments)
        self.lowered.calls.append((subgraph_index, tuple(operand.index for operand in arguments)))
        self._copy_tensors(subgraph_index, ids)
        operators = [
            replace(op, inputs=_mapped(op.inputs, ids), outputs=_mapped(op.outputs, ids),
                    intermediates=_mapped(op.intermediates, ids))
            for op in source.operators
        ]  # fmt: skip
        self._lower(node, subgraph_index, operators)
        outputs = [ids[t] for t in source.outputs]
        for t, inner in zip(outputs, source.outputs, strict=True):
            if t not in self.lowered.shapes:
                raise node.refuse(f"subgraph {subgraph_index} never computes its output tensor {inner}")
        return [self._operand(t) for t in outputs]

    def finish(self, node: Node, results: Sequence[Operand]) -> None:
        """Give the operator's outputs the values of `results`."""
        if len(results) != len(node.outputs):
            raise node.refuse(f"has {len(node.outputs)} outputs; the subgraph gives {len(results)}")
        for y, result in zip(node.outputs, results, strict=True):
            _check_alike(node, result.tensor, y.tensor)
            y.shape = self.lowered.shapes[y.index] = result.shape
            if result.value is not None:
                self.lowered.values[y.index] = result.value
                continue
            call = copy_call(size_bytes=result.count * np.dtype(result.dtype).itemsize, output=1)
            self.lowered.steps.append(Step(node.op.op, node.index, call, (result.index, y.index)))

    def _bind(self, node: Node, source: Subgraph, arguments: Sequence[Operand]) -> dict[int, int]:
        """Return the place of each input: the tensor that the caller gives."""
        for t, argument in zip(source.inputs, arguments, strict=True):
            _check_alike(node, argument.tensor, source.tensors[t])
        return {t: argument.index for t, argument in zip(source.inputs, arguments, strict=True)} | {-1: -1}

    def _copy_tensors(self, subgraph_index: int, ids: dict[int, int]) -> None:
        """Give every other tensor of a subgraph a place; state has the same place in every call."""
        tensors = self.lowered.tensors
        for t, tensor in enumerate(self.model.subgraphs[subgraph_index].tensors):
            if t in ids:
                continue
            known = self.variables.get((subgraph_index, t))
            ids[t] = len(tensors) if known is None else known
            if known is not None:
                continue
            tensors.append(tensor)
            if tensor.is_variable:
                self.variables[subgraph_index, t] = ids[t]
            self.lowered.add_known(ids[t], tensor)

    def _lower(self, node: Node, subgraph_index: int, operators: list[Operator]) -> None:
        inner = Subgraph("", self.lowered.tensors, operators, (), ())
        self.lowered.called_operators += len(operators) + 1
        if self.lowered.called_operators > MAX_OPERATORS:
            raise node.refuse(f"more than {MAX_OPERATORS} operators are called; does the loop end?")
        self.active.append(subgraph_index)
        try:
            for index in range(len(operators)):
                self.lower_operator(inner, index)
        except UnsupportedOperatorError as error:
            raise node.refuse(f"in subgraph {subgraph_index}: {error}") from None
        finally:
            self.active.pop()

    def _operand(self, t: int) -> Operand:
        lowered = self.lowered
        return Operand(lowered.tensors[t], t, lowered.shapes[t], lowered.values.get(t))


def _mapped(tensors: Sequence[int], ids: dict[int, int]) -> tuple[int, ...]:
    return tuple(ids[t] for t in tensors)


def _check_alike(node: Node, given: Tensor, wanted: Tensor) -> None:
    """Refuse to hand on a tensor under another dtype or other scales."""
    if given.dtype != wanted.dtype:
        raise node.refuse(f"tensor {given.name!r} is {given.dtype}; {wanted.name!r} takes {wanted.dtype}")
    scales = [
        (q.scale.tolist(), q.zero_point.tolist()) if q is not None and q.scale.size else None
        for q in (given.quantization, wanted.quantization)
    ]
    if scales[0] != scales[1]:
        raise node.refuse(
            f"tensor {given.name!r} has scale and zero point {scales[0]}, {wanted.name!r} {scales[1]}; "
            "expected the same"
        )
