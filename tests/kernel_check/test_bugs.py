"""Kernels with one mistake each: `check_kernel` finds it, makes the case small, and says what it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quantcore.check_kernel import CheckResult, check_kernel

pytest.importorskip("hypothesis")
if not any(map(shutil.which, ("cc", "gcc", "clang"))):
    pytest.skip("there is no C compiler", allow_module_level=True)

KERNELS = Path(__file__).with_name("kernels")

# Macro of conv.c, kinds of failure that it may be found as, words of the message or of the reasons
BUGS = {
    "TRUNCATING_SHIFT": ("mismatch", "truncates"),
    "PADDING_OFF_BY_ONE": ("mismatch", "with pad_left greater by 1"),
    "MISSING_CLAMP": ("mismatch", "without a clamp"),
    "INT16_ACCUMULATOR": ("mismatch", "accumulators of 16 bits"),
    "WRONG_DILATION": ("mismatch", "dilation"),
    "READ_OUT_OF_BOUNDS": ("sanitizer crash", "conv.c"),
    "WRITE_OUT_OF_BOUNDS": ("memory crash", "of output"),
    "UNINITIALIZED": ("mismatch", "is read before it is written"),
    "WRONG_CHANNEL": ("mismatch", "the multiplier and shift of the channel before"),
    "STALE_SCRATCH": ("mismatch", "scratch memory before the call"),
    "HANGS": ("hang", "did not return within 0.5 s"),
    "RETURNS_ERROR": ("status", "returned QC_BAD_ARGUMENT"),
    "EXITS": ("exit", "exit status 3"),
    "OVERWRITES_INPUT": ("crash", "writes to byte 0 of input"),
    "STACK_OVERFLOW": ("crash", "SIGSEGV"),
}


def check(bug: str, **options: object) -> CheckResult:
    timeout = 0.5 if bug == "HANGS" else 20.0
    options = {"flags": [f"-D{bug}"], "cases": 200, "timeout": timeout, **options}
    return check_kernel(
        KERNELS / "conv.c", "CONV_2D", "conv", sanitizers=bug == "READ_OUT_OF_BOUNDS", **options
    )


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug(bug: str, tmp_path: Path) -> None:
    kinds, words = BUGS[bug]
    result = check(bug, out=tmp_path)
    assert result.failure is not None
    if "sanitizers" not in result.builds and bug == "READ_OUT_OF_BOUNDS":
        pytest.skip("the compiler has no sanitizers")
    assert result.failure.kind in kinds.split()
    assert words in result.report()
    assert max(y.size for y in result.failure.case.expected) <= 16, "the case is small"
    assert {path.suffix for path in result.files} == {".npz", ".c"}
    with pytest.raises(AssertionError, match="conv: "):
        result.assert_ok()
