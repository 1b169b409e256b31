"""The data of a failing case made simple: most elements contribute nothing, the others are small."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from quantcore.kernel_check.case import Case
from quantcore.kernel_check.checker import Checker, Failure

__all__ = ["reduce_data"]

SECONDS = 5.0
SINGLE_ELEMENTS = 24  # that are made smaller one by one


def reduce_data(failure: Failure, checker: Checker) -> Failure:
    """Return a failure of the same kind, in the same build, with simpler inputs; params stay as they are."""
    case = failure.case
    if case.call is None or failure.kind == "hang" or "sign_overflow" in case.params:
        return failure
    deadline = time.monotonic() + SECONDS
    best = failure

    def still_fails(position: int, array: np.ndarray) -> bool:
        nonlocal best
        if time.monotonic() > deadline:
            return False
        inputs = [array if k == position else x for k, x in enumerate(best.case.inputs)]
        found = checker.check(best.case.with_inputs(inputs), build=failure.build)
        if found is None or found.kind != failure.kind:
            return False
        best = found
        return True

    for position, array in enumerate(case.inputs):
        if array is not None and array.dtype.kind in "iuf" and array.size:
            blank(position, array, neutral(case, position), still_fails)
    for position in range(len(case.inputs)):
        array = best.case.inputs[position]
        if array is not None and array.dtype.kind in "iu" and array.size:
            shorten(position, array, neutral(case, position), still_fails)
    return best


def neutral(case: Case, position: int) -> int:
    """Return the value that contributes nothing, by the offsets in the params."""
    array = case.inputs[position]
    assert array is not None
    known = ("input_offset", "filter_offset") if "filter_offset" in case.params else ("input_offset",)
    names = (f"input{position + 1}_offset", *known[position : position + 1])
    scope = [case.params, *([case.params["rule"]] if "rule" in case.params else [])]
    for name in names:
        for struct in scope:
            if name in struct and array.dtype.itemsize < 4:
                return -int(struct[name])
    return 0


def blank(
    position: int, array: np.ndarray, value: int, still_fails: Callable[[int, np.ndarray], bool]
) -> None:
    """Set elements to `value`, in blocks that become smaller, wherever the case still fails."""
    current = array.copy()
    flat = current.reshape(-1)
    block = flat.size
    while block >= 1:
        for start in range(0, flat.size, block):
            part = slice(start, start + block)
            before = flat[part].copy()
            if (before == value).all():
                continue
            flat[part] = value
            if not still_fails(position, current.copy()):
                flat[part] = before
        block //= 2


def shorten(
    position: int, array: np.ndarray, value: int, still_fails: Callable[[int, np.ndarray], bool]
) -> None:
    """Bring the few elements that matter closer to `value`, wherever the case still fails."""
    current = array.copy()
    flat = current.reshape(-1)
    places = np.flatnonzero(flat != value)
    if places.size > SINGLE_ELEMENTS:
        return
    for place in places:
        distance = int(flat[place]) - value
        for step in (1, -1, 2, -2, distance // 16, distance // 4, distance // 2):
            before = flat[place]
            if step == 0 or abs(step) >= abs(distance):
                continue
            flat[place] = value + step
            if still_fails(position, current.copy()):
                break
            flat[place] = before
