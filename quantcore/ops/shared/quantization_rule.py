"""How TensorFlow Lite's converter quantizes an operator, as data beside the operator's lowering.

Operators of one kind share a constant, which ``dataclasses.replace`` completes: ``replace(OWN_SCALE,
weights={1: 0})``.

Sources, as of TensorFlow 2.21: the traits in ``tfl_ops.td`` (int8, dynamic) and ``operator_property.cc``
(int16).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quantcore.graph import Operator

__all__ = [
    "JOINED",
    "OWN_SCALE",
    "OWN_SCALE_INT8",
    "SAME_SCALE",
    "SAME_SCALE_INT8",
    "DerivedBias",
    "QuantizationRule",
]


@dataclass(frozen=True, slots=True)
class DerivedBias:
    """A bias whose scale is the product of the scales of other tensors of the operator, and of a factor.

    Attributes
    ----------
    position : int
        Of the bias, among the inputs.
    inputs, intermediates : tuple of int
        Positions of the tensors.
    factor : float
    """

    position: int
    inputs: tuple[int, ...]
    intermediates: tuple[int, ...] = ()
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class QuantizationRule:
    """What the converter's quantizers know about an operator.

    Positions are positions among the operator's inputs.

    Attributes
    ----------
    int8, int16 : bool
        Whether the quantizer for int8, and the one for int16 activations with int8 weights, takes the
        operator. Where not, it stays float.
    same_scale : bool
        All its float operands and results have one scale and zero point (int8).
    same_scale_int16 : str or None
        ``output``: the outputs take the parameters of the first float input; ``inputs``: the inputs are
        brought to the parameters of the output; None: every tensor has its own (int16).
    fixed_output : mapping of str to (float, int)
        Scale and zero point that the outputs have whatever their range, by dtype (``int8``, ``int16``).
    weights : mapping of int to (int or None)
        Constant operands that are quantized as int8 weights, symmetric and narrow, in the static modes, with
        the axis of their channels; None: per tensor.
    four_bit_weights : mapping of int to (int or None)
        Those of `weights` that can be int4, codes -7 to 7, with the axis of their channels then (int8).
    bias : (int, int, int) or None
        Positions of the bias, and of the input and the weights whose scales multiply to its scale.
    biases : callable or None
        ``biases(op)``: the biases of an operator that has several (int8).
    int16_weights : mapping of int to int
        Constant operands that are quantized as int16, symmetric, per tensor, with the largest code (int8).
    state : mapping of int to str
        Variable inputs (int8): ``output``: one range, and so the parameters, of the first output; ``int16``:
        symmetric int16; ``power_of_two``: int16 of the range widened to a power of two.
    intermediates : callable or None
        ``intermediates(op)``: dtypes of the intermediate tensors by position, where they have one (int8).
    dynamic_weights : mapping of int to (int or None)
        As `weights`, for the mode dynamic.
    dynamic_weights_together : bool
        The mode dynamic quantizes all of these weights or, where one of them is too small, none.
    asymmetric_quantize_inputs : bool
        The mode dynamic sets the option of this name.
    """

    int8: bool = False
    int16: bool = False
    same_scale: bool = False
    same_scale_int16: str | None = None
    fixed_output: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    weights: Mapping[int, int | None] = field(default_factory=dict)
    four_bit_weights: Mapping[int, int | None] = field(default_factory=dict)
    bias: tuple[int, int, int] | None = None
    biases: Callable[[Operator], Sequence[DerivedBias]] | None = None
    int16_weights: Mapping[int, int] = field(default_factory=dict)
    state: Mapping[int, str] = field(default_factory=dict)
    intermediates: Callable[[Operator], Mapping[int, str]] | None = None
    dynamic_weights: Mapping[int, int | None] = field(default_factory=dict)
    dynamic_weights_together: bool = False
    asymmetric_quantize_inputs: bool = False


# Every operand and result has parameters of its own; the first also as int16.
OWN_SCALE = QuantizationRule(int8=True, int16=True)
OWN_SCALE_INT8 = QuantizationRule(int8=True)

# Data moves or is compared, so one scale serves all; as int16, outputs follow the input.
SAME_SCALE = QuantizationRule(int8=True, int16=True, same_scale=True, same_scale_int16="output")
SAME_SCALE_INT8 = QuantizationRule(int8=True, same_scale=True)

# As SAME_SCALE, of several inputs: as int16, these are brought to the scale of the output.
JOINED = QuantizationRule(int8=True, int16=True, same_scale=True, same_scale_int16="inputs")
