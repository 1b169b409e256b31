"""Build of the C and Cython parts; everything else is in pyproject.toml."""

import os
import platform
import re
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# -ffp-contract=off and the absence of -ffast-math are part of the numerics contract: a fused
# multiply-add or a reordered sum changes the last bit of float results.
COMPILE_ARGS = [
    "-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
]  # fmt: skip
INCLUDE_DIRS = ["csrc/include", numpy.get_include()]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]


def c_sources() -> list[str]:
    """Return the C files of this platform: the reference kernels, the executor, the vector versions."""
    folders = ["csrc", "csrc/reference"]
    if platform.machine().lower() in ("x86_64", "amd64"):
        folders.append("csrc/x86")
    return sorted(str(path) for folder in folders for path in Path(folder).glob("*.c"))


def headers_of(path: Path, found: set[str]) -> set[str]:
    """Return the headers of csrc that a file includes or cimports, directly or not."""
    pattern = r'(?:#include|cdef extern from) "(quantcore/[^"]+)"'
    for name in re.findall(pattern, path.read_text(encoding="utf-8")):
        header = Path("csrc/include", name)
        if str(header) not in found:
            found.add(str(header))
            headers_of(header, found)
    return found


def extensions() -> list[Extension]:
    """Return one extension per .pyx file; only ``kernels._core`` contains the C library."""
    everything = sorted(str(p) for kind in ("h", "inc", "def") for p in Path("csrc").rglob(f"*.{kind}"))
    declared = {path: headers_of(path, set()) for path in Path("quantcore").rglob("*.p[xy][dx]")}
    shared = set().union(*(headers for path, headers in declared.items() if path.suffix == ".pxd"))
    result = []
    for path in sorted(Path("quantcore").rglob("*.pyx")):
        module = ".".join(path.with_suffix("").parts)
        sources, depends = [str(path)], sorted(declared[path] | shared)
        compile_args = [*COMPILE_ARGS, "-O1", "-w"]  # generated code; `make lint` checks ours
        if module == "quantcore.kernels._core":
            sources += c_sources()
            depends, compile_args = everything, COMPILE_ARGS
        result.append(
            Extension(
                module,
                sources,
                include_dirs=INCLUDE_DIRS,
                define_macros=MACROS,
                extra_compile_args=compile_args,
                # Without it expf binds, at run time, to the oldest version in libm, which is half as fast.
                libraries=["m"],
                depends=depends,
            )
        )
    return result


setup(
    ext_modules=cythonize(
        extensions(),
        language_level=3,
        compiler_directives={"boundscheck": False, "wraparound": False, "embedsignature": True},
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
