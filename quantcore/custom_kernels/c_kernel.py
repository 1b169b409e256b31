"""`CKernel`: a kernel in C, with the prototype of one of quantcore's own."""

from __future__ import annotations

import ctypes
import difflib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quantcore.c_compiler import find_compiler
from quantcore.custom_kernels.build import build_library
from quantcore.custom_kernels.rows import kernel_rows
from quantcore.errors import KernelError
from quantcore.kernels._core import KernelCall
from quantcore.kernels.custom import with_kernel, with_pointer

__all__ = ["CKernel", "OutputShapes"]

FUNCTION_OF_CTYPES = type(ctypes.pythonapi.PyCapsule_New).__mro__[1]
OutputShapes = Callable[[Any, list[tuple[int, ...] | None]], Sequence[Sequence[int]]]
SourceArgument = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class CKernel:
    """A kernel in C for `quantcore.Interpreter`; made by `from_source` or `from_pointer`.

    Its prototype is that of a kernel in the headers ``quantcore/*.h``: the parameter struct, the tensors,
    scratch memory. It may be called on several threads at once, so it keeps nothing in static variables.

    Attributes
    ----------
    symbol : str
        Name of the function.
    kernels : tuple of str
        The kernels whose prototype it has: ``("conv_s8",)``. Several have the same, as ``max_pool_s8`` and
        ``average_pool_s8``.
    sources : tuple of Path
        The C files, the one with the function first; empty for a pointer.
    flags : tuple of str
        What the compiler was given, beyond quantcore's own flags.
    include : tuple of Path
        Folders of the user's headers.
    scratch : str or None
        The function that says how much scratch memory the kernel needs; None where it takes what the
        definition takes.
    compiler : str
        The compiler's command; "" for a pointer.
    messages : str
        The compiler's warnings about the first source.
    output_shapes : callable or None
        Shapes of the outputs of a custom operator.
    invoke : int
        Address of a function by which a plan calls the kernel (``qc_invoke`` of ``quantcore/plan.h``); of the
        function itself for one from a pointer. 0 for a kernel of another machine.
    pointer : int
        The function's address, of a kernel from a pointer; else 0.
    """

    symbol: str
    kernels: tuple[str, ...]
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    include: tuple[Path, ...]
    scratch: str | None
    compiler: str
    messages: str
    output_shapes: OutputShapes | None
    invoke: int
    pointer: int
    _scratch: int
    _keepalive: Any

    def __init__(self) -> None:
        raise TypeError("CKernel objects are made by CKernel.from_source and CKernel.from_pointer")

    def __repr__(self) -> str:
        return f"<CKernel {self.name}, as {' or '.join(self.kernels)}>"

    @property
    def name(self) -> str:
        """The function and its file."""
        return f"{self.symbol} of {self.sources[0].name}" if self.sources else self.symbol

    @classmethod
    def from_source(
        cls,
        path: SourceArgument,
        symbol: str,
        *,
        flags: Sequence[str] = (),
        include: Sequence[str | os.PathLike[str]] = (),
        scratch: str | None = None,
        compiler: str | None = None,
        output_shapes: OutputShapes | None = None,
        load: bool = True,
    ) -> CKernel:
        """Compile a kernel, and find out which kernels have its prototype.

        Parameters
        ----------
        path : path-like, or sequence of path-like
            C files; the first has the function, and includes the headers that it needs
            (``#include "quantcore/conv.h"``).
        symbol : str
            Name of the function.
        flags : sequence of str
            For the compiler, behind ``-std=gnu11 -O3 -ffp-contract=off``.
        include : sequence of path-like
            Folders of headers; those of quantcore are always searched.
        scratch : str, optional
            Name of a function ``int64_t f(const qc_..._params *)`` in the first file: the bytes of scratch
            memory that the kernel needs with these parameters. By default, scratch has what the kernel's
            header says.
        compiler : str, optional
            Command of the compiler; by default ``$CC``, cc, gcc or clang.
        output_shapes : callable, optional
            For a custom operator: ``output_shapes(op, input_shapes)`` returns the shapes of its outputs; by
            default, they are those in the model's file.
        load : bool
            False for a kernel of another machine, compiled by a cross compiler: its prototype is checked and
            models are planned with it, but running them is an error.

        Raises
        ------
        KernelError
            No compiler, a file that does not compile (with the compiler's own messages), no function of that
            name, or one that has the prototype of no kernel.
        OSError
            If a file cannot be read.
        """
        sources = source_paths(path)
        folders = tuple(Path(folder).absolute() for folder in include)
        system = find_compiler(compiler)
        kernel = cls.__new__(cls)
        with tempfile.TemporaryDirectory(prefix="quantcore-kernel-") as folder:
            library = build_library(
                sources, symbol, Path(folder), system,
                flags=flags, include=folders, scratch=scratch, load=load,
            )  # fmt: skip
            kernel._set(symbol, library.kernels, output_shapes)
            if load:
                kernel._load(library.path, scratch is not None)
        kernel.sources, kernel.flags, kernel.include = sources, tuple(flags), folders
        kernel.scratch, kernel.compiler, kernel.messages = scratch, system.name, library.messages
        return kernel

    def _load(self, path: Path, has_scratch: bool) -> None:
        loaded = load_library(path, self.symbol)
        self.invoke = ctypes.cast(loaded.quantcore_invoke, ctypes.c_void_p).value or 0
        if has_scratch:
            self._scratch = ctypes.cast(loaded.quantcore_scratch, ctypes.c_void_p).value or 0
        self._keepalive = loaded

    @classmethod
    def from_pointer(
        cls, function: Any, kernel: str | Sequence[str], *, output_shapes: OutputShapes | None = None
    ) -> CKernel:
        """Take a function at an address, whose prototype only the caller knows.

        Parameters
        ----------
        function : int, ctypes function or PyCapsule
            An address, a function of a library that ``ctypes`` has loaded, or what ``__pyx_capi__`` of a
            Cython module has (declared ``cdef api``, ``noexcept nogil``).
        kernel : str or sequence of str
            Whose prototype it has, ``conv_s8``; ``custom`` for that of ``quantcore/custom.h``.
        output_shapes : callable, optional
            As for `from_source`.

        Raises
        ------
        KernelError
            No address, or an unknown kernel.
        """
        names = (kernel,) if isinstance(kernel, str) else tuple(kernel)
        rows = kernel_rows()
        for name in names:
            if name not in rows:
                near = difflib.get_close_matches(str(name), rows, n=3, cutoff=0.0)
                raise KernelError(f"no kernel is called {name!r}; near are {', '.join(near)}")
        if len({(rows[name].params, rows[name].tensors) for name in names}) != 1:
            raise KernelError(f"expected kernels of one prototype, got {', '.join(names) or 'none'}")
        address, called = address_of(function)
        made = cls.__new__(cls)
        made._set(called, names, output_shapes)
        made.pointer = made.invoke = address
        made._keepalive = function
        return made

    def _set(self, symbol: str, kernels: tuple[str, ...], output_shapes: OutputShapes | None) -> None:
        self.symbol, self.kernels, self.output_shapes = symbol, kernels, output_shapes
        self.sources, self.flags, self.include = (), (), ()
        self.scratch, self.compiler, self.messages = None, "", ""
        self.invoke = self.pointer = self._scratch = 0
        self._keepalive = None

    def bind(self, call: KernelCall) -> KernelCall:
        """Return `call` with this kernel in the place of its own.

        Parameters
        ----------
        call : KernelCall
            Of one of `kernels`, with the parameters of the definition: made while ``select_isa("scalar")``
            was in effect.
        """
        if call.name not in self.kernels:
            raise KernelError(f"{self!r} cannot take the place of {call.name}")
        if not self.invoke and self.scratch:
            raise KernelError(
                f"{self.symbol} was compiled for another machine, so that {self.scratch} cannot say here how "
                "much scratch memory it needs"
            )
        if self.pointer:
            return with_pointer(call, self.pointer, self)
        try:
            return with_kernel(call, self.invoke, self._scratch, self)
        except KernelError as error:
            raise KernelError(f"{self.sources[0].name}: {self.scratch}: {error}") from None


