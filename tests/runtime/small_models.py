"""Small models, built by hand, that exercise the runtime rather than an operator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.graph import Model, Operator, Quantization, Signature, Subgraph, Tensor


def quantization(scale: float, zero_point: int) -> Quantization:
    """Return per-tensor quantization parameters."""
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


def relu_chain(shape: Sequence[int], length: int = 3) -> Model:
    """Return `length` int8 RELUs in a row, each of which halves the scale."""
    tensors = [
        Tensor(f"t{i}", tuple(shape), "int8", quantization=quantization(0.1 / 2**i, -10 * i), buffer=0)
        for i in range(length + 1)
    ]
    operators = [Operator("RELU", 1, (i,), (i + 1,)) for i in range(length)]
    subgraph = Subgraph("main", tensors, operators, (0,), (length,))
    signature = Signature("serving_default", 0, {"images": 0}, {"scores": length})
    return Model([subgraph], signatures=[signature])


def two_subgraphs() -> Model:
    """Return a model with two entry points: a RELU and a RELU6, float32."""
    subgraphs = [
        Subgraph(
            name,
            [Tensor("x", (2,), "float32"), Tensor("y", (2,), "float32")],
            [Operator(op, 1, (0,), (1,))],
            (0,),
            (1,),
        )
        for name, op in (("first", "RELU"), ("second", "RELU6"))
    ]
    signatures = [Signature(s.name, i, {"x": 0}, {"y": 1}) for i, s in enumerate(subgraphs)]
    return Model(subgraphs, signatures=signatures)
