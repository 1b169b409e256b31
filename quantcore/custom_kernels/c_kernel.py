"""`CKernel`: a kernel in C, with the prototype of one of quantcore's own."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quantcore.c_compiler import find_compiler, include_flags
from quantcore.custom_kernels.build import FLAGS, build_library, kernel_include, prototype_error
from quantcore.custom_kernels.rows import kernel_rows
from quantcore.errors import KernelError

__all__ = ["CKernel", "load_library"]

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
    invoke : int
        Address of a function by which a plan calls the kernel (``qc_invoke`` of ``quantcore/plan.h``).
    """

    symbol: str
    kernels: tuple[str, ...]
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    include: tuple[Path, ...]
    scratch: str | None
    compiler: str
    messages: str
    invoke: int
    _library: ctypes.CDLL

    def __init__(self) -> None:
        raise TypeError("CKernel objects are made by CKernel.from_source and CKernel.from_pointer")

    def __repr__(self) -> str:
        where = f" of {self.sources[0].name}" if self.sources else f" at 0x{self.invoke:x}"
        return f"<CKernel {self.symbol}{where}, as {' or '.join(self.kernels)}>"

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

        Raises
        ------
        KernelError
            No compiler, a file that does not compile (with the compiler's own messages), no function of that
            name, or one that has the prototype of no kernel.
        OSError
            If a file cannot be read.
        """
        sources = source_paths(path)
        folders = tuple(Path(folder).resolve() for folder in include)
        system = find_compiler(compiler)
        with tempfile.TemporaryDirectory(prefix="quantcore-kernel-") as name:
            folder = Path(name)
            library = build_library(
                sources, symbol, folder, system, flags=flags, include=folders, scratch=scratch
            )
            kernel = cls.from_library(library.path, symbol)
            if not kernel.kernels:
                arguments = [*FLAGS, *flags, *include_flags(kernel_include(folders))]
                raise prototype_error(sources[0], symbol, folder, system, arguments)
        kernel.sources, kernel.flags, kernel.include = sources, tuple(flags), folders
        kernel.scratch, kernel.compiler, kernel.messages = scratch, system.name, library.messages
        kernel.check(scratch)
        return kernel

    @classmethod
    def from_library(cls, library: Path, symbol: str) -> CKernel:
        """Load what `build_library` made; the file is not needed after that."""
        kernel = cls.__new__(cls)
        loaded = load_library(library, symbol)
        kernel._library = loaded
        kernel.symbol, kernel.sources, kernel.flags, kernel.include = symbol, (), (), ()
        kernel.scratch, kernel.compiler, kernel.messages = None, "", ""
        kernel.invoke = ctypes.cast(loaded.quantcore_invoke, ctypes.c_void_p).value or 0
        loaded.quantcore_kernel.restype = ctypes.c_char_p
        names: list[str] = []
        index = 0
        while (found := loaded.quantcore_kernel(index)) is not None:
            names += [found.decode()] if found else []
            index += 1
        kernel.kernels = tuple(names)
        return kernel

    def check(self, scratch: str | None) -> None:
        """Refuse a function without declared parameters, and a scratch function of another prototype."""
        rows = [kernel_rows()[name] for name in self.kernels]
        if len({(row.params, row.tensors) for row in rows}) > 1:
            raise KernelError(
                f"{self.sources[0].name}: {self.symbol} is declared without its parameters; "
                f"expected is such as\n    {rows[0].prototype(self.symbol)}"
            )
        if scratch is not None and self.scratch_bytes(0) < 0:
            raise KernelError(
                f"{self.sources[0].name}: {scratch} has not the prototype of a function that says how much "
                f"scratch memory {self.symbol} needs; expected is\n"
                f"    int64_t {scratch}(const {rows[0].params} *params)"
            )

    def scratch_bytes(self, params: int) -> int:
        """Return what the kernel's own function says of parameters at this address."""
        function = self._library.quantcore_scratch
        function.restype, function.argtypes = ctypes.c_int64, [ctypes.c_void_p]
        return int(function(params))


def source_paths(path: SourceArgument) -> tuple[Path, ...]:
    """Return the C files of a kernel, all of which exist."""
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    paths = tuple(Path(each).resolve() for each in given)
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
