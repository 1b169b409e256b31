"""`compare_speed`: one model, our interpreter and TensorFlow Lite's three resolvers, taking turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from quantcore.benchmark import tflite_script
from quantcore.custom_kernels import Kernel
from quantcore.errors import OracleCrashed, OracleRefused
from quantcore.files import write_arrays
from quantcore.flatbuffer import read_model
from quantcore.oracle.packages import find_package
from quantcore.oracle.process import worker_environment
from quantcore.runtime import Interpreter
from quantcore.samples import random_batch

__all__ = ["Speed", "TimedTFLite", "compare_speed", "on_one_cpu"]

TURN_SECONDS = 0.02  # what one turn of one contender takes, at least
SLOW_SECONDS = 1.5  # what all turns of one contender may take; slow ones have fewer turns
FEWEST_TURNS = 3
MAX_CALLS = 100_000  # of one turn
PAUSE_SECONDS = 0.003  # between turns: threads of the last contender, which wait for work, go to sleep

OURS = "quantcore"

Advance = Callable[[int], None]
Timer = Callable[[int], float]  # from a number of calls to their mean seconds


@dataclass(slots=True)
class Speed:
    """Seconds per sample: inputs in, outputs out, or the computation alone.

    Attributes
    ----------
    model : str
    batch : int
        Samples per call.
    ours : float
        Median over the turns, divided by the batch.
    oracle : dict of str to float
        The same for TensorFlow Lite by resolver.
    refused : dict of str to str
        Why a resolver could not run the model.
    turns, threads : int
    invoke_only : bool
        The copies of inputs and outputs were not timed.
    """

    model: str
    batch: int
    ours: float
    turns: int
    threads: int
    invoke_only: bool = False
    oracle: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def ratio(self, resolver: str) -> float | None:
        """How many times faster than `resolver` we are; None where it could not run the model."""
        return self.oracle[resolver] / self.ours if resolver in self.oracle else None

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        return {
            "model": self.model,
            "batch": self.batch,
            "turns": self.turns,
            "threads": self.threads,
            "invoke_only": self.invoke_only,
            "seconds": {OURS: self.ours, **self.oracle},
            "ratios": {resolver: self.ratio(resolver) for resolver in self.oracle},
            "refused": self.refused,
        }


class TimedTFLite:
    """One of TensorFlow Lite's resolvers, in a process of its own, which measures its own time.

    The process starts at once, and is replaced after a crash.

    Parameters
    ----------
    resolver : str
    script : Path
        What the process runs.
    """

    def __init__(self, resolver: str, script: Path = Path(tflite_script.__file__)) -> None:
        self.resolver = resolver
        self._script = script
        self._package = find_package()
        self._process = self._start()

    def __enter__(self) -> TimedTFLite:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()

    def open(self, path: str, inputs: Path, threads: int) -> None:
        """Prepare a model, in place of the last.

        Raises
        ------
        OracleRefused, OracleCrashed
        """
        self._ask({"path": path, "threads": threads, "inputs": str(inputs)})

    def seconds(self, calls: int) -> float:
        """Return the mean time of `calls` calls, inputs in and outputs out."""
        return float(self._ask({"calls": calls})["seconds"])

    def invoke_seconds(self, calls: int) -> float:
        """Return the mean time of `calls` calls of ``invoke`` alone."""
        return float(self._ask({"calls": calls, "invoke_only": True})["seconds"])

    def stay_on(self, cpus: set[int]) -> None:
        """Compute on these CPUs from now on."""
        if sys.platform == "linux":
            with suppress(ProcessLookupError):
                os.sched_setaffinity(self._process.pid, cpus)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(self._script), self._package, self.resolver],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=worker_environment(),
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = process.wait()
            self._process = self._start()
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise OracleCrashed(f"TensorFlow Lite's process ended with {name}", name)
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise OracleRefused(answer["refused"])
        return answer


@contextmanager
def on_one_cpu(timers: Iterable[TimedTFLite], threads: int = 1) -> Iterator[None]:
    """Keep contenders of one thread, ourselves among them, on the same CPU.

    On a shared machine, one CPU may be slower than the next for minutes, since they have other neighbours; a
    process that waits by turns tends to stay where it is. With more threads, and on other systems than Linux,
    nothing is done.
    """
    if threads > 1 or sys.platform != "linux":
        yield
        return
    timers, before = list(timers), os.sched_getaffinity(0)
    one = {min(before)}
    os.sched_setaffinity(0, one)
    for timer in timers:
        timer.stay_on(one)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        for timer in timers:
            timer.stay_on(before)


def compare_speed(
    path: str,
    timers: Iterable[TimedTFLite] = (),
    *,
    turns: int = 15,
    batch: int = 1,
    threads: int = 1,
    numerics: str = "reference",
    invoke_only: bool = False,
    advance: Advance = lambda count: None,
    kernels: Mapping[str | int, Kernel] | None = None,
) -> Speed:
    """Time a model, contender after contender, again and again, so that a busy machine is busy for all.

    Parameters
    ----------
    path : str
    timers : iterable of TimedTFLite
    turns : int
        Turns of each contender; the median of their means is the result.
    batch : int
        Samples per call. TensorFlow Lite's inputs are resized to it, which not every model bears.
    threads : int
    numerics : str
    invoke_only : bool
        Time ``invoke`` of both on inputs that are set before: the computation without the copies.
    advance : callable
        Called with the number of turns that have passed since the last call.
    kernels : mapping, optional
        Kernels of the user's, as for `quantcore.Interpreter`.

    Returns
    -------
    Speed
    """
    model = read_model(path)
    interpreter = Interpreter(model, numerics, threads, kernels=kernels)
    inputs = random_batch(model, 0, batch, 0)
    contenders: dict[str, Timer] = {
        OURS: own_invoke_timer(interpreter, inputs) if invoke_only else own_timer(interpreter, inputs)
    }
    refused: dict[str, str] = {}
    timers = list(timers)
    with tempfile.TemporaryDirectory() as folder, on_one_cpu(timers, threads):
        file = Path(folder) / "inputs.npz"
        write_arrays(file, {f"input{i}": array for i, array in enumerate(inputs)})
        for timer in timers:
            try:
                timer.open(path, file, threads)
                timer.seconds(1)
            except (OracleRefused, OracleCrashed) as error:
                refused[timer.resolver] = str(error)
            else:
                contenders[timer.resolver] = timer.invoke_seconds if invoke_only else timer.seconds
        times = take_turns(contenders, turns, refused, advance)
    medians = {name: median(values) / batch for name, values in times.items()}
    return Speed(path, batch, medians.pop(OURS), turns, threads, invoke_only, medians, refused)


def own_timer(interpreter: Interpreter, inputs: list[np.ndarray]) -> Timer:
    """Return a function that gives the mean seconds of that many calls of ``run``."""
    x = inputs[0] if len(inputs) == 1 else inputs

    def seconds(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            interpreter.run(x)
        return (time.perf_counter() - start) / calls

    return seconds


def own_invoke_timer(interpreter: Interpreter, inputs: list[np.ndarray]) -> Timer:
    """Return a function that gives the mean seconds of that many calls of ``invoke``, inputs set before."""
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs, strict=True):
        if value.shape != tuple(detail["shape"]):
            interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)

    def seconds(calls: int) -> float:
        invoke = interpreter.invoke
        start = time.perf_counter()
        for _ in range(calls):
            invoke()
        return (time.perf_counter() - start) / calls

    return seconds


def take_turns(
    contenders: dict[str, Timer], turns: int, failed: dict[str, str], advance: Advance
) -> dict[str, list[float]]:
    """Return the mean seconds of each turn of each contender.

    One whose turns would take long has fewer of them, spread over the run. One that fails has no times, but a
    reason in `failed`.
    """
    plans = {}
    for name, seconds in contenders.items():
        try:
            plans[name] = turn_plan(seconds, turns)
        except (OracleRefused, OracleCrashed) as error:
            failed[name] = str(error)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns):
        for name, (calls, own_turns) in plans.items():
            if name in failed or turn * own_turns // turns == (turn + 1) * own_turns // turns:
                continue
            time.sleep(PAUSE_SECONDS)
            try:
                if calls > 1:  # caches and branch predictors remember the contender before
                    contenders[name](1)
                times[name].append(contenders[name](calls))
            except (OracleRefused, OracleCrashed) as error:
                failed[name] = str(error)
        advance(1)
    return {name: taken for name, taken in times.items() if name not in failed}


def turn_plan(seconds: Timer, turns: int) -> tuple[int, int]:
    """Return how many calls a contender makes per turn, and how many turns it takes."""
    once = seconds(1)
    if once < TURN_SECONDS:
        once = min(once, seconds(3))
    calls = max(1, min(MAX_CALLS, round(TURN_SECONDS / max(once, 1e-9))))
    return calls, max(min(FEWEST_TURNS, turns), min(turns, int(SLOW_SECONDS / max(calls * once, 1e-9))))
