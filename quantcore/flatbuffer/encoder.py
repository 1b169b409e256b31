"""Encoding of dicts by field name into one flatbuffer, driven by the schema table.

The inverse of `decoder`: the same dicts, the same table. Scalars that equal their default are left
out, values of None too; the order of everything is fixed, so equal values give equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flatbuffers import number_types
from flatbuffers.builder import Builder, BuilderSizeError

from quantcore.flatbuffer.floats import bits_of_float
from quantcore.flatbuffer.place import Where, fail
from quantcore.flatbuffer.schema import ENUMS, FILE_IDENTIFIER, NUMBERS, TABLES, UNIONS, Field, Table

__all__ = ["MAX_BYTES", "Encoder"]

# Offsets inside a flatbuffer are signed 32-bit integers.
MAX_BYTES = 2**31 - 1

# Of the flatbuffer's length, and so of what is appended to it, and of constants in memory.
_ALIGNMENT = 16


class Encoder:
    """Writes tables from dicts.

    Parameters
    ----------
    size : int
        Bytes to reserve at first.
    """

    def __init__(self, size: int) -> None:
        self._builder = Builder(min(size + -size % _ALIGNMENT, MAX_BYTES))
        self._builder.minalign = _ALIGNMENT
        self._writers = {
            "list": self._list,
            "array": self._array,
            "string": self._string,
            "bytes": self._bytes,
            "table": self._subtable,
            "tables": self._subtables,
        }

    def finish(self, name: str, values: Mapping[str, Any]) -> memoryview:
        """Return the flatbuffer whose root is the table `name` with the given values, without copying it."""
        builder = self._builder
        try:
            builder.Finish(self.table(TABLES[name], values, None), file_identifier=FILE_IDENTIFIER)
        except BuilderSizeError:
            fail(f"the model takes more than {MAX_BYTES} bytes, which no flatbuffer can hold", None)
        return memoryview(builder.Bytes)[builder.Head() :]

    def table(self, spec: Table, values: Mapping[str, Any], where: Where | None) -> int:
        """Write a table; return its offset from the end, as `Builder` counts."""
        for name in values.keys() - spec.names:
            known = ", ".join(spec.defaults) or "none"
            fail(f"{spec.name} has no field {name!r}; it has: {known}", where)
        stored: list[tuple[int, int, Any, Any]] = []  # (bytes, slot, number type, value)
        for field in spec.fields:
            value = values.get(field.name)
            place = (where, field.name)
            if value is None:
                continue
            if field.kind == "scalar":
                number, flags = _scalar(field, value, place)
                if field.deprecated or number != _scalar(field, field.default, place)[0]:
                    stored.append((field.width, field.slot, flags, number))
            elif field.kind == "union":
                member, offset = self._union(field, values.get(f"{field.name}_type"), value, place)
                stored.append((1, field.slot, number_types.Uint8Flags, member))
                stored.append((field.width, field.slot + 1, None, offset))
            else:
                stored.append((field.width, field.slot, None, self._writers[field.kind](field, value, place)))
        return self._place(spec.slots, stored)

    def _place(self, slots: int, stored: list[tuple[int, int, Any, Any]]) -> int:
        """Write the inline part of a table, widest fields first, which needs the least padding."""
        builder = self._builder
        builder.StartObject(slots)
        for _, slot, flags, value in sorted(stored, key=lambda entry: (-entry[0], entry[1])):
            if flags is None:
                builder.PrependUOffsetTRelative(value)
            else:
                builder.Prepend(flags, value)
            builder.Slot(slot)
        return int(builder.EndObject())

    def _payload(self, data: bytes | memoryview, length: int, alignment: int) -> int:
        """Write a vector of `length` elements whose bytes are `data`."""
        builder = self._builder
        size = len(data)
        builder.StartVector(size // length if length else 1, length, alignment)
        head = builder.head - size
        memoryview(builder.Bytes)[head : builder.head] = data
        builder.head = head
        return int(builder.EndVector())

    def _list(self, field: Field, value: Iterable[Any], where: Where) -> int:
        numbers = [_number(field, v, (where, i)) for i, v in enumerate(value)]
        return self._payload(_pack(field, numbers, where), len(numbers), field.alignment)

    def _array(self, field: Field, value: Any, where: Where) -> int:
        given = np.asarray(value)
        if given.ndim != 1:
            fail(f"array of shape {given.shape}, expected one dimension", where)
        if given.size and not np.can_cast(given.dtype, field.number, "same_kind"):
            fail(f"array of {given.dtype}, expected {field.number}", where)
        array = np.ascontiguousarray(given, field.number)
        if array.dtype.kind in "iu" and array is not given and not np.array_equal(array, given):
            fail(f"values that do not fit into {field.number}", where)
        return self._payload(array.view(np.uint8).data, array.size, field.alignment)

    def _string(self, field: Field, value: Any, where: Where) -> int:
        if not isinstance(value, str):
            fail(f"{type(value).__name__}, expected a string", where)
        try:
            return int(self._builder.CreateString(value))
        except UnicodeEncodeError as error:
            fail(f"string that UTF-8 cannot express: {error.reason}", where)

    def _bytes(self, field: Field, value: Any, where: Where) -> int:
        if not isinstance(value, bytes):
            fail(f"{type(value).__name__}, expected bytes", where)
        return self._payload(value, len(value), field.alignment)

    def _subtable(self, field: Field, value: Any, where: Where) -> int:
        return self.table(TABLES[field.type], value, where)

    def _subtables(self, field: Field, value: Iterable[Any], where: Where) -> int:
        spec = TABLES[field.type]
        offsets = [self.table(spec, v, (where, i)) for i, v in enumerate(value)]
        self._builder.StartVector(field.width, len(offsets), field.width)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _union(self, field: Field, name: str | None, value: Any, where: Where) -> tuple[int, int]:
        members = UNIONS[field.type].members
        if name is None or name not in members:
            fail(f"{field.type} has no table {name!r}", where)
        return members.index(name), self.table(TABLES[name], value, where)


def _number(field: Field, value: Any, where: Where) -> Any:
    """Return what is stored for `value`: the number of an enum's name, else the value."""
    if not field.type:
        return value
    numbers = ENUMS[field.type].values
    if not isinstance(value, str) or value not in numbers:
        fail(f"{field.type} has no value {value!r}; it has: {', '.join(numbers)}", where)
    return numbers[value]


def _scalar(field: Field, value: Any, where: Where) -> tuple[Any, Any]:
    """Return the number to store for a scalar field, and its type; floats are stored by their bits."""
    number = _number(field, value, where)
    packed = _pack(field, [number], where)
    if field.number == "float32":
        return struct.unpack("<I", packed)[0], NUMBERS["uint32"]
    return field.codec.unpack(packed)[0], NUMBERS[field.number]


def _pack(field: Field, values: list[Any], where: Where) -> bytes:
    try:
        if field.number == "float32":
            return struct.pack(f"<{len(values)}I", *map(bits_of_float, values))
        return struct.pack(f"<{len(values)}{field.codec.format[-1]}", *values)
    except (struct.error, OverflowError) as error:
        fail(f"{values} cannot be stored as {field.number}: {error}", where)
