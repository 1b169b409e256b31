"""The parameters of a kernel call, as values by the names that they have in C."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantcore.c_interface.kernel_interface import kernel_interface
from quantcore.c_interface.layout import (
    ArrayType,
    CType,
    EnumType,
    PointerType,
    ScalarType,
    StructType,
    struct_type,
)
from quantcore.errors import QuantcoreError
from quantcore.kernels._core import KernelCall

__all__ = ["Enumerator", "Struct", "Value", "read_params"]


class Enumerator(int):
    """A value of an enum, with its name in C."""

    name: str

    def __new__(cls, value: int, name: str) -> Enumerator:
        self = super().__new__(cls, value)
        self.name = name
        return self

    def __repr__(self) -> str:
        return self.name


Value = Any  # int, float, Enumerator, Struct, list of Value, ndarray, or None for a null pointer


@dataclass(slots=True)
class Struct:
    """A struct of C.

    Attributes
    ----------
    type : StructType
        Its name and the types of its fields.
    fields : dict of str to value
        Integers and floats; `Enumerator`; `Struct`; a list for an array of structs; an ndarray for an array
        of numbers, and for what a pointer points to (of structs: a list); None for a null pointer.
    """

    type: StructType
    fields: dict[str, Value]

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def structs(self) -> Iterator[Struct]:
        """Yield this struct and all inside of it."""
        yield self
        for value in self.fields.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Struct):
                    yield from one.structs()


def read_params(call: KernelCall) -> Struct:
    """Return the parameters of a kernel call.

    Parameters
    ----------
    call : KernelCall
        Made while ``select_isa("scalar")`` was active, if nothing that is prepared for vector versions is
        wanted.

    Raises
    ------
    QuantcoreError
        The headers are not those that quantcore was built from; the extra ``kernels`` is missing.
    """
    layout = struct_type(kernel_interface(call.name).params)
    data = call.params_data
    if len(data) != ctypes.sizeof(layout.ctype):
        raise QuantcoreError(
            f"{layout.name} of {call.name} has {ctypes.sizeof(layout.ctype)} bytes by the headers, "
            f"{len(data)} as quantcore was built; build it anew (make ext)"
        )
    return _Reader(call).struct(layout, layout.ctype.from_buffer_copy(data))


class _Reader:
    """Reads values of one call; pointers are looked up in the arrays that the call keeps alive."""

    def __init__(self, call: KernelCall) -> None:
        self.call = call
        self.arrays = list(_arrays(call.keepalive))

    def struct(self, layout: StructType, memory: Any) -> Struct:
        fields = {name: self.value(kind, getattr(memory, name)) for name, kind in layout.fields.items()}
        return Struct(layout, fields)

    def value(self, kind: CType, memory: Any) -> Value:
        if isinstance(kind, StructType):
            return self.struct(kind, memory)
        if isinstance(kind, EnumType):
            return Enumerator(memory, kind.names[memory]) if memory in kind.names else int(memory)
        if isinstance(kind, PointerType):
            return None if memory is None else self.pointed_to(kind, memory)
        if isinstance(kind, ArrayType):
            return self.elements(kind.element, bytes(memory))
        return memory

    def elements(self, kind: CType, data: bytes) -> Value:
        """Return an array of numbers, or a list of what else the bytes are."""
        if isinstance(kind, ScalarType):
            return np.frombuffer(data, dtype=np.dtype(kind.ctype))
        size = ctypes.sizeof(kind.ctype)
        found = [kind.ctype.from_buffer_copy(data[at : at + size]) for at in range(0, len(data), size)]
        return [self.value(kind, getattr(one, "value", one)) for one in found]

    def pointed_to(self, kind: PointerType, address: int) -> Value:
        for array in self.arrays:
            begin = array.ctypes.data
            if begin <= address < begin + array.nbytes:
                data = array.reshape(-1).view(np.uint8)[address - begin :].tobytes()
                return self.elements(kind.target or ScalarType("uint8_t", ctypes.c_uint8), data)
        if any(array.ctypes.data == address and not array.nbytes for array in self.arrays):
            return None  # an array without elements
        raise QuantcoreError(f"{self.call.name}: a parameter points to memory that the call does not keep")


def _arrays(kept: Any) -> Iterator[np.ndarray]:
    if isinstance(kept, np.ndarray):
        yield kept
    elif isinstance(kept, (tuple, list)):
        for one in kept:
            yield from _arrays(one)
    elif kept is not None:  # a Requant
        for name in ("multiplier", "shift", "real_multiplier", "blocks"):
            yield from _arrays(getattr(kept, name, None))
