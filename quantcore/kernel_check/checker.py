"""One case against a kernel: in all builds, in two arrangements of memory, compared bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from quantcore.kernel_check.case import Case, make_request, tensor_names
from quantcore.kernel_check.process import Fills, KernelProcess, Reply, RunRequest, as_arrays
from quantcore.kernel_check.programs import Program

__all__ = ["ARRANGEMENTS", "Checker", "Failure", "differing", "request_of"]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where arrays lie, and what is in memory that nothing has written."""

    name: str
    at_end: bool
    fills: Fills


ARRANGEMENTS = (
    Arrangement("arrays begin at a guard page", False, Fills(0xA5, 0x5A, 0x99)),
    Arrangement("arrays end at a guard page", True, Fills(0x5A, 0xC3, 0x17)),
)


@dataclass(slots=True)
class Failure:
    """What a kernel did wrong.

    Attributes
    ----------
    kind : str
        ``mismatch``, or the kind of a `process.Fault`.
    message : str
        One line.
    case : Case
    build : str
        In which build, see `programs.BUILDS`.
    arrangement : int
        In which arrangement of memory, see `ARRANGEMENTS`.
    got : list of ndarray
        What it computed; empty where it did not return.
    details : str
        What the process printed.
    status : int
        What the kernel returned.
    """

    kind: str
    message: str
    case: Case
    build: str
    arrangement: int
    got: list[np.ndarray]
    details: str = ""
    status: int = 0


class Checker:
    """Runs cases in the programs of a kernel."""

    def __init__(self, programs: Sequence[Program], timeout: float) -> None:
        self.stack = ExitStack()
        self.processes = [self.stack.enter_context(KernelProcess(p, timeout)) for p in programs]
        self.timeout = timeout

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def limit(self, timeout: float) -> None:
        """Give the kernel so many seconds from now on."""
        for process in self.processes:
            process.timeout = timeout

    def check(self, case: Case, *, build: str | None = None) -> Failure | None:
        """Return what is wrong, or None; with `build`, only that one is run."""
        request = request_of(case)
        for process in self.processes:
            name = process.program.build.name
            if build not in (None, name):
                continue
            # What the sanitizers guard does not depend on the place.
            for k, arrangement in enumerate(ARRANGEMENTS if name == "plain" else ARRANGEMENTS[:1]):
                reply = process.run(request, arrangement.fills, at_end=arrangement.at_end)
                if failure := judge(case, reply, name, k):
                    return failure
        return None


def request_of(case: Case) -> RunRequest:
    """Return what the runner is sent for a case."""
    names = tensor_names(case.kernel, len(case.inputs), len(case.expected))
    return make_request(case.params, case.inputs, [y.nbytes for y in case.expected], case.scratch, names)


def judge(case: Case, reply: Reply, build: str, arrangement: int) -> Failure | None:
    """Return what is wrong with a reply, or None."""
    got = as_arrays(reply.outputs, case.expected) if reply.outputs else []
    if reply.fault is not None:
        fault = reply.fault
        return Failure(fault.kind, fault.message, case, build, arrangement, got, fault.details, fault.status)
    for y, (given, wanted) in enumerate(zip(got, case.expected, strict=True)):
        places = differing(given, wanted)
        if places.size:
            return Failure(
                "mismatch", mismatch_message(case, y, places, given), case, build, arrangement, got
            )
    return None


def differing(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the flat positions of elements that differ in a bit; a NaN is a NaN."""
    kind = np.dtype(f"u{expected.dtype.itemsize}") if expected.dtype.kind != "c" else expected.dtype
    different = got.reshape(-1).view(kind) != expected.reshape(-1).view(kind)
    if expected.dtype.kind == "f":
        different &= ~(np.isnan(got) & np.isnan(expected)).reshape(-1)
    return np.flatnonzero(different)


def mismatch_message(case: Case, y: int, places: np.ndarray, got: np.ndarray) -> str:
    """Return where the first difference is."""
    expected = case.expected[y]
    name = tensor_names(case.kernel, len(case.inputs), len(case.expected))[len(case.inputs) + y]
    place = ", ".join(str(int(i)) for i in np.unravel_index(places[0], expected.shape))
    first = f"{name}[{place}] is {got.reshape(-1)[places[0]]}, expected {expected.reshape(-1)[places[0]]}"
    count = "the only element differs"
    if expected.size > 1:
        count = f"{places.size} of {expected.size} elements differ"
    return f"{count}; the first: {first}"
