"""How TensorFlow Lite's converter quantizes an operator, as data beside the operator's lowering."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quantcore.graph import Operator, Tensor

__all__ = ["QuantizationRule", "VersionRule"]

# ``version(op, inputs, outputs)``: the lowest operator version that expresses the operator with these
# operands (None: an omitted input), as the converter writes it.
VersionRule = Callable[[Operator, Sequence[Tensor | None], Sequence[Tensor]], int]


def _first_version(op: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    return 1


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
        ``output``: the outputs take the parameters of the first input; ``inputs``: the inputs are brought to
        the parameters of the output; None: every tensor has its own (int16).
    fixed_output : mapping of str to (float, int)
        Scale and zero point that the outputs have whatever their range, by dtype (``int8``, ``int16``).
    weights : mapping of int to (int or None)
        Constant operands that are quantized as int8 weights, symmetric and narrow, in the static modes, with
        the axis of their channels; None: per tensor.
    bias : (int, int, int) or None
        Positions of the bias, and of the input and the weights whose scales multiply to its scale.
    int16_constants : bool
        In the mode int16x8, constants other than weights become int16; otherwise int8.
    dynamic_weights : mapping of int to (int or None)
        As `weights`, for the mode dynamic.
    asymmetric_quantize_inputs : bool
        The mode dynamic sets the option of this name.
    version : callable
        See `VersionRule`.
    """

    int8: bool = False
    int16: bool = False
    same_scale: bool = False
    same_scale_int16: str | None = None
    fixed_output: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    weights: Mapping[int, int | None] = field(default_factory=dict)
    bias: tuple[int, int, int] | None = None
    int16_constants: bool = False
    dynamic_weights: Mapping[int, int | None] = field(default_factory=dict)
    asymmetric_quantize_inputs: bool = False
    version: VersionRule = _first_version
