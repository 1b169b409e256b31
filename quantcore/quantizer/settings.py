"""What a user asks of the quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantcore.errors import QuantizationError

__all__ = ["IO_DTYPES", "MODES", "Settings"]

MODES = ("int8", "int16x8", "dynamic", "float16")

# dtypes that inputs and outputs can have in each mode; the first is the default
IO_DTYPES: Mapping[str, tuple[str, ...]] = {
    "int8": ("int8", "uint8", "float32"),
    "int16x8": ("int16", "float32"),
    "dynamic": ("float32",),
    "float16": ("float32",),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user asks of the quantizer.

    Attributes
    ----------
    mode : {"int8", "int16x8", "dynamic", "float16"}
    io : str
        Dtype of the model's inputs and outputs, one of ``IO_DTYPES[mode]``; empty: the first of them.
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
    """

    mode: str = "int8"
    io: str = ""
    allow_float: bool = False
    per_channel: bool = True
    per_channel_dense: bool = True
    float_operators: frozenset[int] = field(default_factory=frozenset)
    int16_operators: frozenset[int] = field(default_factory=frozenset)

    def has_channels(self, op: str) -> bool:
        """Whether weights of the operator called `op` have a scale per channel, if TFLite has that."""
        return self.per_channel and (self.per_channel_dense or op != "FULLY_CONNECTED")

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise QuantizationError(f"mode is {self.mode!r}; expected one of {', '.join(MODES)}")
        if not self.io:
            object.__setattr__(self, "io", IO_DTYPES[self.mode][0])
        if self.io not in IO_DTYPES[self.mode]:
            raise QuantizationError(
                f"io is {self.io!r}; mode {self.mode!r} has {', '.join(IO_DTYPES[self.mode])}"
            )
        if self.int16_operators and self.mode != "int8":
            raise QuantizationError(
                f"operators are to run in 16x8, but the mode is {self.mode!r}; that is for mode 'int8'"
            )
        if both := sorted(self.int16_operators & self.float_operators):
            raise QuantizationError(
                f"operators {', '.join(map(str, both))} are to stay float and to run in 16x8; choose one"
            )
