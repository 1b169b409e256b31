"""What all commands have in common: ``--json``, ``--traceback``, examples in the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["TRACEBACK_HELP", "model_argument", "numerics_option", "verb"]

TRACEBACK_HELP = "Show Python's traceback if something goes wrong."

Callback = Callable[..., Any]


def verb(*, examples: str) -> Callable[[Callback], click.Command]:
    """Make a command of a function that takes ``as_json`` beside its own options.

    Parameters
    ----------
    examples : str
        Command lines, one per line, shown at the end of ``--help``.
    """

    def decorate(function: Callback) -> click.Command:
        def callback(traceback: bool, **options: Any) -> Any:
            return function(**options)

        callback.__doc__ = function.__doc__
        callback.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        name = function.__module__.rpartition(".")[2].replace("_", "-")
        command = click.command(
            name,
            epilog=f"\b\nExamples:\n{lines}",
            context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
        )(callback)
        command.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of tables."),
            click.Option(["--traceback"], is_flag=True, help=TRACEBACK_HELP),
        ]
        return command

    return decorate


def model_argument(function: Callback) -> Callback:
    """Add the argument MODEL, the path of a ``.tflite`` file."""
    return click.argument("model", type=click.Path())(function)


def numerics_option(function: Callback) -> Callback:
    """Add ``--numerics``, a numerics profile."""
    from quantcore.numerics import PROFILES

    return click.option(
        "--numerics",
        type=click.Choice(list(PROFILES)),
        default="reference",
        help="Numerics profile: whose rounding to reproduce.",
    )(function)
