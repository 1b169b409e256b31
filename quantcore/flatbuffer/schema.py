"""The TFLite schema as data: every enum, union and table that a ``.tflite`` file can hold.

The facts stand in `enums`, `tables` and `options` as text; this module parses them once, at
import, into `ENUMS`, `UNIONS` and `TABLES`, which the reader and the writer are driven by. The
schema has no structs: tables, vectors, unions and scalars are all there is.
"""

from __future__ import annotations

import ast
import re
import struct
from dataclasses import dataclass, field
from typing import Any

from flatbuffers import number_types

from quantcore.flatbuffer.enums import ENUMS as ENUM_FACTS
from quantcore.flatbuffer.enums import UNIONS as UNION_FACTS
from quantcore.flatbuffer.options import OPTIONS, SHARED_OPTIONS
from quantcore.flatbuffer.tables import TABLES as TABLE_FACTS

__all__ = [
    "ENUMS",
    "FILE_IDENTIFIER",
    "OPERATORS",
    "TABLES",
    "UNIONS",
    "Enum",
    "Field",
    "Table",
    "Union",
    "options_table",
    "options_union",
]

FILE_IDENTIFIER = b"TFL3"

# Vectors that other fields hold indices into.
DOMAINS = frozenset(re.findall(r"-> (\w+)", TABLE_FACTS + OPTIONS))

