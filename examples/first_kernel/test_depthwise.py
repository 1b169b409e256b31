"""The kernel, as a test of a project of yours would have it."""

from pathlib import Path

import quantcore as qc

SOURCE = Path(__file__).with_name("depthwise.c")


def test_my_depthwise() -> None:
    qc.check_kernel(SOURCE, "DEPTHWISE_CONV_2D", "my_depthwise_s8", cases=100).assert_ok()
