"""Build of the C and Cython parts; everything else is in pyproject.toml."""

import os
import platform
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# -ffp-contract=off and the absence of -ffast-math are part of the numerics contract: a fused
# multiply-add or a reordered sum changes the last bit of float results.
COMPILE_ARGS = [
    "-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
]  # fmt: skip
INCLUDE_DIRS = ["csrc/include", numpy.get_include()]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]


VECTOR_FOLDERS = {"x86_64": "csrc/x86", "amd64": "csrc/x86", "aarch64": "csrc/arm", "arm64": "csrc/arm"}


def c_sources() -> list[str]:
    """Return the C files of this platform: the reference kernels, the executor, the vector versions."""
    folders = ["csrc", "csrc/reference"]
    vector_folder = VECTOR_FOLDERS.get(platform.machine().lower())
    if vector_folder:
        folders.append(vector_folder)
    return sorted(str(path) for folder in folders for path in Path(folder).glob("*.c"))


def files_named_in(path: Path, found: set[Path]) -> set[Path]:
    """Return the headers and included files of csrc that a file names, directly or not."""
    for name in re.findall(r'"([\w./]+\.(?:h|inc|def))"', path.read_text(encoding="utf-8")):
        for folder in (path.parent, Path("csrc"), Path("csrc/include")):
            named = Path(os.path.normpath(folder / name))
            if named not in found and named.is_file():
                found.add(named)
                files_named_in(named, found)
    return found


class BuildPy(build_py):
    """Puts the definitions of the kernels into the package: kernels are checked by them, models exported."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # the checkout has them
        for path in sorted(Path("csrc").rglob("*.[chid]*")):
            if path.parts[1] not in ("x86", "arm"):
                copy = Path(self.build_lib, "quantcore", path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


class BuildExt(build_ext):
    """Compiles files side by side, also those of one extension, and only those that have changed.

    Digests of what they were made from lie beside the objects: contents decide, not times, which a checkout
    changes, and a file that is moved or deleted does not.
    """

    def build_extensions(self) -> None:
        compile_files = self.compiler.compile
        compiler = getattr(self.compiler, "compiler_so", None)
        pool = ThreadPoolExecutor(os.cpu_count())

        def compile_changed(sources: list[str], output_dir: str, **options: Any) -> list[str]:
            def compile_one(source: str) -> str:
                (made,) = self.compiler.object_filenames([source], output_dir=output_dir)
                read = sorted({Path(source), *files_named_in(Path(source), set())})
                contents = b"".join(path.read_bytes() for path in read)
                digest = sha256(repr((compiler, options)).encode() + contents).hexdigest()
                known = Path(f"{made}.sha256")
                if self.force or not (Path(made).exists() and known.exists() and known.read_text() == digest):
                    compile_files([source], output_dir=output_dir, **options)
                    known.write_text(digest)
                return str(made)

            return list(pool.map(compile_one, sources))

        self.compiler.compile = compile_changed
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Build one extension if the files that it is made from, or how, are others than the last time."""
        target = Path(self.get_ext_fullpath(ext.name))
        sources = sorted({*ext.sources, *ext.depends})
        how = (getattr(self.compiler, "compiler_so", None), ext.extra_compile_args, ext.libraries, sources)
        contents = b"".join(Path(name).read_bytes() for name in sources)
        digest = sha256(repr(how).encode() + contents).hexdigest()
        known = Path(self.build_temp, f"{ext.name}.sha256")
        if not (known.exists() and known.read_text() == digest):
            target.unlink(missing_ok=True)  # its time might say that it is new
        super().build_extension(ext)
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(digest)


def extensions() -> list[Extension]:
    """Return one extension per .pyx file; only ``kernels._core`` contains the C library."""
    shared = set().union(*(files_named_in(path, set()) for path in Path("quantcore").rglob("*.pxd")))
    result = []
    for path in sorted(Path("quantcore").rglob("*.pyx")):
        module = ".".join(path.with_suffix("").parts)
        sources, depends = [str(path)], shared | files_named_in(path, set())
        compile_args = [*COMPILE_ARGS, "-O1", "-w"]  # generated code; `make lint` checks ours
        if module == "quantcore.kernels._core":
            sources += c_sources()
            depends = depends.union(*(files_named_in(Path(source), set()) for source in c_sources()))
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
                depends=sorted(map(str, depends)),
            )
        )
    return result


if __name__ == "__main__":  # the processes that cythonize may import this file
    setup(
        ext_modules=cythonize(
            extensions(),
            language_level=3,
            compiler_directives={"boundscheck": False, "wraparound": False, "embedsignature": True},
            nthreads=os.cpu_count(),
        ),
        cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
        options={"build_ext": {"parallel": os.cpu_count()}},
    )
