"""The rules of quantization of all operators, against the lists measured on TensorFlow 2.21's converter."""

from __future__ import annotations

import pytest

from quantcore.ops.registry import load_operators
from quantcore.ops.shared.quantization_rule import QuantizationRule

RULES: dict[str, QuantizationRule] = {name: d.quantization for name, d in load_operators().items()}

INT8 = """
    ABS ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION CONV_2D
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DIV EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FULLY_CONNECTED GATHER
    GATHER_ND GELU GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG LOGISTIC
    LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL ONE_HOT PACK PAD PADV2 PRELU RANK REDUCE_MAX
    REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_SEQUENCE REVERSE_V2 RSQRT SCATTER_ND SELECT SELECT_V2 SHAPE SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF
    TANH TILE TOPK_V2 TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
"""

SAME_SCALE = """
    AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION DEPTH_TO_SPACE EXPAND_DIMS FILL GATHER
    GATHER_ND MAXIMUM MAX_POOL_2D MINIMUM MIRROR_PAD PACK PAD PADV2 REDUCE_MAX REDUCE_MIN RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SCATTER_ND SELECT SELECT_V2 SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH
    SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TOPK_V2 TRANSPOSE UNPACK
"""

# Quantized to int8, but without a form for int16
NOT_INT16 = """
    ARG_MAX ARG_MIN DEPTH_TO_SPACE DIV EMBEDDING_LOOKUP EQUAL GREATER GREATER_EQUAL HARD_SWISH
    L2_NORMALIZATION LESS LESS_EQUAL LOG_SOFTMAX ONE_HOT PRELU RANK RELU_0_TO_1 RELU_N1_TO_1 REVERSE_SEQUENCE
    SELECT_V2 SPACE_TO_DEPTH SQRT SVDF TOPK_V2 UNIDIRECTIONAL_SEQUENCE_LSTM
"""


def names(attribute: str) -> list[str]:
    """Return the operators whose rule has `attribute`."""
    return sorted(name for name, rule in RULES.items() if getattr(rule, attribute))


def test_operators_that_become_int8() -> None:
    assert names("int8") == sorted(INT8.split())


def test_operators_with_one_scale() -> None:
    assert names("same_scale") == sorted(SAME_SCALE.split())


def test_operators_that_become_int16() -> None:
    assert names("int16") == sorted(set(INT8.split()) - set(NOT_INT16.split()))


def test_fixed_outputs() -> None:
    int16 = (1 / 32768, 0)
    assert {name: RULES[name].fixed_output for name in names("fixed_output")} == {
        "L2_NORMALIZATION": {"int8": (1 / 128, 0)},
        "LOGISTIC": {"int8": (1 / 256, -128), "int16": int16},
        "LOG_SOFTMAX": {"int8": (16 / 256, 127)},
        "SOFTMAX": {"int8": (1 / 256, -128), "int16": int16},
        "TANH": {"int8": (1 / 128, 0), "int16": int16},
    }


def test_weights_and_biases() -> None:
    found = {name: (dict(RULES[name].weights), RULES[name].bias) for name in names("weights")}
    weights, bias = found.pop("UNIDIRECTIONAL_SEQUENCE_LSTM")
    assert sorted(weights) == [*range(1, 9), 16]
    assert set(weights.values()) == {None}
    assert bias is None  # it has four
    assert found == {
        "CONV_2D": ({1: 0}, (2, 0, 1)),
        "DEPTHWISE_CONV_2D": ({1: 3}, (2, 0, 1)),
        "FULLY_CONNECTED": ({1: 0}, (2, 0, 1)),
        "PRELU": ({1: None}, None),
        "SVDF": ({1: None}, (3, 2, 4)),
        "TRANSPOSE_CONV": ({1: 0}, (3, 2, 1)),
    }


def test_dynamic_weights() -> None:
    found = {name: dict(RULES[name].dynamic_weights) for name in names("dynamic_weights")}
    lstm = found.pop("UNIDIRECTIONAL_SEQUENCE_LSTM")
    assert sorted(lstm) == [*range(1, 12), 16]
    assert set(lstm.values()) == {None}
    assert found == {
        "BATCH_MATMUL": {1: None},
        "CONV_2D": {1: 0},
        "DEPTHWISE_CONV_2D": {1: 3},
        "EMBEDDING_LOOKUP": {1: 0},
        "FULLY_CONNECTED": {1: 0},
        "GATHER": {0: None},
        "SVDF": {1: None, 2: None},
        "TRANSPOSE_CONV": {1: 0},
    }


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_are_consistent(name: str) -> None:
    rule = RULES[name]
    assert rule.same_scale_int16 in (None, "output", "inputs")
    assert not rule.int16 or rule.int8  # int16 without int8 does not exist
    assert not rule.same_scale or not rule.fixed_output
    assert rule.int16 or rule.same_scale_int16 is None
    assert not rule.asymmetric_quantize_inputs or rule.dynamic_weights
