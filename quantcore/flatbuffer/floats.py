"""float32 scalars and their bits: a NaN keeps its payload, and stays signalling if it was."""

from __future__ import annotations

import struct

__all__ = ["bits_of_float", "float_of_bits"]

_F32, _U32 = struct.Struct("<f"), struct.Struct("<I")
_F64, _U64 = struct.Struct("<d"), struct.Struct("<Q")
_EXPONENT_F64 = 0x7FF << 52
_WIDER = 52 - 23  # bits by which the fraction of a float64 is longer


def float_of_bits(bits: int) -> float:
    """Return the float32 with the given bits; a NaN's payload becomes the upper bits of the float64's."""
    value: float = _F32.unpack(_U32.pack(bits))[0]
    if value == value:
        return value
    # The conversion from float32 to float64 would make a signalling NaN quiet.
    sign, fraction = bits >> 31, bits & 0x7FFFFF
    nan: float = _F64.unpack(_U64.pack(sign << 63 | _EXPONENT_F64 | fraction << _WIDER))[0]
    return nan


def bits_of_float(value: float) -> int:
    """Return the bits of `value` as a float32, the inverse of `float_of_bits`.

    Raises
    ------
    OverflowError, struct.error
        The value is too large for float32, or no number.
    """
    rounded: int = _U32.unpack(_F32.pack(value))[0]
    if value == value:
        return rounded
    bits = _U64.unpack(_F64.pack(value))[0]
    fraction = bits >> _WIDER & 0x7FFFFF
    # A payload that lies in the lower bits alone would turn NaN into infinity.
    return rounded if fraction == 0 else bits >> 63 << 31 | 0xFF << 23 | fraction
