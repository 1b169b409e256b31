"""The ``quantcore`` command line: one module of this package per command.

A module ``verb.py`` (or ``two_words.py`` for ``two-words``) holds a click command called ``command``,
made by `quantcore.cli._command.verb`; that is all it takes to add one. Modules whose name starts with an
underscore are parts of commands. A command imports what it works with inside its function, so that listing
the commands, and those that look at a file only, start at once.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

import quantcore
from quantcore.cli._command import traceback_option
from quantcore.cli._errors import INTERRUPTED, report_error

__all__ = ["main", "run_command_line"]


class Commands(click.Group):
    """The commands are the modules of this package, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"quantcore.cli.{name.replace('-', '_')}").command
        return command


@click.command(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command explains itself: quantcore COMMAND --help. Exit codes: 0 done and good; 1 done, and "
    "the answer is no (a mismatch); 2 could not be done.",
)
@click.version_option(quantcore.__version__, prog_name="quantcore")
@traceback_option
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Quantize, look into, run, verify and compare TensorFlow Lite models, bit for bit."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run_command_line(arguments: list[str]) -> int:
    """Run the command line; return its exit code: 0 good, 1 the answer is no, 2 could not be done."""
    try:
        return int(commands.main(arguments, prog_name="quantcore", standalone_mode=False) or 0)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BaseException as error:
        if "--traceback" in arguments and not isinstance(error, click.ClickException):
            raise
        return report_error(error)


def main() -> None:
    """Entry point of the ``quantcore`` script."""
    sys.exit(run_command_line(sys.argv[1:]))
