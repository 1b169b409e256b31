"""Reshapes that meet once pairs are gone: joined, moved and taken away as the converter does.

Sources of the rules: ``optimize_pass.cc``, which runs once more behind the quantizer
(RemoveReshapeBeforeFullyConnected, RemoveReshapeAfterFullyConnected, MoveReshapeAfterFullyConnected,
EnableFullyConnectedKeepNumDimsBeforeReshape), and the canonicalization of ``tfl.reshape`` in ``tfl_ops.cc``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from quantcore.graph import Operator, Subgraph, Tensor

__all__ = ["optimize_reshapes"]


def optimize_reshapes(graph: Subgraph) -> Subgraph:
    """Return `graph` with fewer reshapes, by these rules, until none applies.

    - RESHAPE of what RESHAPE made: one RESHAPE of the first one's input. RESHAPE to the same shape: nothing.
    - RESHAPE before a FULLY_CONNECTED, which keeps the last dimension: FULLY_CONNECTED joins the others.
    - RESHAPE behind a FULLY_CONNECTED, which restores the dimensions that it joined: FULLY_CONNECTED with
      keep_num_dims.
    - Between two RESHAPE, with the last dimension kept by the second: that goes before FULLY_CONNECTED.
    - Any other RESHAPE that alone reads a FULLY_CONNECTED whose input is not of 2 dimensions: FULLY_CONNECTED
      keeps its dimensions.

    The last two come where no other applies. Shapes with unknown dimensions stay as they are.
    """
    work = _Reshapes(replace(graph, tensors=list(graph.tensors), operators=list(graph.operators)))
    while any(work.simplify()) or any(work.move()):
        work.remove_unused()
    work.remove_unused()
    return work.graph


class _Reshapes:
    """A graph on which the rules are applied, one place after the other.

    Parameters
    ----------
    graph : Subgraph
        Is changed.
    """

    def __init__(self, graph: Subgraph) -> None:
        self.graph = graph

    def simplify(self) -> Iterator[bool]:
        """Apply the rules that take a RESHAPE away; yield for each operator whether one did."""
        for i, op in enumerate(self.graph.operators):
            if op.op == "FULLY_CONNECTED":
                yield self.join_before(i)
            elif op.op == "RESHAPE":
                yield self.keep_dims(i)
                yield self.join_adjacent(i)
                yield self.remove_identity(i)

    def move(self) -> Iterator[bool]:
        """Apply the rules that only change what stands around a FULLY_CONNECTED."""
        for i, op in enumerate(self.graph.operators):
            if op.op == "RESHAPE":
                yield self.move_before(i)
                yield self.enable_keep_dims(i)

    def join_before(self, i: int) -> bool:
        op, before = self.graph.operators[i], self.producer(i)
        if before is None or before.op != "RESHAPE" or _keeps_dims(op):
            return False
        source, shaped, made = (self.shape(t) for t in (before.inputs[0], op.inputs[0], op.outputs[0]))
        if not (_plain(op) and source and shaped and source[-1] == shaped[-1] and len(made) == 2):
            return False
        self.graph.operators[i] = replace(op, inputs=(before.inputs[0], *op.inputs[1:]))
        return True

    def keep_dims(self, i: int) -> bool:
        op, dense = self.graph.operators[i], self.dense_before(i)
        if dense is None or _keeps_dims(dense) or not _plain(dense):
            return False
        source, made, wanted = (self.shape(t) for t in (dense.inputs[0], dense.outputs[0], op.outputs[0]))
        if not (source and made and wanted) or (*source[:-1], made[-1]) != wanted:
            return False
        self.graph.operators[i] = _with_dims(dense, outputs=op.outputs)
        self.drop(dense)
        return True

    def join_adjacent(self, i: int) -> bool:
        op, before = self.graph.operators[i], self.producer(i)
        if before is None or before.op != "RESHAPE":
            return False
        self.graph.operators[i] = replace(op, inputs=(before.inputs[0], *op.inputs[1:]))
        return True

    def remove_identity(self, i: int) -> bool:
        op = self.graph.operators[i]
        source, made = op.inputs[0], op.outputs[0]
        if made in self.graph.outputs or not self.is_used(made):
            return False
        if not self.static(source) or self.shape(source) != self.shape(made):
            return False
        self.graph.operators = [
            replace(o, inputs=tuple(source if t == made else t for t in o.inputs))
            for o in self.graph.operators
        ]
        return True

    def move_before(self, i: int) -> bool:
        op, dense = self.graph.operators[i], self.dense_before(i)
        if dense is None:
            return False
        before = self.producer(self.graph.operators.index(dense))
        source, made, wanted = (self.shape(t) for t in (dense.inputs[0], dense.outputs[0], op.outputs[0]))
        if before is None or before.op != "RESHAPE" or not (source and made) or len(wanted) < 2:
            return False
        if wanted[-1] != made[-1]:
            return False
        shaped = self.reshaped(dense.inputs[0], (*wanted[:-1], source[-1]))
        self.graph.operators[i] = _with_dims(dense, (shaped, *dense.inputs[1:]), op.outputs)
        self.graph.operators[self.graph.operators.index(dense)] = replace(
            before, inputs=(dense.inputs[0], self.shape_of(shaped)), outputs=(shaped,), options={}
        )
        return True

    def enable_keep_dims(self, i: int) -> bool:
        dense = self.dense_before(i)
        if dense is None or _keeps_dims(dense):
            return False
        source, made = self.shape(dense.inputs[0]), self.shape(dense.outputs[0])
        if not source or not made or len(source) == 2:
            return False
        tensors, t = self.graph.tensors, dense.outputs[0]
        tensors[t] = replace(tensors[t], shape=(*source[:-1], made[-1]))
        self.graph.operators[self.graph.operators.index(dense)] = _with_dims(dense)
        return True

    def producer(self, i: int) -> Operator | None:
        """Return the operator that computes the first operand of operator `i`."""
        inputs = self.graph.operators[i].inputs
        found = self.graph.producers().get(inputs[0]) if inputs else None
        return None if found is None else self.graph.operators[found]

    def dense_before(self, i: int) -> Operator | None:
        """Return the FULLY_CONNECTED that only operator `i`, a RESHAPE, reads."""
        op, before = self.graph.operators[i], self.producer(i)
        if before is None or before.op != "FULLY_CONNECTED":
            return None
        alone = len(self.graph.uses()[op.inputs[0]]) == 1 and op.inputs[0] not in self.graph.outputs
        return before if alone and len(before.outputs) == 1 else None

    def static(self, t: int) -> bool:
        tensor = self.graph.tensors[t]
        return -1 not in (tensor.shape_signature or tensor.shape)

    def shape(self, t: int) -> tuple[int, ...]:
        """Return a tensor's shape; none where a dimension is unknown."""
        return self.graph.tensors[t].shape if self.static(t) else ()

    def is_used(self, t: int) -> bool:
        return t in self.graph.outputs or t in self.graph.uses()

    def reshaped(self, t: int, shape: tuple[int, ...]) -> int:
        """Append a tensor like `t` of another shape."""
        tensor = self.graph.tensors[t]
        name = f"{tensor.name}/reshaped"
        self.graph.tensors.append(replace(tensor, name=name, shape=shape, shape_signature=None))
        return len(self.graph.tensors) - 1

    def shape_of(self, t: int) -> int:
        """Append the shape of tensor `t` as a constant."""
        tensor = self.graph.tensors[t]
        data = np.array(tensor.shape, np.int32)
        self.graph.tensors.append(Tensor(f"{tensor.name}/shape", data.shape, "int32", data=data))
        return len(self.graph.tensors) - 1

    def drop(self, op: Operator) -> None:
        self.graph.operators = [o for o in self.graph.operators if o is not op]

    def remove_unused(self) -> None:
        """Take away each RESHAPE that nothing reads."""
        while unused := [
            o for o in self.graph.operators if o.op == "RESHAPE" and not self.is_used(o.outputs[0])
        ]:
            for op in unused:
                self.drop(op)


def _plain(op: Operator) -> bool:
    return bool(op.options.get("weights_format", "DEFAULT") == "DEFAULT")


def _keeps_dims(op: Operator) -> bool:
    return bool(op.options.get("keep_num_dims"))


def _with_dims(
    op: Operator, inputs: tuple[int, ...] | None = None, outputs: tuple[int, ...] | None = None
) -> Operator:
    """Return a FULLY_CONNECTED with keep_num_dims."""
    options = op.options | {"keep_num_dims": True}
    return replace(op, inputs=inputs or op.inputs, outputs=outputs or op.outputs, options=options)
