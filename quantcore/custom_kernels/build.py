"""From a user's C files to a library that has his kernel, and says which prototypes it fits.

The first file becomes a part of the unit that is compiled, in front of all headers of kernels: there the
compiler compares the type of the function with the type ``qc_<name>_kernel`` of each kernel
(``csrc/kernels.h``). Before that it is compiled alone, as it will be where it is used.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from quantcore.c_compiler import Compiler, first_errors, include_flags
from quantcore.c_interface.source import source_folder
from quantcore.custom_kernels.rows import Row, kernel_rows
from quantcore.errors import KernelError

__all__ = ["FLAGS", "Library", "build_library", "kernel_include", "prototype_error"]

FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-Wall")
C_NAME = re.compile(r"[A-Za-z_]\w*")
DEFINITION = re.compile(r"^[A-Za-z_][\w \t*]*?\b(\w+)\s*\([^;{}()]*\)\s*\{", re.MULTILINE)
# What gcc and clang call the type of a function that is returned where another is expected.
FOUND_TYPE = re.compile(r"returning '([^']*)'")
TOKEN = re.compile(r"\w+|\*")
SHOWN = 3

# Which prototypes a function has stands in the library behind this mark, a byte per kernel: what is compiled
# for another machine can be read as well.
MARK = b"quantcore fits: "
SCRATCH_MISMATCH = "quantcore scratch has another type"

# A call is by the type that the function has: what does not fit is never called.
UNIT = """\
#include "{source}"
#include "kernels.h"
#include "quantcore/plan.h"

#define QUANTCORE_EXPORT __attribute__((visibility("default"), used))
#define QUANTCORE_FITS(name) __builtin_types_compatible_p(__typeof__({symbol}), qc_##name##_kernel)
#define QC_KERNEL_1(name, ...) QUANTCORE_FITS(name),
#define QC_KERNEL_2(name, ...) QUANTCORE_FITS(name),
#define QC_KERNEL_3(name, ...) QUANTCORE_FITS(name),
#define QC_KERNEL_V(name, ...) QUANTCORE_FITS(name),
#define QC_VERSION(name, isa)
QUANTCORE_EXPORT const unsigned char quantcore_fits[] = {{
    {mark}, QUANTCORE_FITS(custom),
#include "kernels.def"
}};

#define QUANTCORE_CALL(name, ...)                                                      \\
    if (QUANTCORE_FITS(name)) {{                                                        \\
        qc_##name##_kernel *const kernel = (qc_##name##_kernel *)(uintptr_t)&{symbol}; \\
        return kernel(__VA_ARGS__);                                                    \\
    }}
#define QC_KERNEL_1(name, P, A, O) QUANTCORE_CALL(name, (const P *)p, (const A *)t[0], (O *)t[1], scratch)
#define QC_KERNEL_2(name, P, A, B, O) \\
    QUANTCORE_CALL(name, (const P *)p, (const A *)t[0], (const B *)t[1], (O *)t[2], scratch)
#define QC_KERNEL_3(name, P, A, B, C, O) \\
    QUANTCORE_CALL(name, (const P *)p, (const A *)t[0], (const B *)t[1], (const C *)t[2], (O *)t[3], scratch)
#define QC_KERNEL_V(name, P) QUANTCORE_CALL(name, (const P *)p, t, scratch)
#define QC_VERSION(name, isa)
QUANTCORE_EXPORT qc_status quantcore_invoke(const void *p, void *const *t, void *scratch) {{
    QUANTCORE_CALL(custom, (const qc_custom_params *)p, t, scratch)
#include "kernels.def"
    return QC_BAD_ARGUMENT;
}}
"""

# For a function of another type, this does not compile.
SCRATCH = """
#define QUANTCORE_SIZED(P) __builtin_types_compatible_p(__typeof__({scratch}), int64_t(const P *))
#define QUANTCORE_SIZE(name, P)                                                            \\
    if (QUANTCORE_FITS(name)) {{                                                            \\
        _Static_assert(!QUANTCORE_FITS(name) || QUANTCORE_SIZED(P), "{mismatch}");         \\
        int64_t (*const size)(const P *) = (int64_t(*)(const P *))(uintptr_t)&{scratch};   \\
        return size((const P *)p);                                                         \\
    }}
