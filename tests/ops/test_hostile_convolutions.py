"""Convolutions and FULLY_CONNECTED of hostile models: shapes, scales and options that say anything."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from quantcore.errors import QuantcoreError
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor
from quantcore.runtime import Interpreter

DTYPES = [
    ("int8", "int8", "int32"),
    ("uint8", "uint8", "int32"),
    ("float32", "float32", "float32"),
    ("float32", "int8", "float32"),
    ("int8", "float32", "int32"),
]
RANK = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2}


class Hostile:
    """A source of tensors and options that are often, but not always, usable."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def rarely(self, chance: float = 0.1) -> bool:
        return bool(self.rng.random() < chance)

    def shape(self, rank: int) -> tuple[int, ...]:
        if self.rarely():
            rank = int(self.rng.integers(0, 6))
        if self.rarely(0.2):
            return tuple(self.one_of(0, 1, 2, 3, 16, 2**15, 2**31 - 1, -1) for _ in range(rank))
        return tuple(self.one_of(1, 2, 3, 4) for _ in range(rank))

    def quantization(self, channels: int) -> Quantization | None:
        if self.rarely():
            return None
        count = max(0, min(64, self.one_of(1, 1, channels, 0 if self.rarely() else 1)))
        scales = np.full(count, 0.05, np.float32)
        zero_points = np.zeros(count, np.int64)
        if count and self.rarely():
            scales[-1] = self.one_of(0.0, -1.0, np.inf, np.nan, 1e-40, 1e38)
        if count and self.rarely():
            zero_points[0] = self.one_of(1, -128, 255, 300, -(2**40))
        return Quantization(scales, zero_points, self.one_of(0, 0, 3, 1, -1, 9))

    def options(self) -> dict[str, Any]:
        if self.rarely(0.05):
            return {}
        return {
            "padding": self.one_of("SAME", "VALID"),
            "stride_h": self.one_of(1, 1, 2, 0, -1, 2**31 - 1),
            "stride_w": self.one_of(1, 1, 3),
            "dilation_h_factor": self.one_of(1, 1, 2, 0, 2**31 - 1),
            "dilation_w_factor": self.one_of(1, 1, 2),
            "fused_activation_function": self.one_of("NONE", "RELU", "RELU6", "TANH"),
            "depth_multiplier": self.one_of(1, 2, 0),
            "keep_num_dims": self.one_of(False, True),
            "asymmetric_quantize_inputs": self.one_of(False, True),
        }

    def model(self, op: str) -> Model:
        x_dtype, w_dtype, b_dtype = self.one_of(*DTYPES)
        x, w = self.shape(RANK[op]), self.shape(RANK[op])
        if x and len(w) == RANK[op] and not self.rarely():
            w = (1, *w[1:3], x[-1] * self.one_of(1, 2)) if op == "DEPTHWISE_CONV_2D" else (*w[:-1], x[-1])
        channels = (w[-1] if op == "DEPTHWISE_CONV_2D" else w[0]) if w else 1
        data = None
        if all(0 <= d < 100 for d in w) and not self.rarely(0.3):
            data = self.rng.integers(-100, 100, w).astype(w_dtype)
        tensors = [
            Tensor("x", x, x_dtype, quantization=self.quantization(1)),
            Tensor("w", w, w_dtype, data=data, quantization=self.quantization(channels)),
        ]
        if not self.rarely():
            shape = (channels if not self.rarely() else channels + 1,)
            scale = Quantization(np.float32([0.0025]), np.array([0]))
            tensors.append(Tensor("b", shape, b_dtype, quantization=scale))
        inputs = tuple(range(len(tensors)))
        tensors.append(Tensor("y", (), x_dtype, quantization=self.quantization(1)))
        node = Operator(op, 1, inputs, (len(inputs),), self.options())
        variable = tuple(i for i in inputs if tensors[i].data is None)
        return Model([Subgraph("main", tensors, [node], variable, (len(inputs),))])


def elements(model: Model) -> int:
    return sum(int(np.prod([max(d, 0) for d in t.shape], dtype=object)) for t in model.subgraphs[0].tensors)


@pytest.mark.parametrize("op", list(RANK))
def test_only_our_errors(op: str) -> None:
    hostile = Hostile(len(op))
    ran = 0
    for _ in range(600):
        model = hostile.model(op)
        with contextlib.suppress(QuantcoreError):
            interpreter = Interpreter(model)
            if elements(model) < 10**4:
                interpreter.allocate_tensors()
                interpreter.invoke()
                ran += 1
    assert 10 < ran < 500
