"""A command in a process of its own, since code of the user's may end or hang it."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable

import click

from quantcore.cli._errors import FAILED, INTERRUPTED, message
from quantcore.errors import KernelError, QuantcoreError

__all__ = ["in_child"]


def in_child(work: Callable[[], int | None]) -> int:
    """Do `work` in a child process, which shares the terminal, and return its exit code.

    Raises
    ------
    KernelError
        A signal ended the child.
    QuantcoreError
        The child's exception, whatever it was: its message.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(exit_code(work, writer))
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as file:
            said = file.read()
        _, status = os.waitpid(child, 0)
    except KeyboardInterrupt:  # a kernel in C does not notice
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise KernelError(
            f"a kernel ended the process with {name}: it reads or writes memory that is not its own, divides "
            "by 0, or gives up; `quantcore check-kernel` finds by which parameters"
        )
    if said:
        raise QuantcoreError(said)
    return os.WEXITSTATUS(status)


def exit_code(work: Callable[[], int | None], writer: int) -> int:
    """Return the exit code of `work`; the message of an exception goes to the pipe `writer`."""
    code = FAILED
    faulthandler.disable()  # the parent says what became of the child
    try:
        code = int(work() or 0)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BaseException as error:
        if "--traceback" in sys.argv:
            traceback.print_exc()
        os.write(writer, message(error).encode())
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what a kernel has printed
    return code
