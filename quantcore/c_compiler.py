"""The system's C compiler: libraries and programs from C files of a user, or that quantcore exported."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantcore.errors import KernelError
from quantcore.wording import counted

__all__ = ["Compiler", "find_compiler", "first_errors", "include_flags"]

CANDIDATES = ("cc", "gcc", "clang")
TIMEOUT = 120.0  # seconds; the largest of our own files takes two
ERRORS_SHOWN = 3
ERROR = re.compile(r"(?:fatal )?error: |undefined reference|undefined symbol")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler with the command line of gcc, which clang and cross compilers share.

    Attributes
    ----------
    command : tuple of str
        Its path, and arguments that come with it (``CC="ccache gcc"``).
    timeout : float
        Seconds after which a compilation is ended.
    """

    command: tuple[str, ...]
    timeout: float = TIMEOUT

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return " ".join((Path(self.command[0]).name, *self.command[1:]))

    def shared_library(
        self,
        sources: Sequence[str | os.PathLike[str]],
        out: str | os.PathLike[str],
        *,
        flags: Sequence[str] = (),
        include: Sequence[str | os.PathLike[str]] = (),
    ) -> Path:
        """Compile and link `sources` into a library that a process can load; see `program`."""
        return self.program(sources, out, flags=("-shared", "-fPIC", *flags, "-lm"), include=include)

    def program(
        self,
        sources: Sequence[str | os.PathLike[str]],
        out: str | os.PathLike[str],
        *,
        flags: Sequence[str] = (),
        include: Sequence[str | os.PathLike[str]] = (),
    ) -> Path:
        """Compile and link `sources` into a program.

        Parameters
        ----------
        sources : sequence of path-like
            C files, or what else the compiler takes.
        out : path-like
            The file to write; it is there when it is complete, and unchanged where the compiler refuses.
        flags : sequence of str
            Arguments before the sources. Those that begin with ``-l`` go to the end, where linkers want them.
        include : sequence of path-like
            Folders of headers, searched in this order.

        Returns
        -------
        Path
            `out`.

        Raises
        ------
        KernelError
            The sources do not compile (with the compiler's own first messages), or the compiler takes too
            long.
        """
        target = Path(out)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            made = Path(folder, target.name)
            libraries = [flag for flag in flags if flag.startswith("-l")]
            own = [flag for flag in flags if not flag.startswith("-l")]
            arguments = [*own, *include_flags(include), *sources, "-o", made, *libraries]
            status, output = self.run(arguments, folder=folder)
            if status != 0 or not made.exists():
                raise self.refused(sources, output, status)
            made.replace(target)
        return target

    def run(
        self, arguments: Sequence[str | os.PathLike[str]], *, folder: str | os.PathLike[str] | None = None
    ) -> tuple[int, str]:
        """Run the compiler, and return its exit status and what it printed, in English.

        Its temporary files go to `folder`.

        Raises
        ------
        KernelError
            If it cannot be started, or takes longer than `timeout`; it is ended then, with what it started.
        """
        environment = {**os.environ, "LC_ALL": "C"} | (
            {} if folder is None else {"TMPDIR": os.fspath(folder)}
        )
        try:
            process = subprocess.Popen(
                [*self.command, *(os.fspath(argument) for argument in arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # a compiler is several processes, which are ended together
            )
        except OSError as error:
            raise KernelError(f"cannot run the C compiler {self.command[0]}: {error.strerror}") from None
        try:
            output, _ = process.communicate(timeout=self.timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise KernelError(
                    f"the C compiler {self.name} did not finish within {self.timeout:g} s and was ended"
                ) from None
            raise
        return process.returncode, output.decode(errors="replace")

    def refused(self, sources: Sequence[str | os.PathLike[str]], output: str, status: int) -> KernelError:
        """Return the error for sources that do not compile."""
        names = ", ".join(Path(source).name for source in sources)
        said = first_errors(output) or f"exit status {status}, without a message"
        return KernelError(f"{names}: {self.name} cannot compile it:\n{said}")


def include_flags(include: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the arguments that name folders of headers."""
    return [f"-I{os.fspath(folder)}" for folder in include]


def first_errors(output: str, most: int = ERRORS_SHOWN) -> str:
    """Return the first errors among what a compiler printed, and how many there are more."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.search(line)] or lines[-most:]
    more = len(errors) - most
    return "\n".join([*errors[:most], *([f"(and {counted(more, 'more error')})"] if more > 0 else [])])


def find_compiler(name: str | None = None) -> Compiler:
    """Return the C compiler called `name`, or the system's: ``$CC``, cc, gcc or clang.

    Parameters
    ----------
    name : str, optional
        A program, as a path or to be found in ``PATH``; arguments may follow.

    Raises
    ------
    KernelError
        If there is none.
    """
    wanted = name or os.environ.get("CC")
    if wanted:
        try:
            words = shlex.split(wanted)
        except ValueError as error:
            raise KernelError(f"the C compiler {wanted!r} is no command: {error}") from None
        path = shutil.which(words[0]) if words else None
        if path is None:
            asked = "" if name else ", which CC names,"
            raise KernelError(
                f"the C compiler {wanted!r}{asked} was not found; expected a program in PATH, or a path"
            )
        return Compiler((path, *words[1:]))
    found = next(filter(None, map(shutil.which, CANDIDATES)), None)
    if found is None:
        raise KernelError(
            f"no C compiler was found: none of {', '.join(CANDIDATES)} is in PATH, and CC is not set. "
            "Install one (Debian, Ubuntu: apt-get install gcc)"
        )
    return Compiler((found,))
