"""What a user asks of the quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantcore.errors import QuantizationError
from quantcore.qparams import QuantParams

__all__ = ["MODES", "STATIC", "WEIGHT_BITS", "Mode", "Settings"]


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to quantize, whose passes are in the module of `quantcore.quantizer` of the same name.

    Attributes
    ----------
    about : str
        What it makes, in a few words.
    io : tuple of str
        Dtypes that inputs and outputs can have; the first is the default.
    static : bool
        Whether activations are quantized too, for which their ranges are needed.
    metadata : mapping of str to bytes
        What files of the mode say of themselves, as the converter's do.
    """

    about: str
    io: tuple[str, ...] = ("float32",)
    static: bool = False
    metadata: Mapping[str, bytes] = field(default_factory=dict)


MODES: Mapping[str, Mode] = {
    "int8": Mode("int8 weights and activations", ("int8", "uint8", "float32"), static=True),
    "int16x8": Mode("int8 weights, int16 activations", ("int16", "float32"), static=True),
    "dynamic": Mode("int8 weights, activations are float and quantized when it runs"),
    # Delegates may compute in float16 and accumulate in float32.
    "float16": Mode(
        "float16 weights, float arithmetic", metadata={"reduced_precision_support": b"fp16accfp32"}
    ),
}
WEIGHT_BITS = (8, 4)
STATIC = tuple(name for name, mode in MODES.items() if mode.static)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user asks of the quantizer.

    Attributes
    ----------
    mode : str
        One of `MODES`.
    io : str
        Dtype of the model's inputs and outputs, one of ``MODES[mode].io``; empty: the first of them.
    allow_float : bool
        Leave operators in float that have no quantized form, instead of refusing the model.
    per_channel : bool
        One scale per channel of the weights where TFLite has that; otherwise one per tensor.
    per_channel_dense : bool
        The same for FULLY_CONNECTED alone.
    float_operators : frozenset of int
        Indices of operators that are to stay float (chosen by a recipe or by the search).
    int16_operators : frozenset of int
        Mode int8: operators that are to run in 16x8 instead (int16 activations, int8 weights, int64 bias).
    weight_bits : {8, 4}
        Mode int8: of the weights that can have 4; others have 8.
    operator_weight_bits : mapping of int to {8, 4}
        The same for single operators.
    trained : mapping of int to QuantParams
        Mode int8: parameters that training found, by tensor of the main subgraph; then there are no ranges.
    """

    mode: str = "int8"
    io: str = ""
    allow_float: bool = False
    per_channel: bool = True
    per_channel_dense: bool = True
    float_operators: frozenset[int] = field(default_factory=frozenset)
    int16_operators: frozenset[int] = field(default_factory=frozenset)
    weight_bits: int = 8
    operator_weight_bits: Mapping[int, int] = field(default_factory=dict, hash=False)
    trained: Mapping[int, QuantParams] = field(default_factory=dict, hash=False)

    @property
    def static(self) -> bool:
        """Whether the mode needs the ranges of activations."""
        return MODES[self.mode].static

    def channel_axis(self, op: str, axis: int | None) -> int | None:
        """Return `axis`, where TFLite has the channels of weights of the operator called `op`, if each
        channel is to have a scale; None: one scale for all."""
        return axis if self.per_channel and (self.per_channel_dense or op != "FULLY_CONNECTED") else None

    def bits_of_weights(self, operator: int) -> int:
        """Return how many bits the weights of an operator have, where it has both forms."""
        return self.operator_weight_bits.get(operator, self.weight_bits)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise QuantizationError(f"mode is {self.mode!r}; expected one of {', '.join(MODES)}")
        if not self.io:
            object.__setattr__(self, "io", MODES[self.mode].io[0])
        if self.io not in MODES[self.mode].io:
            raise QuantizationError(
                f"io is {self.io!r}; mode {self.mode!r} has {', '.join(MODES[self.mode].io)}"
            )
        for bits in {self.weight_bits, *self.operator_weight_bits.values()}:
            if bits not in WEIGHT_BITS:
                raise QuantizationError(f"weight_bits is {bits!r}; expected 8 or 4")
            if bits != 8 and self.mode != "int8":
                raise QuantizationError(f"weights of {bits} bits are for mode 'int8', not {self.mode!r}")
        if self.int16_operators and self.mode != "int8":
            raise QuantizationError(
                f"operators are to run in 16x8, but the mode is {self.mode!r}; that is for mode 'int8'"
            )
        if both := sorted(self.int16_operators & self.float_operators):
            raise QuantizationError(
                f"operators {', '.join(map(str, both))} are to stay float and to run in 16x8; choose one"
            )
