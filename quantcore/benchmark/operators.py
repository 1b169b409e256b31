"""`time_operators`: where the time of an inference goes, step by step of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from quantcore.custom_kernels import Kernel, KernelTable
from quantcore.graph import Model
from quantcore.numerics import get_profile
from quantcore.runtime.executable import Executable
from quantcore.runtime.lowered import Step
from quantcore.runtime.session import Session
from quantcore.samples import random_batch

__all__ = ["OperatorTime", "OperatorTimes", "time_operators"]

PROFILED_SECONDS = 0.5  # what all turns together take, about
MAX_TURNS = 10_000


@dataclass(slots=True)
class OperatorTime:
    """One step of the plan, or the sum of all that do the same.

    Attributes
    ----------
    index : str
        Of the operator in the subgraph that calls for it; for a sum, how many steps it is of.
    op : str
    kernel, isa : str
        The kernel and the instruction set of the version that was chosen.
    seconds : float
        Median over the runs; for a sum, the sum of the medians.
    share : float
        Of the sum over all steps.
    macs : int
        Multiply-accumulates.
    bytes : int
        Of all tensors that the step reads and writes, each counted once.
    """

    index: str
    op: str
    kernel: str
    isa: str
    seconds: float
    share: float
    macs: int
    bytes: int

    @property
    def macs_per_second(self) -> float:
        """Multiply-accumulates per second."""
        return self.macs / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes read and written per second."""
        return self.bytes / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        rates = {"macs_per_second": self.macs_per_second, "bytes_per_second": self.bytes_per_second}
        return {**asdict(self), **rates}


@dataclass(slots=True)
class OperatorTimes:
    """What `time_operators` found.

    Attributes
    ----------
    model : str
    threads : int
    runs : int
        Inferences that were timed.
    steps : list of OperatorTime
        In the order of the plan. Operators that cost nothing at run time have no step.
    """

    model: str
    threads: int
    runs: int
    steps: list[OperatorTime]

    @property
    def seconds(self) -> float:
        """The sum over all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def macs(self) -> int:
        """The sum over all steps."""
        return sum(step.macs for step in self.steps)

    @property
    def bytes(self) -> int:
        """The sum over all steps."""
        return sum(step.bytes for step in self.steps)

    def kinds(self) -> list[OperatorTime]:
        """Return the sums over steps of one operator, kernel and instruction set, the slowest first."""
        groups: dict[tuple[str, str, str], list[OperatorTime]] = {}
        for step in self.steps:
            groups.setdefault((step.op, step.kernel, step.isa), []).append(step)
        sums = [summed(group) for group in groups.values()]
        return sorted(sums, key=lambda total: -total.seconds)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        return {
            "threads": self.threads,
            "runs": self.runs,
            "seconds": self.seconds,
            "operators": [step.to_json() for step in self.steps],
            "kinds": [{**kind.to_json(), "count": int(kind.index)} for kind in self.kinds()],
        }


def summed(group: list[OperatorTime]) -> OperatorTime:
    """Return steps of one kind as one row."""
    first = group[0]
    return OperatorTime(
        index=str(len(group)),
        op=first.op,
        kernel=first.kernel,
        isa=first.isa,
        seconds=sum(step.seconds for step in group),
        share=sum(step.share for step in group),
        macs=sum(step.macs for step in group),
        bytes=sum(step.bytes for step in group),
    )


def time_operators(
    model: Model,
    *,
    numerics: str = "reference",
    samples: int = 1,
    threads: int = 1,
    turns: int | None = None,
    kernels: Mapping[str | int, Kernel] | None = None,
) -> OperatorTimes:
    """Time every step of a model's plan, in the memory and order of a run.

    The clock is read between steps, and what that takes is subtracted.

    Parameters
    ----------
    model : Model
    numerics : str
    samples : int
        Random samples, which take turns.
    threads : int
        Threads that share a step, where it is large enough.
    turns : int, optional
        Runs of each sample; by default as many as half a second has room for, three at least.
    kernels : mapping, optional
        Kernels of the user's, as for `quantcore.Interpreter`.

    Returns
    -------
    OperatorTimes

    Raises
    ------
    QuantcoreError
        A model that cannot be run.
    """
    table = None if kernels is None else KernelTable(kernels)
    session = Session(model, 0, get_profile(numerics), preserve_all=False, threads=threads, kernels=table)
    inputs = random_batch(model, 0, samples, 0)
    executable, seconds = session.time_steps(inputs, 2)  # the first run is a warm-up
    if turns is None:
        once = float(seconds[-1].sum()) * samples
        turns = min(MAX_TURNS, max(3, round(PROFILED_SECONDS / max(once, 1e-9))))
    executable, seconds = session.time_steps(inputs, turns)
    return OperatorTimes(
        model.source, threads, len(seconds), list(step_rows(executable, np.median(seconds, axis=0)))
    )


def step_rows(executable: Executable, seconds: np.ndarray) -> Iterable[OperatorTime]:
    """Yield a row per step of a plan."""
    total = float(seconds.sum()) or 1.0
    for step, taken in zip(executable.lowered.steps, seconds.tolist(), strict=True):
        index = "" if step.index is None else str(step.index)
        moved = step_bytes(executable, step)
        kernel = step.call.name if step.custom is None else step.custom.name
        yield OperatorTime(index, step.op, kernel, step.call.isa, taken, taken / total, step.macs, moved)


def step_bytes(executable: Executable, step: Step) -> int:
    """Return the bytes of the tensors of a step."""
    lowered = executable.lowered
    tensors = {t for t in step.tensors if t >= 0}
    return sum(lowered.values[t].nbytes if t in lowered.values else executable.nbytes(t) for t in tensors)
