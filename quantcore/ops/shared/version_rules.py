"""Operator versions: the lowest that expresses an operator with given operands, as the converter writes it.

Source: ``GetBuiltinOperatorVersion`` in TensorFlow 2.21's ``op_version.cc``. What several operators share
stands here; the rest stands beside the operator.
"""

from __future__ import annotations

from collections.abc import Callable

from quantcore.ops.node import Node, Operand

__all__ = [
    "CONVOLUTION_VERSIONS",
    "broadcasts_beyond",
    "by_dtype",
    "dtype_of",
    "has_bias_type",
    "hybrid_version",
    "is_hybrid",
    "per_channel",
    "rank_of",
]

# Of convolutions on integers, by the dtypes of activations and weights
CONVOLUTION_VERSIONS = {("int8", "int8"): 3, ("int8", "int4"): 7}


def dtype_of(node: Node, position: int) -> str:
    """Return the dtype of the input at `position`, "" where there is none."""
    operand = node.optional_input(position)
    return operand.dtype if operand is not None else ""


def rank_of(node: Node, position: int) -> int:
    """Return the number of dimensions of the input at `position`, 0 where there is none."""
    operand = node.optional_input(position)
    return len(operand.shape) if operand is not None else 0


def by_dtype(position: int = 0, default: int = 1, **versions: int) -> Callable[[Node], int]:
    """Return the rule that looks up the dtype of the input at `position`."""

    def version(node: Node) -> int:
        return versions.get(dtype_of(node, position), default)

    return version


def broadcasts_beyond(node: Node, rank: int) -> bool:
    """Whether the first two inputs differ in shape, and one has more than `rank` dimensions."""
    a, b = node.optional_input(0), node.optional_input(1)
    return a is not None and b is not None and a.shape != b.shape and max(len(a.shape), len(b.shape)) > rank


def is_hybrid(node: Node, weights: int = 1) -> bool:
    """Whether activations are float32 and the input at `weights` is int8."""
    dtypes = dtype_of(node, 0), node.output.dtype if node.outputs else "", dtype_of(node, weights)
    return dtypes == ("float32", "float32", "int8")


def per_channel(operand: Operand, axis: int) -> bool:
    """Whether there are as many scales as elements along `axis`; one scale counts where that has one."""
    if operand.tensor.quantization is None or len(operand.shape) <= axis:
        return False
    return 0 < operand.shape[axis] == operand.tensor.quantization.scale.size


def hybrid_version(node: Node, weights: int) -> int:
    """Return 3 where inputs of a hybrid operator are quantized asymmetrically, else 2; 1 if not hybrid."""
    if not is_hybrid(node, weights):
        return 1
    return 3 if node.options["asymmetric_quantize_inputs"] else 2


def has_bias_type(node: Node) -> bool:
    """Whether an operator on int16 names the dtype of its bias."""
    named = node.options["quantized_bias_type"] != "FLOAT32"
    return named and (dtype_of(node, 0), dtype_of(node, 1), node.output.dtype) == ("int16", "int8", "int16")
