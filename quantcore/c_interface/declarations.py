"""C files read by a preprocessor and a parser in Python."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from quantcore.c_interface.source import source_folder
from quantcore.errors import QuantcoreError

__all__ = ["FIXED_WIDTH_TYPES", "Unit", "c_file", "headers", "included_files", "walk"]

FIXED_WIDTH_TYPES = tuple(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64))
FILE_NAME = re.compile(r'"([\w./]+\.(?:h|inc|def))"')


@dataclass(slots=True)
class Unit:
    """The declarations of a C file, or of all headers.

    Attributes
    ----------
    nodes : list of pycparser nodes
        What stands at the top level, in order.
    macros : dict of str to macro
        Of the preprocessor, at the end.
    typedefs : dict of str to node
    enumerators : dict of str to node
        The value is the expression, or (the enumerator before it,).
    functions : dict of str to node
        The first declaration of each function, with its place in ``coord``.
    definitions : dict of str to node
        Functions with a body, and variables, that other files see.
    """

    nodes: list[Any]
    macros: dict[str, Any]
    typedefs: dict[str, Any] = field(default_factory=dict)
    enumerators: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    definitions: dict[str, Any] = field(default_factory=dict)


def headers(macros: tuple[str, ...] = ()) -> Unit:
    """Return the declarations of all headers, with macros such as ``"NAME 0"``.

    No macro of a compiler or of an architecture is defined, so vector versions are left out.

    Raises
    ------
    QuantcoreError
        The extra ``kernels`` is not installed, or a file is not C.
    """
    return _headers(macros)


@cache  # which would take a call without macros, and one with none, for two
def _headers(macros: tuple[str, ...]) -> Unit:
    folder = source_folder() / "include"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.h"))]
    text = "".join(f'#include "{name}"\n' for name in (*names, "kernels.h"))
    return _read(text, "headers of csrc", {}, (*FIXED_WIDTH_TYPES, "size_t", "uintptr_t"), macros)


def c_file(path: Path, macros: tuple[str, ...] = ()) -> Unit:
    """Return what stands in a C file itself, and in files included in the middle of it; see `headers`."""
    return _c_file(path, macros)


@cache
def _c_file(path: Path, macros: tuple[str, ...]) -> Unit:
    known = headers(macros)
    names = (*FIXED_WIDTH_TYPES, "size_t", "uintptr_t", *known.typedefs)
    return _read(path.read_text(encoding="utf-8"), str(path), known.macros, names, ())


@cache
def included_files(path: Path) -> tuple[Path, ...]:
    """Return a file, and those of csrc that it includes, directly or not."""
    found = {path: None}
    for name in FILE_NAME.findall(path.read_text(encoding="utf-8")):
        for folder in (path.parent, source_folder(), source_folder() / "include"):
            named = (folder / name).resolve()
            if named.is_file() and named not in found:
                found |= dict.fromkeys(included_files(named))
    return tuple(found)


def walk(node: Any) -> Iterator[Any]:
    """Yield a node and all below it."""
    yield node
    for _, child in node.children():
        yield from walk(child)


def _read(text: str, what: str, known: dict[str, Any], types: Iterable[str], macros: tuple[str, ...]) -> Unit:
    """Preprocess and parse `text`; where macros are `known`, headers are not read again."""
    pcpp, pycparser = _tools()

    class Preprocessor(pcpp.Preprocessor):  # type: ignore[misc,name-defined]
        def on_include_not_found(
            self, is_malformed: bool, is_system_include: bool, curdir: str, includepath: str
        ) -> None:
            if not is_system_include and not (known and includepath.startswith("quantcore/")):
                raise QuantcoreError(f"{what}: {includepath!r}, which it includes, does not exist")
            raise pcpp.OutputDirective(
                pcpp.Action.IgnoreAndRemove
            )  # a header of the C library, or a known one

    preprocessor = Preprocessor()
    preprocessor.macros.update(known)
    for folder in ("reference",) if known else ("include", "."):
        preprocessor.add_path(str(source_folder() / folder))
    preprocessor.rewrite_paths = []  # names of files stay whole: the working directory may change
    for macro in macros:
        preprocessor.define(macro)
    preprocessor.parse(text, what)
    out = io.StringIO()
    preprocessor.write(out)
    # The parser needs to know which names are types; what they stand for does not matter to it.
    prelude = "".join(f"typedef int {name};" for name in types)
    try:
        tree = pycparser.CParser().parse(f'{prelude}\n#line 1 "{what}"\n{out.getvalue()}', what)
    except Exception as error:  # pycparser has moved its ParseError from module to module
        raise QuantcoreError(f"{what} cannot be read: {error}") from None
    nodes = [node for node in tree.ext if node.coord is not None and node.coord.line > 0]
    unit = Unit([node for node in nodes if not _is_prelude(node, types)], preprocessor.macros)
    _enter(unit, pycparser.c_ast)
    return unit


def _is_prelude(node: Any, types: Iterable[str]) -> bool:
    return type(node).__name__ == "Typedef" and node.name in types


def _tools() -> tuple[Any, Any]:
    try:
        import pcpp
        import pycparser
    except ImportError as error:
        raise QuantcoreError(
            f"reading the C interface of kernels needs {error.name}, which is not installed; "
            "install the extra 'kernels' of quantcore-tflite"
        ) from None
    return pcpp, pycparser


def _enter(unit: Unit, c_ast: Any) -> None:
    for node in unit.nodes:
        if isinstance(node, c_ast.Typedef):
            unit.typedefs[node.name] = node.type
        elif isinstance(node, c_ast.FuncDef):
            unit.functions.setdefault(node.decl.name, node.decl)
            if "static" not in node.decl.storage:
                unit.definitions[node.decl.name] = node
        elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            unit.functions.setdefault(node.name, node)
        elif isinstance(node, c_ast.Decl) and node.name and not {"extern", "static"} & {*node.storage}:
            unit.definitions[node.name] = node
        if isinstance(node, c_ast.FuncDef):
            continue
        for inner in walk(node):
            if isinstance(inner, c_ast.EnumeratorList):
                before: str | None = None
                for one in inner.enumerators:
                    unit.enumerators[one.name] = one.value if one.value is not None else (before,)
                    before = one.name
