"""What commands have in common: ``--json``, ``--traceback``, examples in the help, options of several."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from quantcore.numerics import PROFILES

__all__ = [
    "COUNT",
    "LibraryChoice",
    "input_option",
    "model_argument",
    "numerics_option",
    "seed_option",
    "traceback_option",
    "verb",
]

Callback = Callable[..., Any]

COUNT = click.IntRange(min=1)


class LibraryChoice(click.Choice):  # type: ignore[type-arg]
    """One of the words that a module lists, or of `others`.

    The module is imported where the option is read or explained, so that listing the commands needs none.
    """

    def __init__(self, module: str, name: str, others: tuple[str, ...] = ()) -> None:
        self.case_sensitive = True
        self._listed = (module, name)
        self._others = others

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The words."""
        module, name = self._listed
        return (*self._others, *getattr(import_module(module), name))


model_argument = click.argument("model", type=click.Path())
input_option = click.option(
    "--input", "input_path", type=click.Path(), help="Samples: .npy, or .npz with all inputs."
)
numerics_option = click.option(
    "--numerics",
    type=click.Choice(list(PROFILES)),
    default="reference",
    help="Numerics profile: whose rounding to reproduce.",
)
traceback_option = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,  # `run_command_line` looks for the word
    help="Show Python's traceback if something goes wrong.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def seed_option(what: str) -> Callable[[Callback], Callback]:
    """Return the option ``--seed``, the seed of `what`."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, help=f"Seed of {what}.")


def verb(*, examples: str) -> Callable[[Callback], click.Command]:
    """Make a command of a function that takes ``as_json`` beside its own options.

    Parameters
    ----------
    examples : str
        Command lines, one per line, shown at the end of ``--help``. The tests give them all to the command;
        with a bad model in place of theirs, they must end in one line that names it.
    """

    def decorate(function: Callback) -> click.Command:
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        name = function.__module__.rpartition(".")[2].replace("_", "-")
        command = click.command(
            name,
            epilog=f"\b\nExamples:\n{lines}",
            context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
        )(function)
        return traceback_option(json_option(command))

    return decorate
