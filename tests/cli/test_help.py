"""Help, version, and how commands are found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import quantcore
from tests.cli.conftest import Cli

COMMANDS = {path.stem for path in Path(quantcore.__path__[0], "cli").glob("[a-z]*.py")}


def test_commands_are_there() -> None:
    assert {"inspect", "run", "verify", "evaluate", "demo", "bench", "quantize"} <= COMMANDS


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(words: list[str], cli: Cli) -> None:
    result = cli(*words)
    assert (result.code, result.err) == (0, "")
    assert "..." not in result.out.partition("Commands:")[2]
    listed = set(re.findall(r"^  ([a-z-]+) {2,}\S", result.out, re.MULTILINE))
    assert {name.replace("_", "-") for name in COMMANDS} <= listed


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str, cli: Cli) -> None:
    result = cli(command.replace("_", "-"), "--help")
    assert result.code == 0
    for part in ("Usage: quantcore", "--json", "--traceback", "Examples:", f"    quantcore {command}"):
        assert part in result.out
    assert max(map(len, result.out.splitlines())) <= 90


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"quantcore, version {quantcore.__version__}\n"


def test_module_and_pipe() -> None:
    """``python -m quantcore`` works, and a reader that goes away is no reason for a traceback."""
    command = f"{sys.executable} -m quantcore --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "Usage: quantcore [OPTIONS] [COMMAND] [ARGS]...\n"
    assert done.stderr == ""
