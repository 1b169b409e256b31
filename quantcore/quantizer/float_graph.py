"""The main subgraph of a float model, as the passes of the quantizer look at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantcore.graph import Model, Operator, Subgraph, Tensor, Use
from quantcore.ops.registry import load_operators
from quantcore.ops.shared.quantization_rule import QuantizationRule

__all__ = ["FloatGraph", "has_floats", "rule_of"]

STAYS_FLOAT = QuantizationRule()


def rule_of(op: Operator) -> QuantizationRule:
    """Return how an operator is quantized; one that quantcore does not run stays float."""
    definition = load_operators().get(op.name)
    return STAYS_FLOAT if definition is None else definition.quantization


def has_floats(op: Operator, graph: Subgraph) -> bool:
    """Whether an operator reads or writes float32."""
    return any(t >= 0 and graph.tensors[t].dtype == "float32" for t in (*op.inputs, *op.outputs))


@dataclass(slots=True)
class FloatGraph:
    """Producers, users and quantization rules of a float model's main subgraph.

    A *value* is a float32 tensor that is computed at run time; only values and float32 constants are
    quantized.

    Attributes
    ----------
    subgraph : Subgraph
    producers : dict of int to int
        Tensor to the operator that computes it.
    uses : dict of int to list of Use
        Tensor to its uses by operators, in execution order.
    rules : list of QuantizationRule
        By operator.
    folded : frozenset of int
        Operators that compute nothing any more: see `quantcore.quantizer.stored_weights`.
    """

    subgraph: Subgraph
    producers: dict[int, int]
    uses: dict[int, list[Use]]
    rules: list[QuantizationRule]
    folded: frozenset[int] = frozenset()

    @classmethod
    def of(cls, model: Model, folded: frozenset[int] = frozenset()) -> FloatGraph:
        """Return the view of the main subgraph of `model`."""
        main = model.subgraphs[0]
        rules = [rule_of(op) for op in main.operators]
        return cls(main, main.producers(), main.uses(), rules, folded)

    @property
    def operators(self) -> list[Operator]:
        """The operators, in execution order."""
        return self.subgraph.operators

    def tensor(self, index: int) -> Tensor:
        """Return a tensor by index."""
        return self.subgraph.tensors[index]

    def is_float(self, index: int) -> bool:
        """Whether a tensor is a value or a float32 constant."""
        return index >= 0 and self.tensor(index).dtype == "float32"

    def is_value(self, index: int) -> bool:
        """Whether a tensor is float32 and computed at run time."""
        return self.is_float(index) and not self.tensor(index).is_constant

    def is_quantizable_constant(self, index: int) -> bool:
        """Whether a tensor is a float32 constant that the converter quantizes.

        It leaves alone what is empty, and what begins with an infinity or NaN. Sparse constants, which it
        makes dense, stay float here.
        """
        if not self.is_float(index) or self.tensor(index).sparsity is not None:
            return False
        data = self.tensor(index).data
        return data is not None and data.size > 0 and bool(np.isfinite(data.reshape(-1)[0]))

    def is_finite_constant(self, index: int) -> bool:
        """Whether all elements of a float32 constant are finite."""
        data = self.tensor(index).data
        return data is not None and bool(np.isfinite(np.max(data)) and np.isfinite(np.min(data)))

    def float_operands(self, i: int) -> list[Use]:
        """Return the uses of float tensors by operator `i`."""
        return [(i, k) for k, t in enumerate(self.operators[i].inputs) if self.is_float(t)]

    def operand(self, use: Use) -> int:
        """Return the tensor of a use."""
        return self.operators[use[0]].inputs[use[1]]

    def float_results(self, i: int) -> list[int]:
        """Return the float outputs of operator `i`."""
        return [t for t in self.operators[i].outputs if self.is_float(t)]
