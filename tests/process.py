"""Work in a Python process of its own, for what TensorFlow does: it is slow to import and hard to unload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantcore.errors import OracleUnavailable
from quantcore.oracle import find_package

ROOT = Path(__file__).resolve().parents[1]


def run_with_tensorflow(*arguments: str | os.PathLike[str], timeout: float = 300) -> None:
    """Run ``python ARGUMENTS`` in the root of the repository; skip the test where TensorFlow is missing."""
    try:
        find_package("tensorflow")
    except OracleUnavailable as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
