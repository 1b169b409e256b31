"""Operator versions, against those found in files that TensorFlow 2.21's converter wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from quantcore.graph import Operator, Quantization, Tensor
from quantcore.numerics import PROFILES
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import load_operators

# dtype of data operands: int8 in one form; the version by that
BY_DTYPE = """
    ABS float32=1 int8=2 int16=3 int32=5
    ADD float32=1 int8=2 int64=4
    ARG_MAX float32=1 int8=2 bool=3
    AVERAGE_POOL_2D float32=1 int8=2
    BROADCAST_TO float32=2 int8=3
    CONCATENATION float32=1 int8=2 uint32=4
    DEQUANTIZE int8=2 float16=3
    DIV float32=1 int8=1
    EQUAL float32=1 int8=2 int16=5 string=3
    EXP float32=1 int8=2
    FLOOR_DIV float32=2 int32=1 int16=3
    GATHER float32=1 int8=2 bool=3
    GATHER_ND float32=1 int8=1 string=2
    GELU float32=1 int8=2
    GREATER float32=1 int8=2
    HARD_SWISH float32=1 int8=1
    LEAKY_RELU float32=1 int8=1
    LESS float32=1 int8=2 int16=3
    LOGISTIC float32=1 int8=2
    MAXIMUM float32=1 int8=2
    MEAN float32=1 int8=2
    MIRROR_PAD float32=1 int8=2
    MUL float32=1 int8=2 int64=5 complex64=6 uint32=7
    NOT_EQUAL float32=1 int16=4
    ONE_HOT float32=1 int8=1
    PACK float32=1 int8=2 uint32=4
    PAD float32=1 int8=2 bool=5
    PRELU float32=1 int8=1
    REDUCE_MAX float32=1 int8=2
    RELU float32=1 int8=2
    RESHAPE float32=1 int8=1
    RESIZE_BILINEAR float32=1 int8=2
    REVERSE_V2 float32=1 int8=3 bool=2
    RSQRT float32=1 int8=2
    SELECT_V2 float32=1 int8=1
    SIGN float32=1 int32=2
    SLICE float32=1 int8=2 string=3 uint32=6
    SOFTMAX float32=1 int8=2
    SPACE_TO_DEPTH float32=1 int8=2
    SQRT float32=1 int8=2
    SQUARED_DIFFERENCE float32=1 int8=2
    SQUEEZE float32=1 string=2
    STRIDED_SLICE float32=1 int8=2 bool=3 string=5 uint32=7
    SUB float32=1 int8=2 int64=4
    SUM float32=1 int8=2
    TILE float32=1 int8=3 string=2
    TOPK_V2 float32=1 int8=2
    TRANSPOSE float32=1 int8=2 bool=3
    UNPACK float32=1 int8=2 bool=3
"""
ROWS = [
    (op, *pair.split("=")) for op, *pairs in map(str.split, BY_DTYPE.strip().splitlines()) for pair in pairs
]


def of(dtype: str, shape: tuple[int, ...] = (1, 4), scales: int = 1) -> Tensor:
    """Return a tensor, of which int8 has scales."""
    if dtype != "int8":
        return Tensor("", shape, dtype)
    return Tensor(
        "",
        shape,
        dtype,
        quantization=Quantization(np.full(scales, 0.5, np.float32), np.zeros(scales, np.int64)),
    )


def version(op: str, inputs: list[Tensor | None], output: str, **options: Any) -> int:
    """Return the version by the operator's rule."""
    return version_of(Operator(op, 1, (), (), options), inputs, of(output))


def version_of(op: Operator, inputs: Sequence[Tensor | None], output: Tensor) -> int:
    operands = [None if t is None else Operand(t, k, t.shape) for k, t in enumerate(inputs)]
    definition = load_operators()[op.op]
    node = Node(op, 0, operands, [Operand(output, -1, output.shape)], PROFILES["reference"], definition)
    return definition.version(node)


@pytest.mark.parametrize(("op", "dtype", "expected"), ROWS)
def test_versions_by_dtype(op: str, dtype: str, expected: str) -> None:
    assert version(op, [of(dtype), of(dtype)], dtype) == int(expected)


W, B = (8, 4), (8,)
FORMS = [
    ("float32", "float32", 1, 1),
    ("int8", "int8", 8, 4),
    ("float32", "int8", 8, 12),
]