def address_of(function: Any) -> tuple[int, str]:
    """Return the address of a function, and what to call it."""
    if isinstance(function, int) and not isinstance(function, bool):
        address, name = function, f"0x{function:x}"
    elif isinstance(function, FUNCTION_OF_CTYPES):
        pointer: Any = function
        address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
        name = getattr(function, "__name__", f"0x{address:x}")
    elif type(function).__name__ == "PyCapsule":
        get_name = ctypes.pythonapi.PyCapsule_GetName
        get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
        get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
        get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        address = get_pointer(function, get_name(function)) or 0
        name = f"0x{address:x}"
    else:
        raise KernelError(
            f"the function is a {type(function).__name__}; expected an address, a function of "
            "ctypes, or a PyCapsule"
        )
    if not 0 < address < 2**64:
        raise KernelError(f"the function's address is {address}; expected that of a function")
    return address, name


def source_paths(path: SourceArgument) -> tuple[Path, ...]:
    """Return the C files of a kernel, all of which exist."""
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    paths = tuple(Path(each).absolute() for each in given)
    if not paths:
        raise KernelError("no source of a kernel was given; expected one C file at least")
    for source in paths:
        if source.suffix != ".c":
            raise KernelError(
                f"{source.name} is no source of a kernel; expected a C file, its name ending in .c"
            )
        with source.open("rb"):
            pass
    return paths


def load_library(path: Path, symbol: str) -> ctypes.CDLL:
    """Load a library into this process."""
    try:
        return ctypes.CDLL(os.fspath(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        reason = str(error).replace(f"{path}: ", "")
        raise KernelError(
            f"the kernel {symbol} was compiled, but cannot be loaded: {reason} (functions of other "
            "files need their sources as well)"
        ) from None
