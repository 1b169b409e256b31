"""Every vector version of a kernel against its definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from quantcore.kernels._core import KernelCall

from tests.ops.harness import assert_same_bits, instruction_sets, using


def compare(
    make: Callable[[], KernelCall], inputs: list[np.ndarray | None], output: np.ndarray, what: str
) -> None:
    """Run the call of each instruction set; the first is that of the definition."""
    expected: np.ndarray | None = None
    for isa in instruction_sets():
        with using(isa):
            call = make()
        y = output.copy()
        call(inputs, [y])
        expected = y if expected is None else expected
        assert_same_bits(y, expected, f"{isa}: {what}")
