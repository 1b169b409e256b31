"""Values as C99: constant arrays and initializers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from quantcore.c_interface.layout import ArrayType, CType, EnumType, PointerType, ScalarType, StructType
from quantcore.c_interface.params import Enumerator, Struct, Value

__all__ = ["write_array", "write_params"]

WIDTH = 110
LIMITS = {
    **{-(2 ** (bits - 1)): f"INT{bits}_MIN" for bits in (32, 64)},
    **{2 ** (bits - 1) - 1: f"INT{bits}_MAX" for bits in (32, 64)},
}


def write_params(struct: Struct, name: str, storage: str = "static const") -> str:
    """Return a struct as C99: the arrays that it points to, and an initializer with the names of its fields.

    Parameters
    ----------
    struct : Struct
    name : str
        Of the variable; its arrays are called ``<name>_<field>``.
    storage : str
        What stands before each type.

    Returns
    -------
    str
        Declarations that need the header of the struct, and math.h where a float is not finite.
    """
    arrays: list[str] = []
    body = _fields(struct, name, storage, arrays, "    ")
    return "".join(arrays) + f"{storage} {struct.type.name} {name} = {body};\n"


def write_array(
    kind: str, name: str, values: np.ndarray | Sequence[str], storage: str = "static const"
) -> str:
    """Return the definition of an array of numbers of C type `kind`; `values` may be expressions of C."""
    if isinstance(values, np.ndarray):
        values = _numbers(values)
    lines = textwrap.fill(", ".join(values), WIDTH, initial_indent="    ", subsequent_indent="    ",
                          break_long_words=False, break_on_hyphens=False)  # fmt: skip
    return f"{storage} {kind} {name}[{len(values)}] = {{\n{lines}\n}};\n"


def _fields(struct: Struct, name: str, storage: str, arrays: list[str], indent: str) -> str:
    """Return the initializer of a struct; null pointers are left out, which makes them null."""
    entries = []
    for field, value in struct.fields.items():
        kind = struct.type.fields[field]
        if isinstance(kind, PointerType):
            if value is None:
                continue
            place = f"{name}_{field}"
            arrays.append(_pointed_to(kind.target, place, value, storage))
            text = place
        else:
            text = _initializer(kind, value, f"{name}_{field}", storage, arrays, indent + "    ")
        entries.append(f".{field} = {text}")
    inline = "{" + ", ".join(entries) + "}"
    if len(indent) > 4 and "\n" not in inline and len(indent) + len(inline) <= WIDTH:
        return inline
    outer = indent[:-4]
    return "{\n" + "".join(f"{indent}{entry},\n" for entry in entries) + outer + "}"


def _initializer(kind: CType, value: Value, name: str, storage: str, arrays: list[str], indent: str) -> str:
    if isinstance(value, Struct):
        return _fields(value, name, storage, arrays, indent)
    if isinstance(value, np.ndarray):
        return _braced(_numbers(value), indent)
    if isinstance(value, list) and isinstance(kind, ArrayType):
        inner = indent + "    "
        parts = [
            _initializer(kind.element, one, f"{name}_{i}", storage, arrays, inner)
            for i, one in enumerate(value)
        ]
        return "{\n" + "".join(f"{indent}{part},\n" for part in parts) + indent[:-4] + "}"
    if isinstance(value, Enumerator):
        return value.name
    return _number(value, single=isinstance(kind, ScalarType) and kind.name == "float")


def _pointed_to(target: CType | None, name: str, value: Value, storage: str) -> str:
    if isinstance(value, np.ndarray):
        kind = target.name if isinstance(target, (ScalarType, EnumType)) else "uint8_t"
        return write_array(kind, name, value, storage)
    assert isinstance(target, StructType)
    arrays: list[str] = []
    parts = [_fields(one, f"{name}_{i}", storage, arrays, " " * 8) for i, one in enumerate(value)]
    lines = "".join(f"    {part},\n" for part in parts)
    return "".join(arrays) + f"{storage} {target.name} {name}[{len(parts)}] = {{\n{lines}}};\n"


def _braced(numbers: list[str], indent: str) -> str:
    """Return numbers in braces; zeros at the end are left out, as C fills them in."""
    while len(numbers) > 1 and numbers[-1] in ("0", "0x0.0p+0f", "0x0.0p+0"):
        numbers.pop()
    inline = "{" + ", ".join(numbers) + "}"
    if len(inline) + len(indent) <= WIDTH:
        return inline
    filled = textwrap.fill(", ".join(numbers), WIDTH, initial_indent=indent, subsequent_indent=indent,
                           break_long_words=False, break_on_hyphens=False)  # fmt: skip
    return "{\n" + filled + "}"


def _numbers(values: np.ndarray) -> list[str]:
    single = values.dtype == np.float32
    return [_number(value, single=single) for value in values.reshape(-1).tolist()]


def _number(value: float, *, single: bool) -> str:
    """Return a number as a constant of C that is exactly this number."""
    if not isinstance(value, float):
        value = int(value)
        return LIMITS.get(value) or (f"{value}u" if value >= 2**63 else str(value))
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return value.hex() + ("f" if single else "")
