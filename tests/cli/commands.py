"""The commands as they are found, and the examples in their help."""

from __future__ import annotations

import shlex

import click

from quantcore.cli import commands


def words_of(line: str) -> list[str]:
    """Return the words of ``quantcore inspect model.tflite --json | jq .  # a comment`` behind the first."""
    words = shlex.split(line, comments=True)
    return words[1 : words.index("|")] if "|" in words else words[1:]


def parse(words: list[str]) -> click.Context:
    """Return the command line as click understands it.

    Raises
    ------
    click.UsageError
    """
    name, *rest = words
    if name not in COMMANDS:
        raise click.UsageError(f"there is no command {name}")
    return COMMANDS[name].make_context(name, rest)


def _examples(command: click.Command) -> list[list[str]]:
    lines = (command.epilog or "").partition("Examples:\n")[2].splitlines()
    return [words_of(line) for line in lines]


_CONTEXT = click.Context(commands)
COMMANDS = {name: commands.get_command(_CONTEXT, name) for name in commands.list_commands(_CONTEXT)}
EXAMPLES = {name: _examples(command) for name, command in COMMANDS.items()}
