"""The examples run as their READMEs are written.

Every folder of ``examples/`` is copied, and the ``sh`` blocks of its README are run there, one after the
other, with ``set -e``. Each line of a ``text`` block must be a part of what the block before it printed; a
line ``...`` stands for anything. A README that begins a line with "Needs" is skipped where a program that the
line names in backquotes, or an environment variable (in capitals), is not there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/README.md"))
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def missing(readme: str) -> list[str]:
    """Return the programs and variables that a README asks for and that are not there."""
    lines = re.findall(r"^Needs .*(?:\n.+)*", readme, re.MULTILINE)
    names = [name for line in lines for name in re.findall(r"`([\w.-]+)`", line)]
    return [n for n in names if not (os.environ.get(n) if n.isupper() else shutil.which(n))]


def shell(commands: str, folder: Path) -> str:
    """Run commands of a README, and return what they print."""
    tools = folder.parent / "bin"
    if not tools.exists():
        tools.mkdir()
        for name, arguments in (("quantcore", " -m quantcore"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
            (tools / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    command = ["sh", "-e", "-c", commands]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{commands}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("example", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_readme(example: Path, tmp_path: Path) -> None:
    readme = (example / "README.md").read_text(encoding="utf-8")
    if absent := missing(readme):
        pytest.skip(f"not here: {', '.join(absent)}")
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler")
    folder = tmp_path / example.name
    shutil.copytree(example, folder)
    printed = None
    for kind, text in BLOCK.findall(readme):
        if kind == "sh":
            printed = shell(text, folder)
            continue
        assert printed is not None, "a text block stands behind the commands that print it"
        for line in text.splitlines():
            assert line.strip() == "..." or line.strip() in printed, f"{line!r} is not in\n{printed}"


def test_the_examples_are_there() -> None:
    assert {"first_kernel", "packed_4bit", "wrong_kernel"} <= {folder.name for folder in FOLDERS}