@pytest.mark.parametrize(("x", "w", "scales", "expected"), FORMS)
def test_fully_connected(x: str, w: str, scales: int, expected: int) -> None:
    assert version("FULLY_CONNECTED", [of(x), of(w, W, scales), None], x) == expected


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        ([of("float32"), of("float32", W)], {}, 6),
        ([of("float32"), of("float32", W), None], {"keep_num_dims": True}, 5),
        ([of("float32"), of("int8", W), None], {"asymmetric_quantize_inputs": True}, 9),
        ([of("float32"), of("int8", W), None], {}, 3),
        ([of("float32"), of("int8", (1, 4)), None], {}, 12),  # one scale, and one channel
    ],
)
def test_forms_of_fully_connected(
    inputs: list[Tensor | None], options: dict[str, Any], expected: int
) -> None:
    assert version("FULLY_CONNECTED", inputs, "float32", **options) == expected


@pytest.mark.parametrize(
    ("op", "filter_shape", "versions"),
    [
        ("CONV_2D", (8, 3, 3, 4), (1, 3, 2, 5)),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 8), (1, 3, 4, 6)),
    ],
)
def test_convolutions(op: str, filter_shape: tuple[int, ...], versions: tuple[int, ...]) -> None:
    """In float32, int8, and hybrid with one scale and with eight."""
    image = (1, 5, 5, 4)
    forms = [("float32", "float32", 1), ("int8", "int8", 8), ("float32", "int8", 1), ("float32", "int8", 8)]
    found = [version(op, [of(x, image), of(w, filter_shape, n), None], x) for x, w, n in forms]
    assert tuple(found) == versions


def test_groups_and_dilation() -> None:
    image, filters = of("float32", (1, 5, 5, 8)), of("float32", (8, 3, 3, 4))
    assert version("CONV_2D", [image, filters, None], "float32") == 6
    dilated = {"dilation_w_factor": 2, "dilation_h_factor": 2}
    assert version("DEPTHWISE_CONV_2D", [image, of("float32", (1, 3, 3, 8)), None], "float32", **dilated) == 2


@pytest.mark.parametrize(
    ("w", "bias", "options", "expected"),
    [
        ("float32", False, {}, 1),
        ("int8", False, {}, 2),
        ("int8", True, {}, 3),
        ("float32", True, {"fused_activation_function": "RELU"}, 4),
    ],
)
def test_transpose_conv(w: str, bias: bool, options: dict[str, Any], expected: int) -> None:
    inputs = [of("int32", (4,)), of(w, (8, 3, 3, 4)), of("float32", (1, 5, 5, 4)), of("float32", B)]
    assert version("TRANSPOSE_CONV", inputs[: 4 if bias else 3], "float32", **options) == expected


@pytest.mark.parametrize(
    ("x", "y", "expected"), [("float32", "float32", 1), ("int8", "int8", 2), ("float32", "int8", 4)]
)
def test_batch_matmul(x: str, y: str, expected: int) -> None:
    assert version("BATCH_MATMUL", [of(x), of(y)], x, asymmetric_quantize_inputs=True) == expected


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        ("SUB", (1, 1, 1, 1, 4), 3),
        ("DIV", (1, 1, 1, 1, 4), 2),
        ("MAXIMUM", (1, 1, 1, 1, 4), 3),
        ("SUB", (2, 4), 1),
    ],
)
def test_broadcast(op: str, shape: tuple[int, ...], expected: int) -> None:
    assert version(op, [of("float32", shape), of("float32", (1,) * len(shape))], "float32") == expected


@pytest.mark.parametrize(
    ("op", "rank", "expected"),
    [("TRANSPOSE", 5, 4), ("TRANSPOSE", 6, 6), ("SLICE", 5, 5), ("PAD", 5, 4), ("STRIDED_SLICE", 5, 4),
     ("SPACE_TO_BATCH_ND", 3, 3), ("SPACE_TO_BATCH_ND", 4, 1)],
)  # fmt: skip
def test_ranks(op: str, rank: int, expected: int) -> None:
    assert version(op, [of("float32", (1,) * rank), of("int32", (rank,))], "float32") == expected


@pytest.mark.parametrize(("scale", "expected"), [(0.24, 3), (0.26, 2)])
def test_mul_whose_product_of_scales_reaches_the_output(scale: float, expected: int) -> None:
    x = of("int8")
    y = Tensor(
        "", (1, 4), "int8", quantization=Quantization(np.array([scale], np.float32), np.zeros(1, np.int64))
    )
    assert version_of(Operator("MUL", 1, (), ()), [x, x], y) == expected
