"""C files read by a preprocessor and a parser in Python."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from quantcore.c_interface.source import source_folder
from quantcore.errors import QuantcoreError

__all__ = ["FIXED_WIDTH_TYPES", "Unit", "header_unit", "parsed", "walk"]

FIXED_WIDTH_TYPES = tuple(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64))
# Parsers of C need to know the names of types; what they stand for is not read here.
PRELUDE = "".join(f"typedef int {name};\n" for name in (*FIXED_WIDTH_TYPES, "size_t", "uintptr_t"))


@dataclass(frozen=True, slots=True)
class Unit:
    """A preprocessed and parsed C file.

    Attributes
    ----------
    tree : pycparser.c_ast.FileAST
    files : tuple of Path
        The file, and what it includes, directly or not; without headers of the C library.
    typedefs : dict of str to node
    enumerators : dict of str to node
        The value is the expression, or (the enumerator before it,).
    functions : dict of str to node
        The first declaration of each function, with its place in ``coord``.
    definitions : dict of str to node
        Functions with a body that other files see.
    """

    tree: Any
    files: tuple[Path, ...]
    typedefs: dict[str, Any] = field(default_factory=dict)
    enumerators: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    definitions: dict[str, Any] = field(default_factory=dict)


def header_unit() -> Unit:
    """Return the declarations of all kernels, as kernels.h makes them."""
    return parsed(source_folder() / "kernels.h")


@cache
def parsed(path: Path, macros: tuple[str, ...] = ()) -> Unit:
    """Return a file of csrc, preprocessed (with macros such as ``"NAME 0"``) and parsed.

    No macro of a compiler or of an architecture is defined, so vector versions are left out.

    Raises
    ------
    QuantcoreError
        The extra ``kernels`` is not installed, or the file is not C.
    """
    pcpp, pycparser = _tools()
    text, files = _preprocess(pcpp, path, macros)
    try:
        tree = pycparser.CParser().parse(PRELUDE + text, str(path))
    except Exception as error:  # pycparser has moved its ParseError from module to module
        raise QuantcoreError(f"{path} cannot be read: {error}") from None
    unit = Unit(tree, files)
    _enter(unit, pycparser.c_ast)
    return unit


def walk(node: Any) -> Iterator[Any]:
    """Yield a node and all below it."""
    yield node
    for _, child in node.children():
        yield from walk(child)


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


def _preprocess(pcpp: Any, path: Path, macros: tuple[str, ...]) -> tuple[str, tuple[Path, ...]]:
    files: list[Path] = []

    class Preprocessor(pcpp.Preprocessor):  # type: ignore[misc]
        def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
            opened = super().on_file_open(is_system_include, includepath)
            files.append(Path(includepath).resolve())
            return opened

        def on_include_not_found(
            self, is_malformed: bool, is_system_include: bool, curdir: str, includepath: str
        ) -> None:
            if is_malformed or not is_system_include:
                raise QuantcoreError(f"{path}: the file {includepath!r} that it includes does not exist")
            raise pcpp.OutputDirective(pcpp.Action.IgnoreAndRemove)  # headers of the C library

    preprocessor = Preprocessor()
    for folder in (source_folder() / "include", source_folder()):
        preprocessor.add_path(str(folder))
    for macro in macros:
        preprocessor.define(macro)
    preprocessor.parse(path.read_text(encoding="utf-8"), str(path))
    out = io.StringIO()
    preprocessor.write(out)
    if preprocessor.return_code:
        raise QuantcoreError(f"{path} cannot be preprocessed")
    return out.getvalue(), (path.resolve(), *dict.fromkeys(files))


def _enter(unit: Unit, c_ast: Any) -> None:
    for node in unit.tree.ext:
        if isinstance(node, c_ast.Typedef):
            unit.typedefs[node.name] = node.type
        elif isinstance(node, c_ast.FuncDef):
            unit.functions.setdefault(node.decl.name, node.decl)
            if "static" not in node.decl.storage:
                unit.definitions[node.decl.name] = node
        elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            unit.functions.setdefault(node.name, node)
    for node in walk(unit.tree):
        if isinstance(node, c_ast.EnumeratorList):
            before: str | None = None
            for one in node.enumerators:
                unit.enumerators[one.name] = one.value if one.value is not None else (before,)
                before = one.name
