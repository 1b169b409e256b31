"""Options for kernels of the user's in a model: ``--kernel`` and ``--kernel-flag``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from quantcore.cli._child import in_child

if TYPE_CHECKING:
    from quantcore.custom_kernels import Kernel

__all__ = ["KernelOption", "kernel_options", "load_kernels"]

KERNEL = re.compile(r"(?P<key>[^=]+)=(?P<file>.+\.(?:c|py)):(?P<symbol>\w+)(?::(?P<scratch>\w+))?")


class KernelOption(NamedTuple):
    """A value of ``--kernel``."""

    key: str | int
    file: str
    symbol: str
    scratch: str | None


class KernelType(click.ParamType):  # type: ignore[type-arg]
    """``KEY=FILE:SYMBOL``."""

    name = "KEY=FILE:SYMBOL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> KernelOption:
        """Return the parts of the option."""
        if isinstance(value, KernelOption):
            return value
        match = KERNEL.fullmatch(str(value))
        if match is None:
            self.fail(
                f"{value!r} is not KEY=FILE:SYMBOL, such as CONV_2D=my_conv.c:my_conv_s8; FILE ends in .c "
                "or .py",
                param,
                ctx,
            )
        key = match["key"]
        return KernelOption(
            int(key) if key.isdecimal() else key, match["file"], match["symbol"], match["scratch"]
        )


def kernel_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets ``kernels`` and ``kernel_flags``.

    With kernels in C, the command runs in a process of its own.
    """

    @wraps(function)
    def command(**options: Any) -> Any:
        if any(kernel.file.endswith(".c") for kernel in options["kernels"]):
            return in_child(lambda: function(**options))
        return function(**options)

    command = click.option(
        "--kernel-flag",
        "kernel_flags",
        multiple=True,
        help="Argument for the C compiler of --kernel, such as -O1; may be given several times.",
    )(command)
    return click.option(
        "--kernel",
        "kernels",
        type=KernelType(),
        multiple=True,
        help="Compute operators by a kernel of yours, in C (FILE.c:SYMBOL, or FILE.c:SYMBOL:SCRATCH with the "
        "function that says how much scratch memory it needs) or Python (FILE.py:FUNCTION). KEY: the "
        "operator's name, its index, or a pattern of the name of its output; may be given several times.",
    )(command)


def load_kernels(
    options: Sequence[KernelOption], flags: Sequence[str] = ()
) -> dict[str | int, Kernel] | None:
    """Compile the kernels, and return them by key; None without any.

    Raises
    ------
    click.UsageError
        One key twice, or flags without a kernel.
    KernelError, OSError
        A file that cannot be read, does not compile, or has no such kernel.
    """
    from quantcore.custom_kernels import CKernel
    from quantcore.custom_kernels.python_file import load_function

    keys = [option.key for option in options]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise click.UsageError(f"--kernel is given twice for {twice[0]}")
    if flags and not options:
        raise click.UsageError("--kernel-flag is for --kernel, which is not given")
    kernels: dict[str | int, Kernel] = {}
    for key, file, symbol, scratch in options:
        if file.endswith(".py"):
            kernels[key] = load_function(file, symbol)
        else:
            kernels[key] = CKernel.from_source(file, symbol, flags=flags, scratch=scratch)
    return kernels or None
