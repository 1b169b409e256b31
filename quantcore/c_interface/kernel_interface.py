"""What a kernel takes, as its row in csrc/kernels.def and its header say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from quantcore.c_interface.declarations import c_file, headers, included_files, walk
from quantcore.c_interface.source import source_folder
from quantcore.errors import KernelError, QuantcoreError

__all__ = ["KernelInterface", "defining_file", "definition_sources", "kernel_interface", "kernel_rows"]

CUSTOM = "custom"
CUSTOM_PROTOTYPE = (
    "qc_status qc_custom(const qc_custom_params *params, void * const *tensors, void *scratch);"
)
EXECUTOR = ("dispatch.c", "plan.c", "threads.c")  # files of csrc that define no kernel
ROW = re.compile(r"^QC_KERNEL_([123V])\((.*)\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KernelInterface:
    """A kernel of csrc/kernels.def.

    Attributes
    ----------
    name : str
        Such as ``conv_s8``; its definition is ``qc_conv_s8_ref``.
    header : str
        That declares it: ``quantcore/conv.h``.
    params : str
        The type of its parameters: ``qc_conv_params``.
    tensors : tuple of str
        Element types of the inputs, then of the output, in C. Empty for a kernel that takes a table of
        pointers.
    prototype : str
        Its declaration in C, under the name of its definition.
    """

    name: str
    header: str
    params: str
    tensors: tuple[str, ...]
    prototype: str

    @property
    def definition(self) -> str:
        """Name of the function that defines it."""
        return f"qc_{self.name}_ref"

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that its definition is compiled from: C files first, then what they include."""
        return definition_sources(self.name)


@cache
def kernel_rows() -> dict[str, tuple[str, ...]]:
    """Return the rows of kernels.def: by name, type of the parameters and element types of the tensors."""
    text = (source_folder() / "kernels.def").read_text(encoding="utf-8")
    rows = [re.split(r",\s*", match[2]) for match in ROW.finditer(text)]
    return {name: tuple(types) for name, *types in rows}


@cache
def kernel_interface(name: str) -> KernelInterface:
    """Return what the headers say of a kernel.

    Parameters
    ----------
    name : str
        Of its row in csrc/kernels.def, such as ``conv_s8``; or ``custom``, whose prototype kernels of
        operators have that quantcore does not run (``quantcore/custom.h``). It has no definition.

    Raises
    ------
    KernelError
        There is no such kernel.
    """
    rows = kernel_rows()
    if name not in rows and name != CUSTOM:
        family = sorted(row for row in rows if row.split("_")[0] == name.split("_")[0])
        known = f"those of its family are {', '.join(family)}" if family else "csrc/kernels.def lists them"
        raise KernelError(f"there is no kernel {name!r}; {known}")
    if name == CUSTOM:
        return KernelInterface(name, "quantcore/custom.h", "qc_custom_params", (), CUSTOM_PROTOTYPE)
    params, *tensors = rows[name]
    declared = headers().functions[f"qc_{name}_ref"]
    header = Path(declared.coord.file).resolve().relative_to((source_folder() / "include").resolve())
    return KernelInterface(name, header.as_posix(), params, tuple(tensors), _text(declared))


def _text(declared: Any) -> str:
    from pycparser.c_generator import CGenerator  # there, since a file was parsed

    return f"{CGenerator().visit(declared)};"


@cache
def definition_sources(name: str) -> tuple[Path, ...]:
    """Return the files that a kernel's definition is compiled from: C files first, then what they include.

    Raises
    ------
    QuantcoreError
        No file of csrc defines it.
    """
    wanted, files = [f"qc_{name}_ref"], dict[Path, None]()
    while wanted:
        path = defining_file(wanted.pop())
        if path not in files:
            files[path] = None
            wanted += _needed(path)
    return (
        *files,
        *(dict.fromkeys(one for path in files for one in included_files(path)).keys() - files.keys()),
    )


@cache
def defining_file(name: str, macros: tuple[str, ...] = ()) -> Path:
    """Return the C file that defines a function or variable of csrc.

    Raises
    ------
    QuantcoreError
        None does.
    """
    declared = headers(macros).functions.get(name)
    stem = Path(declared.coord.file).stem if declared is not None else ""
    files = [*(source_folder() / "reference").glob("*.c"), *source_folder().glob("*.c")]
    # The file that is called as the header comes first.
    for path in sorted(
        files, key=lambda path: (path.stem != stem, not name.startswith(f"qc_{path.stem}"), path)
    ):
        if path.name not in EXECUTOR and name in c_file(path.resolve(), macros).definitions:
            return path.resolve()
    raise QuantcoreError(f"no file of {source_folder()} defines {name}")


def _needed(path: Path) -> set[str]:
    """Return what a file, with the inline functions it calls, uses of other C files of csrc."""
    unit, nodes = c_file(path), headers().nodes
    inline = {node.decl.name: node for node in nodes if type(node).__name__ == "FuncDef"}
    variables = {node.name for node in nodes if "extern" in getattr(node, "storage", ())}
    wanted, used = _names(unit.nodes), set[str]()
    while wanted:
        name = wanted.pop()
        if name not in used | unit.functions.keys():
            used.add(name)
            wanted |= _names([inline[name]]) if name in inline else set()
    return (used & (headers().functions.keys() | variables)) - unit.definitions.keys() - inline.keys()


def _names(nodes: Iterable[Any]) -> set[str]:
    """Return the names that are used in parts of a file."""
    return {one.name for node in nodes for one in walk(node) if type(one).__name__ == "ID"}
