"""Tests that need Keras and TensorFlow, in one process of their own."""

from __future__ import annotations

import pytest

from tests.process import run_with_tensorflow

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def test_conversions() -> None:
    run_with_tensorflow("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/qat/keras_convert.py")


def test_the_promise() -> None:
    run_with_tensorflow("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/qat/keras_verify.py")
