"""Models of one operator with random scales, as a trained model has them, and their float32 forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quantcore.flatbuffer.constants import constant_codes
from quantcore.graph import Model, Tensor
from quantcore.oracle.calls import Answer, Call, call_tensorflow
from tests.ops.harness import const, get_oracle, i32, op_model, packed, random_scale, random_values, tensor

Rng = np.random.Generator


@dataclass
class Layer:
    """A model of one operator, its inputs, and what its forward pass calls."""

    name: str
    model: Model
    inputs: list[np.ndarray]
    call: Call
    bias: np.ndarray | None = None
    activation: str = "NONE"

    @property
    def tensors(self) -> list[Tensor]:
        return self.model.subgraphs[0].tensors

    @property
    def output(self) -> int:
        return self.model.subgraphs[0].outputs[0]


def dequantized(q: np.ndarray, item: Tensor) -> np.ndarray:
    """Return integers as the float32 values that a forward pass is given."""
    assert item.quantization is not None
    scale, zero_point = item.quantization.scale, item.quantization.zero_point
    shape = [1] * q.ndim
    shape[item.quantization.quantized_dimension] = -1
    if scale.size > 1:
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return (q.astype(np.float32) - zero_point.astype(np.float32)) * scale


def int8(shape: Sequence[int], scale: Any, zero_point: int) -> Tensor:
    return tensor(shape, "int8", scale, zero_point)


FILTERS = {
    "CONV_2D": lambda size, cin, cout: ((cout, size, size, cin), 0),
    "DEPTHWISE_CONV_2D": lambda size, cin, cout: ((1, size, size, cout), 3),
    "FULLY_CONNECTED": lambda size, cin, cout: ((cout, cin), 0),
}


def sums(
    rng: Rng,
    op: str,
    activation: str = "NONE",
    bits: int = 8,
    *,
    cin: int = 24,
    cout: int = 19,
    stride: int = 1,
) -> Layer:
    """Return a sum of products: outputs fill the range, biases lie between the steps of their scale."""
    shape, axis = FILTERS[op](3, cin, cout)
    limit = 2 ** (bits - 1) - 1
    fully = op == "FULLY_CONNECTED"
    per_tensor = fully and bits == 4
    s_in = random_scale(rng, 0.005, 0.05)
    s_w = random_scale(rng, 0.002, 0.02, 1 if per_tensor else cout) * np.float32(127 / limit)
    w = rng.integers(-limit, limit + 1, shape).astype(np.int8)
    stored = const(w, s_w, axis=axis) if bits == 8 else tensor(shape, "int4", s_w, axis=axis, data=packed(w))
    scale = np.broadcast_to(s_in * s_w, (cout,)).astype(np.float64)
    spread = 74 * limit / 1.73 * np.sqrt(w.size / cout)  # of accumulators
    bias = (rng.normal(0, spread / 3, cout) * scale).astype(np.float32)
    zero_point = -128 if activation != "NONE" else int(rng.integers(-30, 30))
    s_out = np.float32(s_in * s_w.mean() * spread / (100 if activation != "NONE" else 50))
    x = int8((2, cin) if fully else (1, 9, 8, cout if axis == 3 else cin), s_in, int(rng.integers(-128, 40)))
    b = const(np.rint(bias / scale).astype(np.int32), s_in * s_w)
    options: dict[str, Any] = {"fused_activation_function": activation}
    if not fully:
        options |= {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        options |= {"dilation_h_factor": 1, "dilation_w_factor": 1}
    if axis == 3:
        options["depth_multiplier"] = 1
    version = ({8: 9, 4: 10} if fully else {8: 5, 4: 6 if axis == 3 else 7})[bits]
    model = op_model(op, [x, stored, b], [int8((), s_out, zero_point)], options, version=version)
    q = random_values(rng, x.shape)
    w_float = dequantized(constant_codes(model.subgraphs[0].tensors[1]), stored)
    given = dequantized(q, x)
    call = product(op, given, w_float, stride)
    return Layer(f"{op} {activation} {bits} bits", model, [q], call, bias, activation)


def product(op: str, x: np.ndarray, w: np.ndarray, stride: int) -> Call:
    """Return TensorFlow's call for an input and a filter in TFLite's order of axes."""
    if op == "FULLY_CONNECTED":
        return "linalg.matmul", {"a": x, "b": w.T.copy()}
    if op == "CONV_2D":
        filters = w.transpose(1, 2, 3, 0).copy()
        return "nn.conv2d", {"input": x, "filters": filters, "strides": stride, "padding": "SAME"}
    strides = [1, stride, stride, 1]
    return "nn.depthwise_conv2d", {
        "input": x,
        "filter": w[0][..., None],
        "strides": strides,
        "padding": "SAME",
    }


def binary(rng: Rng, op: str, activation: str = "NONE") -> Layer:
    s1, s2 = random_scale(rng, 0.01, 0.05, 2)
    s = s1 * s2 * random_scale(rng, 20, 80) if op == "MUL" else max(s1, s2) * random_scale(rng, 0.8, 3)
    zeros = [int(z) for z in rng.integers(-60, 60, 3)]
    x1, x2 = int8((4, 7, 19), s1, zeros[0]), int8((4, 7, 19), s2, zeros[1])
    model = op_model(
        op, [x1, x2], [int8((), s, zeros[2])], {"fused_activation_function": activation}, version=2
    )
    q = [random_values(rng, x1.shape) for _ in range(2)]
    name = {"ADD": "math.add", "SUB": "math.subtract", "MUL": "math.multiply"}[op]
    call = (name, {"x": dequantized(q[0], x1), "y": dequantized(q[1], x2)})
    return Layer(f"{op} {activation}", model, q, call, activation=activation)


def mean(rng: Rng, keep_dims: bool) -> Layer:
    s1 = random_scale(rng, 0.01, 0.05)
    x = int8((4, 5, 7, 40), s1, int(rng.integers(-40, 40)))
    y = int8((), s1 * random_scale(rng, 0.3, 0.8), int(rng.integers(-30, 30)))
    model = op_model("MEAN", [x, i32(1, 2)], [y], {"keep_dims": keep_dims}, version=2)
    q = random_values(rng, x.shape)
    call = ("math.reduce_mean", {"input_tensor": dequantized(q, x), "axis": [1, 2], "keepdims": keep_dims})
    return Layer(f"MEAN {keep_dims}", model, [q], call)


def pool(rng: Rng) -> Layer:
    scale, zero_point = random_scale(rng), int(rng.integers(-100, 100))
    x = int8((1, 9, 8, 19), scale, zero_point)
    options = {"padding": "SAME", "stride_h": 2, "stride_w": 2, "filter_height": 3, "filter_width": 3}
    model = op_model(
        "AVERAGE_POOL_2D",
        [x],
        [int8((), scale, zero_point)],
        options | {"fused_activation_function": "NONE"},
        version=2,
    )
    q = random_values(rng, x.shape)
    call = ("nn.avg_pool2d", {"input": dequantized(q, x), "ksize": 3, "strides": 2, "padding": "SAME"})
    return Layer("AVERAGE_POOL_2D", model, [q], call)


def unary(
    rng: Rng, op: str, name: str, argument: str, shape: Sequence[int] = (6, 7, 19), **fixed: Any
) -> Layer:
    s = random_scale(rng, 0.01, 0.1)
    x = int8(shape, s, int(rng.integers(-60, 60)))
    s_out = fixed.get("scale", s * random_scale(rng, 0.5, 2))
    y = int8((), s_out, fixed.get("zero_point", int(rng.integers(-60, 60))))
    model = op_model(op, [x], [y], {"beta": 1.0} if op == "SOFTMAX" else {}, version=2)
    q = random_values(rng, x.shape)
    return Layer(op, model, [q], (name, {argument: dequantized(q, x)}))


def resize(rng: Rng, size: tuple[int, int], half_pixel_centers: bool) -> Layer:
    scale, zero_point = random_scale(rng), int(rng.integers(-100, 100))
    x = int8((1, 7, 6, 5), scale, zero_point)
    options = {"half_pixel_centers": half_pixel_centers}
    model = op_model("RESIZE_BILINEAR", [x, i32(*size)], [int8((), scale, zero_point)], options, version=3)
    q = random_values(rng, x.shape)
    call = (
        "raw_ops.ResizeBilinear",
        {"images": dequantized(q, x), "size": np.array(size, np.int32), **options},
    )
    return Layer("RESIZE_BILINEAR", model, [q], call)


def leaky_relu(rng: Rng) -> Layer:
    layer = unary(rng, "LEAKY_RELU", "nn.leaky_relu", "features")
    alpha = 0.25 + 0.1 * rng.random()
    (op,) = layer.model.subgraphs[0].operators
    op.options["alpha"] = layer.call[1]["alpha"] = float(np.float32(alpha))  # type: ignore[index]
    return layer


def transpose_conv(rng: Rng) -> Layer:
    """A convolution whose filter is read as a transposed one's."""
    layer = sums(rng, "CONV_2D", cin=12, cout=7)
    x, w, b, y = (replace(item, buffer=0) for item in (*layer.tensors[:3], layer.tensors[layer.output]))
    shape = (1, 18, 16, 7)
    options = {"padding": "SAME", "stride_h": 2, "stride_w": 2}
    model = op_model("TRANSPOSE_CONV", [i32(*shape), w, x, b], [y], options, version=3)
    filters = dequantized(constant_codes(w), w).transpose(1, 2, 0, 3).copy()
    given = {"input": dequantized(layer.inputs[0], x), "filters": filters}
    call = ("nn.conv2d_transpose", {**given, "output_shape": list(shape), "strides": 2, "padding": "SAME"})
    return Layer("TRANSPOSE_CONV", model, layer.inputs, call, layer.bias)