NUMBERS: dict[str, Any] = {
    flags.name: flags
    for flags in (
        number_types.BoolFlags,
        number_types.Int8Flags,
        number_types.Uint8Flags,
        number_types.Uint16Flags,
        number_types.Int32Flags,
        number_types.Uint32Flags,
        number_types.Int64Flags,
        number_types.Uint64Flags,
        number_types.Float32Flags,
    )
}


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum: the names of its values, which count up from 0, and the type that stores them."""

    name: str
    number: str
    names: tuple[str, ...]
    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Union:
    """A union: table names by stored type, ``None`` at 0; `open` ones may grow past this list."""

    name: str
    members: tuple[str | None, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    Attributes
    ----------
    name : str
    slot : int
        Position in the vtable. A union uses `slot` for its type and ``slot + 1`` for its value.
    kind : str
        ``scalar``, ``list`` (of scalars), ``array``, ``string``, ``bytes``, ``table``, ``tables``
        or ``union``.
    number : str
        Storage type of a scalar or of the elements (``int32``), else empty.
    type : str
        Name of the enum, table or union, else empty.
    default : object
        Value where the file stores none; an enum's is a name.
    domain : str
        Vector that the value is an index into, else empty.
    optional : bool
        Whether the index -1 stands for "none".
    alignment : int
        Least alignment of the first element.
    deprecated : bool
    width : int
        Bytes that the field takes inside the table.
    codec : struct.Struct
        Packs and unpacks one scalar, one element, or the offset to what is neither.
    """

    name: str
    slot: int
    kind: str
    number: str
    type: str
    default: Any
    domain: str
    optional: bool
    alignment: int
    deprecated: bool
    width: int
    codec: struct.Struct

    @property
    def stored(self) -> tuple[tuple[int, int], ...]:
        """What the field puts in a table: (slot, bytes) once, or twice for a union."""
        if self.kind == "union":
            return (self.slot, 1), (self.slot + 1, self.width)
        return ((self.slot, self.width),)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its fields in slot order.

    `defaults` leaves out deprecated fields: they are there only where a file has them.
    """

    name: str
    fields: tuple[Field, ...]
    slots: int
    defaults: dict[str, Any] = field(repr=False)
    names: frozenset[str] = field(repr=False)  # all keys that the dict of such a table can have
    indices: tuple[Field, ...] = field(repr=False)  # scalar fields that are an index
    counted: tuple[Field, ...] = field(repr=False)  # vectors of tables that others index into


def _blocks(text: str) -> list[tuple[list[str], list[str]]]:
    """Split facts into (words of the header line, indented lines below it)."""
    blocks: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            blocks[-1][1].append(line)
        elif line:
            blocks.append((line.split(), []))
    return blocks


def _parse_enums() -> dict[str, Enum]:
    enums = {}
    for (name, number), lines in _blocks(ENUM_FACTS):
        names = tuple(" ".join(lines).split())
        enums[name] = Enum(name, number, names, {value: i for i, value in enumerate(names)})
    return enums


def _parse_unions() -> dict[str, Union]:
    unions = {}
    for (name, *flags), lines in _blocks(UNION_FACTS):
        unions[name] = Union(name, (None, *" ".join(lines).split()), "open" in flags)
    return unions


ENUMS = _parse_enums()
UNIONS = _parse_unions()
OPERATORS = ENUMS["BuiltinOperator"].names


def _take(words: list[str], mark: str) -> str:
    """Remove ``mark value`` from `words` and return the value, or an empty string."""
    if mark not in words:
        return ""
    at = words.index(mark)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def _parse_field(line: str, slot: int, empty_by_default: bool) -> Field:
    words = line.split()
    default, domain = _take(words, "="), _take(words, "->")
    optional = bool(_take(words, "or"))
    alignment = int(_take(words, "aligned") or 1)
    name, *what = words
    type_name = what[-1].strip("[]")
    enum = ENUMS.get(type_name)
    number = enum.number if enum else type_name if type_name in NUMBERS else ""
    listed = what[-1].startswith("[")

    value: Any = None
    if what[0] == "array":
        kind = "array"
    elif listed:
        kind = "list" if number else "tables"
        value = () if empty_by_default and number else None
    elif enum:
        kind, value = "scalar", default or enum.names[0]
    elif number:
        kind, value = "scalar", NUMBERS[number].py_type(ast.literal_eval(default or "0"))
    elif type_name in ("string", "bytes"):
        kind = type_name
        value = {"string": "", "bytes": b""}[kind] if empty_by_default else None
    else:
        kind = "union" if type_name in UNIONS else "table"
    flags = NUMBERS.get(number, number_types.UOffsetTFlags)
    return Field(
        name=name.lstrip("!"),
        slot=slot,
        kind=kind,
        number=number,
        type=type_name if enum or kind in ("union", "table", "tables") else "",
        default=value,
        domain=domain,
        optional=optional,
        alignment=max(alignment, flags.bytewidth if number else 1),
        deprecated=name.startswith("!"),
        width=flags.bytewidth if kind == "scalar" else number_types.UOffsetTFlags.bytewidth,
        codec=flags.packer_type,
    )


def _defaults(fields: tuple[Field, ...]) -> dict[str, Any]:
    types = {f"{f.name}_type": None for f in fields if f.kind == "union"}
    return {f.name: f.default for f in fields} | types


def _parse_tables(text: str, empty_by_default: bool = False) -> dict[str, Table]:
    tables = {}
    for names, lines in _blocks(text):
        fields: list[Field] = []
        slots = 0
        for line in lines:
            fields.append(_parse_field(line, slots, empty_by_default))
            slots += len(fields[-1].stored)
        defaults = _defaults(tuple(f for f in fields if not f.deprecated))
        for name in names:
            tables[name] = Table(
                name=name,
                fields=tuple(fields),
                slots=slots,
                defaults=defaults,
                names=frozenset(defaults) | {f.name for f in fields},
                indices=tuple(f for f in fields if f.domain and f.kind == "scalar"),
                counted=tuple(f for f in fields if f.kind == "tables" and f.name in DOMAINS),
            )
    return tables


_OPTIONS_TABLES = _parse_tables(OPTIONS, empty_by_default=True)
_OWN_OPTIONS = {name.removesuffix("Options").upper(): name for name in _OPTIONS_TABLES}
TABLES = _parse_tables(TABLE_FACTS) | _OPTIONS_TABLES


def options_table(op: str) -> str | None:
    """Return the name of the options table that operator `op` uses, or None where it has none."""
    return SHARED_OPTIONS.get(op) or _OWN_OPTIONS.get(op.replace("_", ""))


def options_union(table: str) -> str:
    """Return the union, ``BuiltinOptions`` or ``BuiltinOptions2``, that options `table` is in."""
    return "BuiltinOptions" if table in UNIONS["BuiltinOptions"].members else "BuiltinOptions2"
