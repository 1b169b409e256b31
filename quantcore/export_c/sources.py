"""The C files of the kernels that a model uses, without the functions that it does not.

Files of csrc are taken as they are, but for function definitions (and static variables and macros) that
nothing reaches from the kernels in use: comments, declarations and the order stay. What the preprocessor and
the parser say of a file decides; the text is only cut.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from quantcore.c_interface.declarations import c_file, headers, included_files, walk
from quantcore.c_interface.kernel_interface import defining_file, kernel_rows
from quantcore.c_interface.source import source_folder

__all__ = ["used_sources"]

Place = tuple[Path, int]  # a file, and the number of a piece of it

MACRO_CALL = re.compile(r"[A-Z][A-Z0-9_]*\(")
DEFINE = re.compile(r"\s*#\s*define\s+(\w+)")
WORD = re.compile(r"[A-Za-z_]\w*")
IGNORED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
# What is used of math.h; a file without it does not include that
MATH = re.compile(
    r"\b(?:acos|asin|atan2?|ceil|copysign|cos|cosh|erf|exp|exp2|expm1|fabs|floor|fma|fmax|fmin|fmod|frexp|hypot"
    r"|ldexp|log|log10|log1p|log2|lrint|llrint|lround|llround|modf|nearbyint|pow|remainder|rint|round|scalbn|sin"
    r"|sinh|sqrt|tan|tanh|trunc|isfinite|isinf|isnan|isnormal|signbit|fpclassify)f?\s*\("
    r"|\b(?:INFINITY|NAN|HUGE_VALF?)\b"
)
FIRST_INCLUDE = re.compile(r"^#\s*include\b", re.MULTILINE)
MATH_INCLUDE = re.compile(r"#\s*include\s+<(?:tg)?math\.h>\n")


@dataclass(slots=True)
class Piece:
    """Lines of a file that stay or go together: a directive; a definition with the comment above it."""

    first: int  # line, from 1
    lines: list[str]

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def code(self) -> str:
        """The text without comments and strings."""
        return IGNORED.sub(" ", self.text)


def used_sources(
    kernels: Collection[str], headers_used: Collection[str], words: Collection[str], macros: tuple[str, ...]
) -> dict[str, str]:
    """Return the files that kernels are compiled from.

    Parameters
    ----------
    kernels : collection of str
        Names in kernels.def.
    headers_used : collection of str
        Headers that are included elsewhere, such as ``quantcore/conv.h``.
    words : collection of str
        The words of a user's sources: functions of csrc among them are kept.
    macros : tuple of str
        What the files will be compiled with, such as ``"QC_WITH_FLOAT_RULES 0"``.

    Returns
    -------
    dict of str to str
        The text by path: ``src/conv.c``, ``include/quantcore/conv.h``.
    """
    reached = _Reached(macros)
    definitions = {f"qc_{kernel}_ref" for kernel in kernels}
    for name in sorted(definitions | ({f"qc_{kernel}_ref" for kernel in kernel_rows()} & set(words))):
        reached.external(name)
    for name in sorted(set(words) & _names(None, macros).defined.keys()):
        reached.inline(name)
    folder = source_folder().resolve() / "include"
    for name in sorted(headers_used):
        if (folder / name).is_file():
            reached.files |= dict.fromkeys(included_files(folder / name))
    return reached.texts(set(words))


@dataclass(slots=True)
class _Reached:
    """What is reached from some functions."""

    macros: tuple[str, ...]
    units: dict[Path, _Names] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    seen: set[tuple[Path, str]] = field(default_factory=set)
    files: dict[Path, None] = field(default_factory=dict)

    def external(self, name: str) -> None:
        """Enter a function or variable that some C file of csrc defines."""
        path = defining_file(name, self.macros)
        if path not in self.units:
            self.units[path] = _names(path, self.macros)
            for inner in self.units[path].always:
                self.within(path, inner)
        self.within(path, name)

    def within(self, path: Path, name: str) -> None:
        """Enter what a name means in the C file `path`, and what that needs."""
        wanted = [name]
        own, shared = self.units[path], _names(None, self.macros)
        while wanted:
            name = wanted.pop()
            if (path, name) in self.seen:
                continue
            self.seen.add((path, name))
            for names in (own, shared):
                for place in names.defined.get(name, ()):
                    self.places.add(place)
                    wanted += names.uses[place]
            if name in shared.declared and not own.defined.get(name) and name not in own.always:
                self.external(name)

    def inline(self, name: str) -> None:
        """Enter a function of a header, and what that needs."""
        shared = _names(None, self.macros)
        wanted = [name]
        while wanted:
            name = wanted.pop()
            for place in shared.defined.get(name, set()) - self.places:
                self.places.add(place)
                wanted += shared.uses[place]
            if name in shared.declared and name not in shared.defined:
                self.external(name)

    def texts(self, words: Collection[str]) -> dict[str, str]:
        """Return the files, cut."""
        known = [*self.units.values(), _names(None, self.macros)]
        droppable = {place for names in known for places in names.defined.values() for place in places}
        files = dict.fromkeys(file for path in self.units for file in included_files(path)) | self.files
        kept: dict[Path, list[Piece]] = {}
        for file in files:
            kept[file] = [
                piece
                for number, piece in enumerate(_pieces(file))
                if (file, number) in self.places or (file, number) not in droppable
            ]
        _drop_macros(kept, words)
        return {_exported_path(file): _finish(pieces) for file, pieces in kept.items() if pieces}


@dataclass(slots=True)
class _Names:
    """What the names of a C file mean, with what it includes.

    `defined`: where a function or variable is defined (and, if it is static, declared) that may be left out.
    `uses`: the names that a piece uses. `declared`: names of functions and variables that some other file may
    define. `always`: names that files in the middle of it use, which are taken whole.
    """

    defined: dict[str, set[Place]]
    uses: dict[Place, set[str]]
    declared: set[str]
    always: set[str]


@cache
def _names(path: Path | None, macros: tuple[str, ...]) -> _Names:
    """Return the names of a C file, or for None those of all headers."""
    found = _Names(defaultdict(set), defaultdict(set), set(), set())
    for node in (headers(macros) if path is None else c_file(path, macros)).nodes:
        kind = type(node).__name__
        declaration = node.decl if kind == "FuncDef" else node
        if kind not in ("FuncDef", "Decl") or declaration.name is None:
            continue
        if kind != "FuncDef" and "static" not in declaration.storage and not _is_variable(declaration):
            found.declared.add(declaration.name)
            continue
        used = {one.name for one in walk(node) if type(one).__name__ == "ID"}
        place = _place(node)
        if place is None:
            found.always |= used | {declaration.name}
        else:
            found.defined[declaration.name].add(place)
            found.uses[place] |= used
    return found


def _is_variable(declaration: Any) -> bool:
    return type(declaration.type).__name__ != "FuncDecl" and "extern" not in declaration.storage


def _place(node: Any) -> Place | None:
    """Return where a node stands; None in a file that is included in the middle of another."""
    file = Path(node.coord.file).resolve()
    if file.suffix not in (".c", ".h"):
        return None
    line = node.coord.line
    for number, piece in enumerate(_pieces(file)):
        if piece.first <= line < piece.first + len(piece.lines):
            return file, number
    raise AssertionError(f"{file}:{line}: no such line")


@cache
def _pieces(file: Path) -> list[Piece]:
    """Return a file in pieces."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    found: list[Piece] = []
    at = 0
    while at < len(lines):
        end = _end_of_comment(lines, at)
        if end == at or (end < len(lines) and lines[end].strip()):  # nothing, or what follows belongs to it
            end = _end_of_code(lines, end)
        found.append(Piece(at + 1, lines[at:end]))
        at = end
    return found


