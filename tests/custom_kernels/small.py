"""A small network: convolutions, a PAD that would become a part of one, an operator of somebody's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantcore.graph import Model, Operator, Quantization, Signature, Subgraph, Tensor
from tests.runtime.small_models import quantization

KERNELS = Path(__file__).with_name("kernels.c")
CONV_OPTIONS = {
    "padding": "SAME",
    "stride_w": 1,
    "stride_h": 1,
    "fused_activation_function": "RELU",
    "dilation_w_factor": 1,
    "dilation_h_factor": 1,
}


def convolutions(custom: bytes | None = None) -> Model:
    """Return CONV_2D, PAD, CONV_2D, MAX_POOL_2D, RESHAPE, and a custom operator where it has options.

    The operators' outputs are called first, padded, block/second, block/pool, flat and shuffled.
    """
    rng = np.random.default_rng(3)
    tensors: list[Tensor] = []

    def activation(name: str, *shape: int, scale: float = 0.05, zero_point: int = -3) -> int:
        tensors.append(Tensor(name, shape, "int8", quantization=quantization(scale, zero_point)))
        return len(tensors) - 1

    def constant(name: str, data: np.ndarray, scales: int = 0) -> int:
        q = None
        if scales:
            q = Quantization(np.linspace(0.001, 0.004, scales).astype(np.float32), np.zeros(scales, np.int64))
            q.quantized_dimension = 0
        tensors.append(Tensor(name, data.shape, data.dtype.name, data=data, quantization=q))
        return len(tensors) - 1

    def conv(x: int, y: int, inputs: int, outputs: int, **options: object) -> Operator:
        weights = rng.integers(-127, 128, (outputs, 3, 3, inputs)).astype(np.int8)
        w = constant(f"weights{y}", weights, outputs)
        b = constant(f"bias{y}", rng.integers(-2000, 2000, outputs).astype(np.int32))
        return Operator("CONV_2D", 3, (x, w, b), (y,), CONV_OPTIONS | options)

    x = activation("x", 1, 9, 8, 3)
    first = activation("first", 1, 9, 8, 5)
    padded = activation("padded", 1, 11, 10, 5)
    second = activation("block/second", 1, 5, 4, 7)
    pool = activation("block/pool", 1, 2, 2, 7)
    flat = activation("flat", 1, 28)
    pads = constant("pads", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    operators = [
        conv(x, first, 3, 5),
        Operator("PAD", 2, (first, pads), (padded,)),
        conv(padded, second, 5, 7, padding="VALID", stride_w=2, stride_h=2),
        Operator(
            "MAX_POOL_2D", 2, (second,), (pool,),
            {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2,
             "fused_activation_function": "NONE"},
        ),
        Operator("RESHAPE", 1, (pool, constant("shape", np.array([-1, 28], np.int32))), (flat,)),
    ]  # fmt: skip
    end = flat
    if custom is not None:
        end = activation("shuffled", 1, 28, scale=0.1, zero_point=5)
        operators.append(
            Operator("CUSTOM", 1, (flat, -1), (end,), custom_code="Shuffle", custom_options=custom)
        )
    graph = Subgraph("main", tensors, operators, (x,), (end,))
    return Model([graph], signatures=[Signature("serving_default", 0, {"images": x}, {"scores": end})])


def images(count: int = 1, seed: int = 0) -> np.ndarray:
    """Return inputs of `convolutions`."""
    return np.random.default_rng(seed).integers(-128, 128, (count, 9, 8, 3)).astype(np.int8)
