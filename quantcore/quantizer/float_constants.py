"""The float32 constants of a subgraph and who uses them, for the modes that change constants alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor, Use
from quantcore.quantizer.account import Account
from quantcore.quantizer.float_graph import rule_of
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.working_copy import numbered

__all__ = ["FloatConstants", "in_subgraphs"]


class FloatConstants:
    """The float32 constants of a subgraph, which its operators can be given in another form.

    Parameters
    ----------
    graph : Subgraph
        Tensors are added and operands replaced in place; no operator may be added meanwhile.
    kept : frozenset of int
        Operators that are to keep their operands.

    Attributes
    ----------
    uses : dict of int to list of Use
        Uses of each dense float32 constant by other operators than those, in order of tensors. The state of
        an operator (a variable tensor) is a constant of zeros to the converter, and so it is here.
    rules : list of QuantizationRule
        By operator; one that quantcore does not run has a rule that says nothing.
    """

    def __init__(self, graph: Subgraph, kept: frozenset[int]) -> None:
        self.graph = graph
        self.rules = [rule_of(op) for op in graph.operators]
        self.uses: dict[int, list[Use]] = {}
        for t, uses in sorted(graph.uses().items()):
            wanted = [use for use in uses if use[0] not in kept]
            if wanted and _is_float_constant(graph.tensors[t]):
                self.uses[t] = wanted
        self._names = {tensor.name for tensor in graph.tensors}
        self._replaced: set[int] = set(graph.outputs)

    def value(self, t: int) -> np.ndarray:
        """Return the value of a constant."""
        tensor = self.graph.tensors[t]
        return np.zeros(tensor.shape, np.float32) if tensor.data is None else tensor.data

    def finite_value(self, t: int) -> np.ndarray:
        """Return the value of a constant; raise `QuantizationError` if it holds NaN or infinity."""
        value = self.value(t)
        if np.isfinite(np.max(value, initial=0)) and np.isfinite(np.min(value, initial=0)):
            return value
        found = value.reshape(-1)[~np.isfinite(value.reshape(-1))][0]
        name = self.graph.tensors[t].name
        raise QuantizationError(
            f"tensor {t} ({name!r}) holds {found}; weights must be finite to have a scale"
        )

    def add(self, t: int, dtype: str, data: np.ndarray, quantization: Quantization | None = None) -> int:
        """Add constant `t` in another dtype and return its index.

        It inherits the name, unless `t` has given that away, or keeps it as an output of the graph.
        """
        tensor = self.graph.tensors[t]
        name = numbered(tensor.name, self._names) if t in self._replaced else tensor.name
        self._replaced.add(t)
        return self._append(Tensor(name, tensor.shape, dtype, data=data, quantization=quantization))

    def dequantize(self, index: int, version: int, *, variable: bool = False) -> Operator:
        """Return a DEQUANTIZE of tensor `index` to a new tensor, which has its name and a number."""
        tensor = self.graph.tensors[index]
        name = numbered(tensor.name, self._names)
        result = self._append(Tensor(name, tensor.shape, "float32", is_variable=variable))
        return Operator("DEQUANTIZE", version, (index,), (result,))

    def _append(self, tensor: Tensor) -> int:
        self.graph.tensors.append(tensor)
        self._names.add(tensor.name)
        return len(self.graph.tensors) - 1

    def replace(self, use: Use, index: int) -> None:
        """Make tensor `index` the operand of a use."""
        i, position = use
        op = self.graph.operators[i]
        op.inputs = (*op.inputs[:position], index, *op.inputs[position + 1 :])


def in_subgraphs(
    model: Model, settings: Settings, account: Account
) -> Iterator[tuple[FloatConstants, Account]]:
    """Yield the constants of each subgraph, and the account to tell of them.

    Settings and account name operators and tensors of the main subgraph; nobody asks for those of others.
    """
    for s, graph in enumerate(model.subgraphs):
        if s == 0:
            yield FloatConstants(graph, settings.float_operators), account
        else:
            yield FloatConstants(graph, frozenset()), Account()


def _is_float_constant(tensor: Tensor) -> bool:
    has_value = tensor.data is not None or tensor.is_variable
    return tensor.dtype == "float32" and has_value and tensor.sparsity is None
