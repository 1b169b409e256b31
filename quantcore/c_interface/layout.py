"""Types of C as data, with the layout that they have on this machine."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

from quantcore.c_interface.declarations import FIXED_WIDTH_TYPES, headers
from quantcore.errors import QuantcoreError

__all__ = [
    "ArrayType",
    "CType",
    "EnumType",
    "PointerType",
    "ScalarType",
    "StructType",
    "constant",
    "struct_type",
]

SCALARS: dict[str, Any] = {
    "char": ctypes.c_char, "int": ctypes.c_int, "unsigned int": ctypes.c_uint, "long": ctypes.c_long,
    "float": ctypes.c_float, "double": ctypes.c_double, "size_t": ctypes.c_size_t,
    **{name: getattr(ctypes, f"c_{name.removesuffix('_t')}") for name in FIXED_WIDTH_TYPES},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A number; `name` is its name in C."""

    name: str
    ctype: Any


@dataclass(frozen=True, slots=True)
class EnumType:
    """A number with names for some of its values."""

    name: str
    names: dict[int, str]
    ctype: Any = ctypes.c_int


@dataclass(frozen=True, slots=True)
class PointerType:
    """An address; `target` is None for ``void``."""

    target: CType | None
    ctype: Any = ctypes.c_void_p


@dataclass(frozen=True, slots=True)
class ArrayType:
    """So many elements one after the other."""

    element: CType
    count: int
    ctype: Any


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct; `ctype` is a subclass of ctypes.Structure with the same fields."""

    name: str
    fields: dict[str, CType]
    ctype: Any


CType = ScalarType | EnumType | PointerType | ArrayType | StructType


@cache
def struct_type(name: str) -> StructType:
    """Return the struct that the headers of the kernels call `name`."""
    found = named_type(name)
    if not isinstance(found, StructType):
        raise QuantcoreError(f"{name} is no struct in the headers of the kernels")
    return found


@cache
def named_type(name: str) -> CType:
    """Return the type of a name."""
    if name in SCALARS:
        return ScalarType(name, SCALARS[name])
    if name not in headers().typedefs:
        raise QuantcoreError(f"the headers of the kernels have no type {name}")
    return _type_of(headers().typedefs[name], name)


def _type_of(node: Any, name: str) -> CType:
    """Return the type that a node of the parser stands for; structs and enums have none, and get `name`."""
    kind = type(node).__name__
    if kind in ("TypeDecl", "Decl", "Typename"):
        return _type_of(node.type, name)
    if kind == "IdentifierType":
        return named_type(" ".join(node.names))
    if kind == "PtrDecl":
        inner = node.type.type
        is_void = type(inner).__name__ == "IdentifierType" and inner.names == ["void"]
        return PointerType(None if is_void else _type_of(node.type, name))
    if kind == "ArrayDecl":
        element, count = _type_of(node.type, name), constant(node.dim)
        return ArrayType(element, count, element.ctype * count)
    if kind == "Enum":
        return EnumType(name, {enumerator(one.name): one.name for one in node.values.enumerators})
    if kind == "Struct" and node.decls is not None:
        fields = {one.name: _type_of(one, one.name) for one in node.decls}
        made = type(name, (ctypes.Structure,), {"_fields_": [(f, t.ctype) for f, t in fields.items()]})
        return StructType(name, fields, made)
    raise QuantcoreError(f"{name}: a {kind} in a parameter struct is not understood")


@cache
def enumerator(name: str) -> int:
    """Return the value of a constant of an enum."""
    value = headers().enumerators.get(name, (name,))
    if not isinstance(value, tuple):
        return constant(value)
    if value == (name,):
        raise QuantcoreError(f"the headers of the kernels have no constant {name}")
    return 0 if value[0] is None else enumerator(value[0]) + 1


OPERATORS: dict[str, Any] = {
    "+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__, "<<": int.__lshift__,
    ">>": int.__rshift__, "|": int.__or__,
}  # fmt: skip


def constant(node: Any) -> int:
    """Return the value of a constant expression of C."""
    kind = type(node).__name__
    if kind == "Constant":
        return int(node.value.rstrip("uUlL"), 0)
    if kind == "ID":
        return enumerator(node.name)
    if kind == "UnaryOp" and node.op == "-":
        return -constant(node.expr)
    if kind == "BinaryOp" and node.op in OPERATORS:
        return int(OPERATORS[node.op](constant(node.left), constant(node.right)))
    raise QuantcoreError(f"a {kind} in a constant expression is not understood")
