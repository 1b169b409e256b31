"""A small float network and its int8 form, quantized by hand and named otherwise, as converters leave it."""

from __future__ import annotations

import numpy as np

from quantcore.affine import QuantParams, quantize
from quantcore.graph import Model
from tests.ops.harness import Op, const, graph_model, tensor

W1 = np.random.default_rng(1).uniform(-1, 1, (6, 4)).astype(np.float32)
W2 = np.random.default_rng(2).uniform(-1, 1, (3, 6)).astype(np.float32)
B1 = np.float32([0.1, -0.2, 0.3, 0.0, 0.5, -0.6])
X_SCALE, H_SCALE, Y_SCALE = 2 / 255, 4 / 255, 10 / 255


def samples(count: int = 5, seed: int = 0) -> np.ndarray:
    """Return inputs in [-1, 1)."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


def float_network(fused: bool = False, sign: int = 1) -> Model:
    """Return x -> FULLY_CONNECTED -> RELU -> FULLY_CONNECTED -> y; with `fused` the RELU is an option."""
    tensors = {
        "x": tensor((1, 4), "float32"),
        "w1": const(W1 * sign),
        "b1": const(B1),
        "hidden": tensor((1, 6), "float32"),
        "relu": tensor((1, 6), "float32"),
        "w2": const(W2 * sign),
        "y": tensor((1, 3), "float32"),
    }
    if fused:
        first = [Op("FULLY_CONNECTED", ("x", "w1", "b1"), ("relu",), {"fused_activation_function": "RELU"})]
    else:
        first = [Op("FULLY_CONNECTED", ("x", "w1", "b1"), ("hidden",)), Op("RELU", ("hidden",), ("relu",))]
    return graph_model(tensors, [*first, Op("FULLY_CONNECTED", ("relu", "w2", ""), ("y",))], ["x"], ["y"])


def weights(w: np.ndarray) -> tuple[np.ndarray, float]:
    """Return int8 codes and their scale."""
    scale = float(np.float32(np.abs(w).max() / 127))
    return quantize(w, QuantParams(scale, 0, "int8", narrow_range=True)), scale


def int8_network(io: str = "float32", clip: float = 1.0) -> Model:
    """Return `float_network` in int8 with the RELU fused; `clip` shrinks the range of the hidden layer."""
    (q1, s1), (q2, s2) = weights(W1), weights(W2)
    h_scale = H_SCALE * clip
    bias = np.round(B1 / np.float32(X_SCALE * s1)).astype(np.int32)
    tensors = {
        "arg0": tensor((1, 4), "float32"),
        "tfl.quantize": tensor((1, 4), "int8", X_SCALE, 0),
        "c1": const(q1, s1),
        "c2": const(bias, X_SCALE * s1),
        "inner": tensor((1, 6), "int8", h_scale, -128),
        "c3": const(q2, s2),
        "y1": tensor((1, 3), "int8", Y_SCALE, 0),
        "y": tensor((1, 3), "float32"),
    }
    relu = {"fused_activation_function": "RELU"}
    layers = [
        Op("FULLY_CONNECTED", ("tfl.quantize", "c1", "c2"), ("inner",), relu, version=4),
        Op("FULLY_CONNECTED", ("inner", "c3", ""), ("y1",), version=4),
    ]
    if io == "int8":
        inside = {name: t for name, t in tensors.items() if name not in ("arg0", "y")}
        return graph_model(inside, layers, ["tfl.quantize"], ["y1"])
    ends = Op("QUANTIZE", ("arg0",), ("tfl.quantize",)), Op("DEQUANTIZE", ("y1",), ("y",), version=2)
    return graph_model(tensors, [ends[0], *layers, ends[1]], ["arg0"], ["y"])
