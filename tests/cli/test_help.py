"""Help, version, and how commands are found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import quantcore
from tests.cli.commands import COMMANDS, EXAMPLES, parse, words_of
from tests.cli.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])


def test_commands_are_there() -> None:
    modules = {path.stem for path in Path(quantcore.__path__[0], "cli").glob("[a-z]*.py")}
    assert {name.replace("-", "_") for name in COMMANDS} == modules
    assert {"inspect", "run", "verify", "evaluate", "demo", "bench", "quantize", "compare"} <= set(COMMANDS)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(words: list[str], cli: Cli) -> None:
    result = cli(*words)
    assert (result.code, result.err) == (0, "")
    assert "..." not in result.out.partition("Commands:")[2]
    listed = set(re.findall(r"^  ([a-z-]+) {2,}\S", result.out, re.MULTILINE))
    assert set(COMMANDS) <= listed


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, cli: Cli) -> None:
    result = cli(command, "--help")
    assert result.code == 0
    for part in ("Usage: quantcore", "--json", "--traceback", "Examples:", f"    quantcore {command}"):
        assert part in result.out
    assert max(map(len, result.out.splitlines())) <= 90


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_understood(command: str) -> None:
    assert EXAMPLES[command]
    for words in EXAMPLES[command]:
        assert parse(words).info_name == command


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_commands_in_documents_are_understood(page: Path) -> None:
    for line in re.findall(r"^    (quantcore [a-z].*)", page.read_text(), re.MULTILINE):
        parse(words_of(line))


def test_each_command_has_a_section() -> None:
    sections = re.findall("^## (.*)", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert sections[0] == "For all commands"
    assert set(sections[1:]) == set(COMMANDS), "docs/cli.md has a section for each command"


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"quantcore, version {quantcore.__version__}\n"


def test_module_and_pipe() -> None:
    """``python -m quantcore`` works, and a reader that goes away is no reason for a traceback."""
    command = f"{sys.executable} -m quantcore --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "Usage: quantcore [OPTIONS] [COMMAND] [ARGS]...\n"
    assert done.stderr == ""