#define QC_KERNEL_1(name, P, ...) QUANTCORE_SIZE(name, P)
#define QC_KERNEL_2(name, P, ...) QUANTCORE_SIZE(name, P)
#define QC_KERNEL_3(name, P, ...) QUANTCORE_SIZE(name, P)
#define QC_KERNEL_V(name, P) QUANTCORE_SIZE(name, P)
#define QC_VERSION(name, isa)
QUANTCORE_EXPORT int64_t quantcore_scratch(const void *p) {{
    QUANTCORE_SIZE(custom, qc_custom_params)
#include "kernels.def"
    return -1;
}}
"""

PROBE = """\
#include "{source}"
struct QUANTCORE_NO_TYPE *quantcore_probe(void);
struct QUANTCORE_NO_TYPE *quantcore_probe(void) {{ return {symbol}; }}
"""


class Library(NamedTuple):
    """A compiled kernel.

    Attributes
    ----------
    path : Path
    kernels : tuple of str
        The kernels whose prototype it has.
    messages : str
        The compiler's warnings about the source.
    """

    path: Path
    kernels: tuple[str, ...]
    messages: str


def kernel_include(include: Sequence[str | os.PathLike[str]] = ()) -> list[Path]:
    """Return the folders of headers for a kernel: the user's, then ours."""
    return [*map(Path, include), source_folder() / "include", source_folder()]


def build_library(
    sources: Sequence[Path],
    symbol: str,
    folder: Path,
    compiler: Compiler,
    *,
    flags: Sequence[str] = (),
    include: Sequence[str | os.PathLike[str]] = (),
    scratch: str | None = None,
    load: bool = True,
) -> Library:
    """Compile a kernel into a library in `folder`, with the functions by which quantcore calls it.

    Parameters are those of `CKernel.from_source`.

    Raises
    ------
    KernelError
        See there.
    """
    for name in filter(None, (symbol, scratch)):
        if not C_NAME.fullmatch(name):
            raise KernelError(f"{name!r} is no name of a C function")
    if '"' in str(sources[0]) or "\n" in str(sources[0]):
        raise KernelError(
            f"the path {str(sources[0])!r} cannot stand in an #include; rename the file or its folder"
        )
    folders = kernel_include(include)
    arguments = [*FLAGS, *flags, *include_flags(folders)]
    messages = "\n".join(check_alone(source, folder, compiler, arguments) for source in sources)
    no_versions(folder)
    unit = folder / "quantcore_kernel.c"
    text = UNIT + (SCRATCH if scratch else "")
    mark = ", ".join(str(byte) for byte in MARK)
    unit.write_text(
        text.format(source=sources[0], symbol=symbol, scratch=scratch, mark=mark, mismatch=SCRATCH_MISMATCH),
        encoding="utf-8",
    )
    path = folder / ("kernel.so" if load else "kernel.o")
    try:
        if load:
            quiet = (*FLAGS, "-w", *flags)
            compiler.shared_library([unit, *sources[1:]], path, flags=quiet, include=[*folders, folder])
        else:
            status, output = compiler.run(
                [*arguments, f"-I{folder}", "-w", "-c", unit, "-o", path], folder=folder
            )
            if status != 0:
                raise compiler.refused(sources[:1], output, status)
    except KernelError as error:
        if scratch and SCRATCH_MISMATCH in str(error):
            plain = build_library(sources, symbol, folder, compiler, flags=flags, include=include, load=load)
            raise scratch_error(sources[0], symbol, scratch, plain.kernels) from None
        raise missing_function(sources[0], symbol, scratch) or error from None
    kernels = fitting_kernels(path)
    rows = [kernel_rows()[name] for name in kernels]
    if not rows:
        raise prototype_error(sources[0], symbol, folder, compiler, arguments)
    if len({(row.params, row.tensors) for row in rows}) > 1:
        raise KernelError(
            f"{sources[0].name}: {symbol} is declared without its parameters; "
            f"expected is such as\n    {rows[1].prototype(symbol)}"
        )
    return Library(path, kernels, messages.strip())