def _end_of_comment(lines: list[str], at: int) -> int:
    """Return the line after the comments that begin at a line; the line itself where none does."""
    while at < len(lines) and lines[at].startswith("/*"):
        while "*/" not in lines[at]:
            at += 1
        if not lines[at].rstrip().endswith("*/"):
            return at  # code behind the comment
        at += 1
    return at


def _end_of_code(lines: list[str], at: int) -> int:
    """Return the line after a directive, a blank line, or a declaration or definition."""
    if at >= len(lines):
        return at
    if not lines[at].strip() or lines[at].lstrip().startswith("#"):
        while lines[at].rstrip().endswith("\\"):
            at += 1
        return at + 1
    begin = at
    while at < len(lines):
        at += 1
        code = IGNORED.sub(" ", "".join(line for line in lines[begin:at] if not line.startswith("#")))
        if "/*" in code:  # a comment that goes on
            continue
        depth = sum(code.count(c) for c in "({[") - sum(code.count(c) for c in ")}]")
        last = code.rstrip()[-1:]
        if depth == 0 and (last in (";", "}") or (last == ")" and MACRO_CALL.match(code))):
            break
    return at


def _drop_macros(kept: dict[Path, list[Piece]], words: Collection[str]) -> None:
    """Take out the macros that nothing uses; those that are undefined again belong to a pattern, and stay."""
    undefined = {*words} | {
        name
        for pieces in kept.values()
        for piece in pieces
        for name in re.findall(r"#\s*undef\s+(\w+)", piece.code)
    }
    while True:
        used: dict[str, int] = defaultdict(int)
        for pieces in kept.values():
            for piece in pieces:
                for word in WORD.findall(piece.code):
                    used[word] += 1
        unused = [
            (file, piece)
            for file, pieces in kept.items()
            for piece in pieces
            if (match := DEFINE.match(piece.code))
            and match[1] not in undefined
            and used[match[1]] == 1
            and not match[1].endswith("_H")
        ]
        if not unused:
            return
        for file, piece in unused:
            kept[file] = [one for one in kept[file] if one is not piece]


def _finish(pieces: Iterable[Piece]) -> str:
    """Return the text, without gaps, and with math.h exactly where something is used of it.

    A header may have brought it along that does not need it any more.
    """
    pieces = list(pieces)
    text = "".join(piece.text for piece in pieces)
    uses_math = any(MATH.search(piece.code) for piece in pieces if not MATH_INCLUDE.search(piece.text))
    if not uses_math:
        text = MATH_INCLUDE.sub("", text)
    elif not MATH_INCLUDE.search(text):
        text = FIRST_INCLUDE.sub("#include <math.h>\n\\g<0>", text, count=1)
    return re.sub(r"\n{3,}", "\n\n", text)


def _exported_path(file: Path) -> str:
    relative = file.relative_to(source_folder().resolve())
    if relative.parts[0] == "include":
        return relative.as_posix()
    return f"src/{relative.name}"
