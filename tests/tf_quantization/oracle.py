"""TensorFlow as the oracle of its own functions."""

from __future__ import annotations

import pytest

from quantcore.oracle import Oracle
from tests.ops.harness import get_oracle

__all__ = ["get_tensorflow"]


def get_tensorflow() -> Oracle:
    """Return the session's oracle; skip where its package is not the whole of TensorFlow."""
    oracle = get_oracle()
    if oracle.name != "tensorflow":
        pytest.skip("TensorFlow's functions need the package tensorflow")
    return oracle