def matmul(rng: Rng) -> Layer:
    s1, s2 = random_scale(rng, 0.01, 0.05, 2)
    x1, x2 = int8((2, 9, 30), s1, int(rng.integers(-60, 60))), int8((2, 7, 30), s2, 0)
    y = int8((), s1 * s2 * 700, int(rng.integers(-30, 30)))
    model = op_model("BATCH_MATMUL", [x1, x2], [y], {"adj_y": True}, version=2)
    q = [random_values(rng, x.shape) for x in (x1, x2)]
    given = {"a": dequantized(q[0], x1), "b": dequantized(q[1], x2), "transpose_b": True}
    return Layer("BATCH_MATMUL", model, q, ("linalg.matmul", given))


LAYERS: dict[str, Callable[[Rng], Layer]] = {
    "conv": lambda rng: sums(rng, "CONV_2D"),
    "conv relu6": lambda rng: sums(rng, "CONV_2D", "RELU6", stride=2),
    "conv 4 bits": lambda rng: sums(rng, "CONV_2D", "RELU", 4),
    "depthwise": lambda rng: sums(rng, "DEPTHWISE_CONV_2D", "RELU"),
    "depthwise 4 bits": lambda rng: sums(rng, "DEPTHWISE_CONV_2D", bits=4),
    "dense": lambda rng: sums(rng, "FULLY_CONNECTED", cin=130),
    "dense 4 bits": lambda rng: sums(rng, "FULLY_CONNECTED", "RELU", 4, cin=130),
    "add": lambda rng: binary(rng, "ADD"),
    "add relu6": lambda rng: binary(rng, "ADD", "RELU6"),
    "sub": lambda rng: binary(rng, "SUB"),
    "mul": lambda rng: binary(rng, "MUL"),
    "mean": lambda rng: mean(rng, False),
    "mean keep_dims": lambda rng: mean(rng, True),
    "average pool": pool,
    "quantize": lambda rng: unary(rng, "QUANTIZE", "identity", "input"),
    "relu": lambda rng: unary(rng, "RELU", "nn.relu", "features"),
    "leaky relu": leaky_relu,
    "resize": lambda rng: resize(rng, (14, 12), True),
    "resize to odd": lambda rng: resize(rng, (17, 5), False),
    "transposed": transpose_conv,
    "matmul": matmul,
    "gelu": lambda rng: unary(rng, "GELU", "nn.gelu", "features"),
    "logistic": lambda rng: unary(rng, "LOGISTIC", "math.sigmoid", "x", scale=1 / 256, zero_point=-128),
    "tanh": lambda rng: unary(rng, "TANH", "math.tanh", "x", scale=1 / 128, zero_point=0),
    "softmax": lambda rng: unary(
        rng, "SOFTMAX", "nn.softmax", "logits", (64, 10), scale=1 / 256, zero_point=-128
    ),
    "softmax 100": lambda rng: unary(
        rng, "SOFTMAX", "nn.softmax", "logits", (16, 100), scale=1 / 256, zero_point=-128
    ),
}


