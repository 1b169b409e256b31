"""Tests that need Keras and TensorFlow, in one process of their own."""

from __future__ import annotations

import pytest

from tests.process import run_with_tensorflow

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


@pytest.mark.parametrize("file", ["keras_convert.py", "keras_model.py", "keras_verify.py"])
def test_with_tensorflow(file: str) -> None:
    run_with_tensorflow(
        "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/qat/{file}", timeout=900
    )
