"""The interpreter is loaded without the rest of TensorFlow, which can follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import run_with_tensorflow

SCRIPT = Path(__file__).with_name("tensorflow_import.py")


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("interpreter", ["found", "hidden"])
def test_all_of_tensorflow_can_be_imported_after_its_interpreter(interpreter: str) -> None:
    """Where the interpreter alone cannot be loaded, TensorFlow is imported as a whole."""
    run_with_tensorflow(SCRIPT, interpreter)