def forward(layers: Sequence[Layer]) -> list[np.ndarray]:
    """Return each layer's fake-quantized float32 output by TensorFlow, as integers of the output's scale."""
    bounds = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6)}
    found = []
    for layer, answer in zip(layers, answers([layer.call for layer in layers]), strict=True):
        (y,) = answer
        y = y if layer.bias is None else y + layer.bias
        found.append(np.clip(y, *(np.float32(v) for v in bounds[layer.activation])))
    rounded = answers(
        [fake_quantization(y, layer.tensors[layer.output]) for y, layer in zip(found, layers, strict=True)]
    )
    return [to_integers(y, layer.tensors[layer.output]) for (y,), layer in zip(rounded, layers, strict=True)]


def answers(calls: Sequence[Call]) -> list[list[np.ndarray]]:
    found: list[Answer] = call_tensorflow(get_oracle(), calls)
    refused = [answer for answer in found if not isinstance(answer, list)]
    assert not refused, refused
    return [answer for answer in found if isinstance(answer, list)]


def fake_quantization(x: np.ndarray, item: Tensor) -> Call:
    """Return the call that fake-quantizes to a tensor's grid, of int8."""
    assert item.quantization is not None
    scale, zero_point = np.float64(item.quantization.scale[0]), int(item.quantization.zero_point[0])
    ends = {"min": np.float32((-128 - zero_point) * scale), "max": np.float32((127 - zero_point) * scale)}
    return "quantization.fake_quant_with_min_max_vars", {"inputs": x, **ends}


def to_integers(x: np.ndarray, item: Tensor) -> np.ndarray:
    """Return values that lie on a tensor's grid, within a thousandth of a step, as integers."""
    assert item.quantization is not None
    steps = x.astype(np.float64) / np.float64(item.quantization.scale[0])
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    return np.rint(steps) + item.quantization.zero_point[0]
