"""Small float models for the tests of the quantizer's front door."""

from __future__ import annotations

import numpy as np

from quantcore.graph import Model
from tests.ops.harness import Op, const, graph_model, tensor

__all__ = ["CONV", "float_net", "samples_for"]

CONV = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "fused_activation_function": "RELU"}


def float_net(*middle: str) -> Model:
    """Return x -> CONV_2D -> the operators of `middle`, on one input each -> FULLY_CONNECTED -> y."""
    rng = np.random.default_rng(0)
    tensors = {
        "x": tensor((1, 4, 4, 3), "float32"),
        "conv/w": const(rng.normal(size=(8, 3, 3, 3)).astype(np.float32)),
        "conv/b": const(rng.normal(size=8).astype(np.float32)),
        "conv": tensor((1, 4, 4, 8), "float32"),
        "shape": const(np.array([1, 128], np.int32)),
        "flat": tensor((1, 128), "float32"),
        "dense/w": const(rng.normal(size=(10, 128)).astype(np.float32)),
        "dense/b": const(rng.normal(size=10).astype(np.float32)),
        "y": tensor((1, 10), "float32"),
    }
    operators = [Op("CONV_2D", ("x", "conv/w", "conv/b"), ("conv",), CONV)]
    last = "conv"
    for position, kind in enumerate(middle):
        name = f"{kind.lower()}{position}"
        tensors[name] = tensor((1, 4, 4, 8), "float32")
        operators.append(Op(kind, (last,), (name,)))
        last = name
    operators += [
        Op("RESHAPE", (last, "shape"), ("flat",), {"new_shape": (1, 128)}),
        Op("FULLY_CONNECTED", ("flat", "dense/w", "dense/b"), ("y",)),
    ]
    return graph_model(tensors, operators, ["x"], ["y"])


def samples_for(count: int = 4) -> np.ndarray:
    """Return samples for `float_net`."""
    return np.random.default_rng(1).normal(size=(count, 4, 4, 3)).astype(np.float32)
