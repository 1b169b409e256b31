"""Verified decoding of one flatbuffer, driven by the schema table.

Nothing in the file is believed: each offset, vtable, length, string, enum value, union type and
index is checked before it is used, and the memory that the decoded values may take is bounded by a
budget in proportion to the file, because a hostile file can refer to one table a million times.
The depth of the recursion is that of the schema, in which no table contains itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantcore.flatbuffer.floats import float_of_bits
from quantcore.flatbuffer.place import Where, fail, path_of
from quantcore.flatbuffer.schema import ENUMS, TABLES, UNIONS, Field, Table

__all__ = ["Decoder"]

_U16_PAIR = struct.Struct("<HH")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")

# Estimated bytes of Python objects per decoded item, and what a file may ask for in total. What
# converters write stays below: it comes to 12 per byte where a file is all graph and no weights.
_TABLE_COST = 256
_VALUE_COST = 100
_ITEM_COST = 40
_BASE_BUDGET = 16 << 20
_BUDGET_PER_BYTE = 32


@dataclass(slots=True)
class _Layout:
    """Where one vtable puts the fields of a table: (field, offset in the table)."""

    size: int
    present: list[tuple[Field, int]]
    unions: list[tuple[Field, int, int]]  # (field, offset of the value, offset of the type)
    counted: list[tuple[Field, int]]  # 0 where the table has no such vector


class Decoder:
    """Reads tables out of `data` into dicts by field name, defaults filled in.

    A union field ``x`` yields ``x`` (the dict of its table, or None) and ``x_type`` (the table's
    name, or None). An open union of a type newer than the schema table yields None and a name like
    ``BuiltinOptions#130``: the caller decides whether it can go on without the value.

    Parameters
    ----------
    data : ndarray of uint8, shape (bytes,)
        The whole file, at an address aligned to 16 bytes; never written to.

    Attributes
    ----------
    end : int
        End of the last byte that was decoded or sliced; what lies behind it is not part of the flatbuffer.
    unread : list of str
        What the tables hold that the schema table does not know, and where it was first met.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.size = data.size
        self.end = 0
        self.unread: list[str] = []
        self._raw = data.data
        self._sizes: dict[str, int] = {}
        self._layouts: dict[tuple[int, str], _Layout] = {}
        self._budget = _BASE_BUDGET + _BUDGET_PER_BYTE * self.size
        self._readers = {
            "scalar": self._scalar,
            "list": self._list,
            "array": self._array,
            "string": self._string,
            "bytes": self._bytes,
            "table": self._subtable,
            "tables": self._subtables,
        }

    def spend(self, cost: int, where: Where | None, at: int | None = None) -> None:
        """Take `cost` bytes of memory, or as much work, from the budget."""
        self._budget -= cost
        if self._budget < 0:
            fail(
                "the file refers to the same bytes over and over: decoding it would take far more memory "
                f"than its {self.size} bytes can mean",
                where,
                at,
            )

    def root(self, name: str) -> dict[str, Any]:
        """Decode the root table."""
        return self.table(TABLES[name], self._follow(0, None), None)

    def table(self, spec: Table, at: int, where: Where | None) -> dict[str, Any]:
        """Decode the table of type `spec` that starts at byte `at`."""
        self.spend(_TABLE_COST, where, at)
        layout = self._layout(spec, at, where)
        for field, offset in layout.counted:
            length = self._vector(at + offset, field.width, (where, field.name))[1] if offset else 0
            self._sizes[field.name] = length
        values = spec.defaults.copy()
        for field, offset in layout.present:
            values[field.name] = self._readers[field.kind](field, at + offset, (where, field.name))
        for field, offset, type_offset in layout.unions:
            name, value = self._union(field, at + offset, at + type_offset, (where, field.name))
            values[field.name], values[f"{field.name}_type"] = value, name
        for field in spec.indices:
            self._check_index(field, values[field.name], (where, field.name), at)
        return values

    def slice(self, at: int, length: int, where: Where | None) -> np.ndarray:
        """Return `length` bytes of the file from byte `at` as a view, or fail."""
        if length > self.size or at > self.size - length:
            fail(f"{length} bytes at byte {at} run past the end of the file ({self.size} bytes)", where)
        self.end = max(self.end, at + length)
        return self.data[at : at + length]

    def typed(self, data: np.ndarray, dtype: npt.DTypeLike, where: Where | None) -> np.ndarray:
        """Return bytes of the file as an array of `dtype`: a view, or a read-only copy if misaligned."""
        array = data.view(dtype)
        if not array.flags.aligned:
            self.spend(data.size, where)
            array = array.copy()
            array.flags.writeable = False
        return array

    def _layout(self, spec: Table, at: int, where: Where | None) -> _Layout:
        """Return the verified layout of the table that starts at byte `at`."""
        vtable = at - _I32.unpack_from(self._raw, at)[0]
        layout = self._layouts.get((vtable, spec.name))
        if layout is None:
            layout = self._layouts[vtable, spec.name] = self._read_vtable(spec, vtable, where)
        if layout.size > self.size - at:
            fail(f"table of {layout.size} bytes runs past the end of the file", where, at)
        if at + layout.size > self.end:
            self.end = at + layout.size
        return layout

    def _read_vtable(self, spec: Table, vtable: int, where: Where | None) -> _Layout:
        if not 0 <= vtable <= self.size - 4:
            fail(f"vtable at byte {vtable}, outside the file ({self.size} bytes)", where)
        length, table_size = _U16_PAIR.unpack_from(self._raw, vtable)
        if length < 4 or length % 2 or length > self.size - vtable:
            fail(f"vtable of {length} bytes does not fit", where, vtable)
        if table_size < 4:
            fail(f"vtable of a table of {table_size} bytes, expected at least 4", where, vtable)
        self.end = max(self.end, vtable + length)
        # A newer writer may know more slots, an older one fewer.
        slots = (length - 4) // 2
        offsets = struct.unpack_from(f"<{slots}H", self._raw, vtable + 4) + (0,) * (spec.slots - slots)
        if slots > spec.slots:
            self.spend(length, where, vtable)
            newer = [slot for slot in range(spec.slots, slots) if offsets[slot]]
            if newer:
                others = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
                self._note_unread(f"slot {newer[0]}{others} of {spec.name}", where)
        for field in spec.fields:
            for slot, width in field.stored:
                if offsets[slot] and not 4 <= offsets[slot] <= table_size - width:
                    fail(
                        f"field at byte {offsets[slot]} of a table of {table_size} bytes",
                        (where, field.name),
                        vtable + 4 + 2 * slot,
                    )
        fields = [f for f in spec.fields if offsets[f.slot]]
        return _Layout(
            size=table_size,
            present=[(f, offsets[f.slot]) for f in fields if f.kind != "union"],
            unions=[
                (f, offsets[f.slot + 1], offsets[f.slot])
                for f in fields
                if f.kind == "union" and offsets[f.slot + 1]
            ],
            counted=[(f, offsets[f.slot]) for f in spec.counted],
        )

    def _follow(self, at: int, where: Where | None) -> int:
        """Return the position that the offset at byte `at` points to; at least 4 bytes follow it."""
        offset: int = _U32.unpack_from(self._raw, at)[0]
        if offset == 0 or offset > self.size - 4 - at:
            fail(f"offset {offset} does not lead to a place inside the file", where, at)
        return at + offset

    def _vector(self, at: int, width: int, where: Where | None) -> tuple[int, int]:
        """Return (position of the first element, length) of the vector that byte `at` refers to."""
        start = self._follow(at, where)
        length: int = _U32.unpack_from(self._raw, start)[0]
        if length * width > self.size - start - 4:
            fail(f"vector of {length} elements of {width} bytes runs past the end of the file", where, start)
        self.end = max(self.end, start + 4 + length * width)
        return start + 4, length

    def _note_unread(self, what: str, where: Where | None) -> None:
        self.spend(_VALUE_COST, where)
        self.unread.append(f"{what} (at {path_of(where) or 'the root'})")

    def _scalar(self, field: Field, at: int, where: Where) -> Any:
        value = field.codec.unpack_from(self._raw, at)[0]
        if field.number == "float32":
            return float_of_bits(_U32.unpack_from(self._raw, at)[0])
        return self._enum_name(field, value, where, at) if field.type else value

    def _enum_name(self, field: Field, value: int, where: Where, at: int) -> str:
        names = ENUMS[field.type].names
        if not 0 <= value < len(names):
            fail(f"{field.type} has no value {value}, expected 0 to {len(names) - 1}", where, at)
        return names[value]

    def _list(self, field: Field, at: int, where: Where) -> tuple[Any, ...]:
        start, length = self._vector(at, field.codec.size, where)
        self.spend(length * _ITEM_COST, where, start)
        values = struct.unpack_from(f"<{length}{field.codec.format[-1]}", self._raw, start)
        if field.number == "float32":
            return tuple(map(float_of_bits, struct.unpack_from(f"<{length}I", self._raw, start)))
        if field.type:
            return tuple([self._enum_name(field, v, (where, i), start) for i, v in enumerate(values)])
        if field.domain and not all(0 <= value < self._sizes[field.domain] for value in values):
            for i, value in enumerate(values):
                self._check_index(field, value, (where, i), start + i * field.codec.size)
        return values

    def _array(self, field: Field, at: int, where: Where) -> np.ndarray:
        start, length = self._vector(at, field.codec.size, where)
        self.spend(_VALUE_COST, where, start)
        data = self.data[start : start + length * field.codec.size]
        return self.typed(data, field.number, where)

    def _string(self, field: Field, at: int, where: Where) -> str:
        start, length = self._vector(at, 1, where)
        self.spend(_VALUE_COST + length, where, start)
        if start + length >= self.size or self._raw[start + length] != 0:
            fail(f"string of {length} bytes does not end in a zero byte", where, start)
        self.end = max(self.end, start + length + 1)
        try:
            return str(self._raw[start : start + length], "utf-8")
        except UnicodeDecodeError as error:
            fail(f"string is not UTF-8: {error.reason}", where, start + error.start)

    def _bytes(self, field: Field, at: int, where: Where) -> bytes:
        start, length = self._vector(at, 1, where)
        self.spend(_VALUE_COST + length, where, start)
        return bytes(self._raw[start : start + length])

    def _subtable(self, field: Field, at: int, where: Where) -> dict[str, Any]:
        return self.table(TABLES[field.type], self._follow(at, where), where)

    def _subtables(self, field: Field, at: int, where: Where) -> list[dict[str, Any]]:
        start, length = self._vector(at, field.width, where)
        spec = TABLES[field.type]
        tables = []
        for i in range(length):
            place = (where, i)
            tables.append(self.table(spec, self._follow(start + 4 * i, place), place))
        return tables

    def _union(self, field: Field, at: int, type_at: int, where: Where) -> tuple[str | None, Any]:
        union = UNIONS[field.type]
        number = self._raw[type_at]
        if number < len(union.members):
            name = union.members[number]
            return name, None if name is None else self.table(TABLES[name], self._follow(at, where), where)
        if not union.is_open:
            fail(f"{union.name} has no type {number}, expected 0 to {len(union.members) - 1}", where, type_at)
        self._note_unread(f"table {number} of {union.name}", where)
        return f"{union.name}#{number}", None

    def _check_index(self, field: Field, value: int, where: Where, at: int) -> None:
        size = self._sizes[field.domain]
        # Every model has buffer 0, the empty one, even where the file leaves the vector out.
        if field.domain == "buffers":
            size = max(size, 1)
        if not (-1 if field.optional else 0) <= value < size:
            fail(f"index {value} into {size} {field.domain}", where, at)
