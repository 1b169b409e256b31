"""Versions of the operators with weights, which the forms of weights and bias decide; see `version_rules`."""

from __future__ import annotations

from collections.abc import Sequence

from quantcore.graph import Operator, Tensor
from quantcore.ops.version_rules import dtype_of, is_hybrid, per_channel

__all__ = [
    "batch_matmul_version",
    "conv_2d_version",
    "depthwise_conv_2d_version",
    "embedding_lookup_version",
    "fully_connected_version",
    "sequence_lstm_version",
    "svdf_version",
    "transpose_conv_version",
]

# Versions of the integer forms, by the dtypes of activations and weights
_CONV_2D = {("int8", "int8"): 3, ("int8", "int4"): 7}


def conv_2d_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of CONV_2D: 6 for groups, 5 and 2 for hybrid with and without channels."""
    x, weights = inputs[0], inputs[1]
    if _has_bias_type(op, inputs, outputs):
        return 8
    if x is not None and weights is not None and x.shape and x.shape[-1] != weights.shape[-1]:
        return 6
    if is_hybrid(inputs, outputs):
        return 5 if per_channel(weights, 0) else 2
    return _CONV_2D.get((dtype_of(inputs, 0), dtype_of(inputs, 1)), 1)


def depthwise_conv_2d_version(
    op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
) -> int:
    """Return the version of DEPTHWISE_CONV_2D: 2 for dilation in float32."""
    if is_hybrid(inputs, outputs):
        return 6 if per_channel(inputs[1], 3) else 4
    dilated = any(op.options.get(f"dilation_{side}_factor", 1) != 1 for side in "wh")
    return _CONV_2D.get((dtype_of(inputs, 0), dtype_of(inputs, 1)), 2 if dilated else 1)


def transpose_conv_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of TRANSPOSE_CONV: 4 with a fused activation, 3 with a bias, 2 for int8 weights."""
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        return 4
    if len(inputs) == 4 and inputs[3] is not None:
        return 3
    return 2 if dtype_of(inputs, 1) == "int8" else 1


def fully_connected_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of FULLY_CONNECTED: 6 where there are two inputs, 5 for `keep_num_dims`."""
    x, weights = dtype_of(inputs, 0), dtype_of(inputs, 1)
    hybrid = is_hybrid(inputs, outputs)
    if weights == "int2":
        return 14
    if (x, weights) == ("int16", "int4"):
        return 13
    if hybrid and per_channel(inputs[1], 0):
        return 12
    if _has_bias_type(op, inputs, outputs):
        return 11
    if inputs[1] is not None and inputs[1].sparsity is not None:
        return 8
    if len(inputs) == 2:
        return 6
    if op.options.get("keep_num_dims", False):
        return 5
    if hybrid:
        return 9 if op.options.get("asymmetric_quantize_inputs", False) else 3
    shuffled = op.options.get("weights_format", "DEFAULT") != "DEFAULT"
    return {("int8", "int8"): 4, ("int8", "int4"): 10}.get((x, weights), 2 if shuffled else 1)


def batch_matmul_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of BATCH_MATMUL: 4 where inputs are quantized asymmetrically at run time."""
    if is_hybrid(inputs, outputs) and op.options.get("asymmetric_quantize_inputs", False):
        return 4
    return {"int16": 3, "int8": 2}.get(dtype_of(inputs, 0), 1)


def embedding_lookup_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of EMBEDDING_LOOKUP: 4 for int4, or for a scale per row."""
    table = inputs[1]
    if dtype_of(inputs, 1) == "int4":
        return 4
    if table is not None and table.quantization is not None and table.quantization.per_channel:
        return 4 if per_channel(table, 0) else 1
    return 5 if dtype_of(inputs, 1) == "int2" else 1


def sequence_lstm_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of UNIDIRECTIONAL_SEQUENCE_LSTM: 3 and 2 for hybrid weights."""
    if (dtype_of(inputs, 0), dtype_of(inputs, 2)) == ("int16", "int8"):
        return 5
    if op.options.get("diagonal_recurrent_tensors", False):
        return 4
    return _hybrid_version(op, inputs, outputs, 2)


def svdf_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return the version of SVDF: 3 for int8, 4 and 2 for hybrid weights."""
    if dtype_of(inputs, 0) == "int8":
        return 3
    version = _hybrid_version(op, inputs, outputs, 1)
    return 4 if version == 3 else version


def _hybrid_version(
    op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], weights: int
) -> int:
    """Return 3 where inputs of a hybrid operator are quantized asymmetrically, else 2; 1 if not hybrid."""
    if not is_hybrid(inputs, outputs, weights):
        return 1
    return 3 if op.options.get("asymmetric_quantize_inputs", False) else 2


def _has_bias_type(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether an operator on int16 names the dtype of its bias."""
    dtypes = dtype_of(inputs, 0), dtype_of(inputs, 1), outputs[0].dtype
    named = op.options.get("quantized_bias_type", "FLOAT32") != "FLOAT32"
    return named and dtypes == ("int16", "int8", "int16")