def no_versions(folder: Path) -> None:
    """Put rows of vector versions, none of them, where kernels.def finds them: a wheel has not the files."""
    for name in ("x86", "arm"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "versions.def").touch()


def check_alone(source: Path, folder: Path, compiler: Compiler, arguments: Sequence[str]) -> str:
    """Compile a source without anything of ours around it, and return the compiler's warnings."""
    status, output = compiler.run(["-fsyntax-only", *arguments, source], folder=folder)
    if status != 0:
        raise compiler.refused([source], output, status)
    return output


def fitting_kernels(path: Path) -> tuple[str, ...]:
    """Return the kernels whose prototype a compiled kernel has, by what stands in the file."""
    data = path.read_bytes()
    begin = data.index(MARK) + len(MARK)
    rows = kernel_rows()
    return tuple(name for name, fits in zip(rows, data[begin : begin + len(rows)], strict=True) if fits)


def scratch_error(source: Path, symbol: str, scratch: str, kernels: Sequence[str]) -> KernelError:
    """Return the error for a scratch function of another prototype."""
    params = kernel_rows()[kernels[0]].params
    return KernelError(
        f"{source.name}: {scratch} has not the prototype of a function that says how much scratch memory "
        f"{symbol} needs; expected is\n    int64_t {scratch}(const {params} *params)"
    )


def missing_function(source: Path, symbol: str, scratch: str | None) -> KernelError | None:
    """Return the error for a function that the source does not name at all; None where it does."""
    text = source.read_text(encoding="utf-8", errors="replace")
    missing = next((n for n in (symbol, scratch) if n and not re.search(rf"\b{n}\b", text)), None)
    if missing is None:
        return None
    defined = DEFINITION.findall(text)
    close = difflib.get_close_matches(missing, defined, n=SHOWN, cutoff=0.0)
    return KernelError(f"{source.name} has no function {missing}; it has {', '.join(close) or 'none'}")


def prototype_error(
    source: Path, symbol: str, folder: Path, compiler: Compiler, arguments: Sequence[str]
) -> KernelError:
    """Return the error for a function that has the prototype of no kernel: what it has, and what is near."""
    probe = folder / "quantcore_probe.c"
    probe.write_text(PROBE.format(source=source, symbol=symbol), encoding="utf-8")
    _, output = compiler.run(["-fsyntax-only", *arguments, probe], folder=folder)
    match = FOUND_TYPE.search(output)
    found = match[1] if match else first_errors(output)
    found = found.replace("(*)(", f"{symbol}(", 1).replace("qc_status (", f"qc_status {symbol}(", 1)
    expected = "\n".join(
        f"    {row.prototype(symbol)}    ({names})" for row, names in nearest_rows(symbol, found)
    )
    return KernelError(
        f"{source.name}: {symbol} has the prototype of no kernel. It is\n    {found}\nExpected is one of "
        f"csrc/kernels.def, such as\n{expected}"
    )


def nearest_rows(symbol: str, found: str) -> list[tuple[Row, str]]:
    """Return the prototypes that are most like what was found, each with the kernels that have it."""
    by_prototype: dict[str, list[Row]] = {}
    for row in kernel_rows().values():
        by_prototype.setdefault(row.prototype(symbol), []).append(row)

    words = TOKEN.findall(found)

    def likeness_of(prototype: str) -> float:
        return difflib.SequenceMatcher(None, TOKEN.findall(prototype), words).ratio()

    def likeness(rows: list[Row]) -> tuple[bool, bool, float]:
        row = rows[0]
        named = any(row.name in symbol for row in rows)
        return named, row.params in found, likeness_of(row.prototype(symbol))

    ranked = sorted(by_prototype.values(), key=likeness, reverse=True)[:SHOWN]
    return [(rows[0], ", ".join(row.name for row in rows[:SHOWN])) for rows in ranked]
