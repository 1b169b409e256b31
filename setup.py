"""Build of the C and Cython parts; everything else is in pyproject.toml."""

import os
import platform
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


def extensions() -> list[Extension]:
    """Return one extension per .pyx file; only ``kernels._core`` contains the C library."""
    headers = sorted(str(p) for kind in ("h", "inc", "def") for p in Path("csrc").rglob(f"*.{kind}"))
    result = []
    for path in sorted(Path("quantcore").rglob("*.pyx")):
        module = ".".join(path.with_suffix("").parts)
        sources = [str(path)]
        compile_args = [*COMPILE_ARGS, "-w"]  # generated code; `make lint` checks ours
        if module == "quantcore.kernels._core":
            sources += c_sources()
            compile_args = COMPILE_ARGS
        result.append(
            Extension(
                module,
                sources,
                include_dirs=INCLUDE_DIRS,
                define_macros=MACROS,
                extra_compile_args=compile_args,
                # Without it expf binds, at run time, to the oldest version in libm, which is half as fast.
                libraries=["m"],
                depends=headers,
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
