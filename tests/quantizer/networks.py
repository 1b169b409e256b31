"""Small float networks, and the data to go with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.graph import Model
from tests.ops.harness import Op, const, graph_model, tensor

__all__ = ["draw", "float_net", "images", "network", "samples_for", "unbalanced"]


def draw(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    """Return float32 values around zero."""
    return (size * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def network(
    operators: list[Op],
    outputs: list[str],
    inputs: tuple[str, ...] = ("x",),
    usual: tuple[int, ...] = (1, 4, 4, 4),
    /,
    **others: Any,
) -> Model:
    """Return a model whose computed tensors are float32 of the `usual` shape, named by the operators.

    `others` are constants (arrays), or shapes, or shapes and dtypes, of computed tensors that differ.
    """
    names = [*inputs, *(name for op in operators for name in op.outputs)]
    tensors = {name: const(np.asarray(value)) for name, value in others.items() if name not in names}
    for name in names:
        shape, dtype = others.get(name, usual), "float32"
        if len(shape) == 2 and isinstance(shape[1], str):
            shape, dtype = shape
        tensors[name] = tensor(shape, dtype)
    return graph_model(tensors, operators, list(inputs), outputs)


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


# Networks whose channels differ in size by orders of magnitude ---------------------------------------------

SPREAD = np.float32([0.01, 0.1, 1, 10])  # of the channels between the layers


def images(count: int = 8, seed: int = 0) -> np.ndarray:
    """Return images of (6, 6, 2) in [0, 1)."""
    return np.random.default_rng(seed).random((count, 6, 6, 2)).astype(np.float32)


def unbalanced(activation: str = "RELU", residual: bool = False, computed: bool = False) -> Model:
    """Return CONV_2D -> DEPTHWISE_CONV_2D -> MAX_POOL_2D -> RESHAPE -> FULLY_CONNECTED.

    With `residual`, an ADD reads the output of the first layer too. With `computed`, the RESHAPE takes a
    shape that is computed from that of its input, as in models of any batch size.
    """
    rng = np.random.default_rng(0)
    options = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "fused_activation_function": activation}
    options |= {"dilation_w_factor": 1, "dilation_h_factor": 1}
    pool = {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, shape).astype(np.float32)

    tensors = {
        "x": tensor((1, 6, 6, 2), "float32"),
        "w1": const(normal(4, 3, 3, 2) * SPREAD.reshape(4, 1, 1, 1)),
        "b1": const(normal(4) * SPREAD),
        "a": tensor((1, 6, 6, 4), "float32"),
        "w2": const(normal(1, 3, 3, 4) / SPREAD),
        "b2": const(normal(4)),
        "c": tensor((1, 6, 6, 4), "float32"),
        "sum": tensor((1, 6, 6, 4), "float32"),
        "p": tensor((1, 3, 3, 4), "float32"),
        "shape": const(np.int32([1, 36])),
        "flat": tensor((1, 36), "float32"),
        "w3": const(normal(3, 36)),
        "b3": const(normal(3)),
        "y": tensor((1, 3), "float32"),
    }
    shape = []
    if computed:
        tensors |= {
            "s": tensor((4,), "int32"),
            "batch": tensor((), "int32"),
            "computed": tensor((2,), "int32"),
        }
        tensors |= {"zero": const(np.int32([0])), "one": const(np.int32([1])), "size": const(np.int32(36))}
        shape = [
            Op("SHAPE", ("p",), ("s",), {"out_type": "INT32"}),
            Op("STRIDED_SLICE", ("s", "zero", "one", "one"), ("batch",), {"shrink_axis_mask": 1}),
            Op("PACK", ("batch", "size"), ("computed",), {"values_count": 2}),
        ]
    operators = [
        Op("CONV_2D", ("x", "w1", "b1"), ("a",), options),
        Op("DEPTHWISE_CONV_2D", ("a", "w2", "b2"), ("c",), options | {"depth_multiplier": 1}),
        *([Op("ADD", ("a", "c"), ("sum",))] if residual else []),
        Op("MAX_POOL_2D", ("sum" if residual else "c",), ("p",), pool),
        *shape,
        Op("RESHAPE", ("p", "computed" if computed else "shape"), ("flat",)),
        Op("FULLY_CONNECTED", ("flat", "w3", "b3"), ("y",)),
    ]
    if not residual:
        del tensors["sum"]
    return graph_model(tensors, operators, ["x"], ["y"])
