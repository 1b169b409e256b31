"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys

import click

from quantcore.cli._output import complain
from quantcore.errors import QuantcoreError

__all__ = ["FAILED", "INTERRUPTED", "report_error"]

FAILED = 2
COMPILED = ("quantcore.kernels", "quantcore.runtime._plan")  # where compiled modules are
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def report_error(error: BaseException) -> int:
    """Print why the command could not be done, in one line, and return the exit code."""
    if isinstance(error, BrokenPipeError | SystemExit):
        # The reader (`| head`) has gone: Python says so by the first, rich by the second. There is nobody
        # to write to; this silences the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    complain(" ".join(message(error).split()))
    return FAILED


def message(error: BaseException) -> str:
    """Return what a user needs to know of `error`."""
    if isinstance(error, click.UsageError):
        usage = error.ctx.command_path if error.ctx else "quantcore"
        return f"{error.format_message().rstrip('.')}. Try '{usage} --help'"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, QuantcoreError):
        return str(error)
    if isinstance(error, OSError):
        return os_message(error)
    if isinstance(error, ImportError) and (error.name or "").startswith(COMPILED):
        return f"{error}: the compiled parts are missing or older than the sources; run `make ext`"
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"internal error: {type(error).__name__}: {error} (a defect in quantcore; --traceback shows where)"


def os_message(error: OSError) -> str:
    """Return the operating system's words with the file first: ``x.tflite: No such file or directory``."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}"
