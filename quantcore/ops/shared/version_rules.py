"""Operator versions: the lowest that expresses an operator with given operands, as the converter writes it.

Source: ``GetBuiltinOperatorVersion`` in TensorFlow 2.21's ``op_version.cc``. What several operators share
stands here; the rest stands beside the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quantcore.graph import Operator, Tensor

__all__ = [
    "CONVOLUTION_VERSIONS",
    "VersionRule",
    "broadcasts_beyond",
    "by_dtype",
    "dtype_of",
    "first_version",
    "has_bias_type",
    "hybrid_version",
    "is_hybrid",
    "per_channel",
    "rank_of",
]

# ``version(op, inputs, outputs)``: the lowest operator version that expresses the operator with these
# operands (None: an omitted input).
VersionRule = Callable[[Operator, Sequence[Tensor | None], Sequence[Tensor]], int]

# Of convolutions on integers, by the dtypes of activations and weights
CONVOLUTION_VERSIONS = {("int8", "int8"): 3, ("int8", "int4"): 7}


def first_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """Return 1: the operator has no later version, or none that a `Model` can ask for."""
    return 1


def dtype_of(inputs: Sequence[Tensor | None], position: int) -> str:
    """Return the dtype of the input at `position`, "" where there is none."""
    tensor = inputs[position] if position < len(inputs) else None
    return tensor.dtype if tensor is not None else ""


def rank_of(inputs: Sequence[Tensor | None], position: int) -> int:
    """Return the number of dimensions of the input at `position`, 0 where there is none."""
    tensor = inputs[position] if position < len(inputs) else None
    return len(tensor.shape) if tensor is not None else 0


def by_dtype(position: int = 0, default: int = 1, **versions: int) -> VersionRule:
    """Return the rule that looks up the dtype of the input at `position`."""

    def version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
        return versions.get(dtype_of(inputs, position), default)

    return version


def broadcasts_beyond(inputs: Sequence[Tensor | None], rank: int) -> bool:
    """Whether the first two inputs differ in shape, and one has more than `rank` dimensions."""
    if len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        return False
    ranks = (len(inputs[0].shape), len(inputs[1].shape))
    return inputs[0].shape != inputs[1].shape and max(ranks) > rank


def is_hybrid(inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], weights: int = 1) -> bool:
    """Whether activations are float32 and the input at `weights` is int8."""
    activations = dtype_of(inputs, 0), outputs[0].dtype if outputs else ""
    return activations == ("float32", "float32") and dtype_of(inputs, weights) == "int8"


def per_channel(tensor: Tensor | None, axis: int) -> bool:
    """Whether `tensor` has as many scales as elements along `axis`; one scale counts where that has one."""
    if tensor is None or tensor.quantization is None or len(tensor.shape) <= axis:
        return False
    return 0 < tensor.shape[axis] == tensor.quantization.scale.size


def hybrid_version(
    op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], weights: int
) -> int:
    """Return 3 where inputs of a hybrid operator are quantized asymmetrically, else 2; 1 if not hybrid."""
    if not is_hybrid(inputs, outputs, weights):
        return 1
    return 3 if op.options.get("asymmetric_quantize_inputs", False) else 2


def has_bias_type(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether an operator on int16 names the dtype of its bias."""
    dtypes = dtype_of(inputs, 0), dtype_of(inputs, 1), outputs[0].dtype
    named = op.options.get("quantized_bias_type", "FLOAT32") != "FLOAT32"
    return named and dtypes == ("int16", "int8", "int16")
