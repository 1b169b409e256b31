"""Ranges by quantcore's own float kernels, without TensorFlow."""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from quantcore.calibration.dataset import MAIN, Sample
from quantcore.calibration.histogram import HistogramTracker
from quantcore.calibration.lstm_inside import lstms_to_replay
from quantcore.calibration.measured_plan import MeasuredMemory, MeasuredPlan
from quantcore.calibration.methods import METHODS, MIN_MAX, Method, make_tracker, method_name, narrow
from quantcore.calibration.observation import Ends, Narrowed, Observation, check_finite
from quantcore.calibration.trackers import Tracker
from quantcore.graph import Model
from quantcore.numerics import CALIBRATION

__all__ = ["observe"]


def observe(
    model: Model, samples: Iterator[Sample], methods: Mapping[int, Method], num_threads: int | None
) -> Observation:
    """Run the model on `samples` and return what was seen of the tensors that `methods` names.

    Each thread has memory and trackers of its own, which are merged at the end, so the result does not depend
    on the number of threads. A model with state, and a method that depends on the order of the samples, take
    one thread.

    Raises
    ------
    QuantizationError
        NaN or infinity in a tensor, or samples of a shape that the model does not take.
    UnsupportedOperatorError, KernelError
    """
    first = next(samples)
    plans = Plans(model, methods)
    in_order = plans.get(first).stateful or any(METHODS[method_name(m)].in_order for m in methods.values())
    lanes = [Lane(plans) for _ in range(1 if in_order else num_threads or available_cpus())]
    count = run_samples(lanes, itertools.chain([first], samples))
    return merged(lanes, methods, count)


def available_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Plans:
    """The plans that the samples need: one, or one for each value of the inputs that shapes follow from."""

    def __init__(self, model: Model, methods: Mapping[int, Method]) -> None:
        self.methods = {t: method for t, method in methods.items() if method_name(method) != MIN_MAX}
        self._histograms = histograms_of(model, self.methods)
        self._model = model
        self._tensors = list(methods)
        self._plans: list[MeasuredPlan] = []
        self.inside = lstms_to_replay(model.subgraphs[MAIN])
        self._lock = threading.Lock()

    def get(self, sample: Sample) -> MeasuredPlan:
        """Return the plan for `sample`."""
        with self._lock:
            for plan in self._plans:
                if plan.fits(sample):
                    return plan
            keep = len(self._histograms) < len(self.methods) or bool(self.inside)
            plan = MeasuredPlan(self._model, sample, self._tensors, self._histograms, keep, CALIBRATION)
            self._plans.append(plan)
            return plan


def histograms_of(model: Model, methods: Mapping[int, Method]) -> dict[int, HistogramTracker]:
    """Return a tracker for each tensor that a plan can count itself: not state, which is written twice."""
    variables = model.subgraphs[MAIN].variables()
    trackers = {t: make_tracker(method) for t, method in methods.items() if t not in variables}
    return {t: tracker for t, tracker in trackers.items() if isinstance(tracker, HistogramTracker)}


class Lane:
    """What one thread works with."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._memory: dict[MeasuredPlan, MeasuredMemory] = {}
        self.trackers: dict[int, Tracker] = {t: make_tracker(method) for t, method in plans.methods.items()}
        self._inside: dict[int, Ends] = {}

    def run(self, index: int, sample: Sample) -> None:
        """Run one sample and take in its tensors."""
        plan = self._plans.get(sample)
        if plan not in self._memory:
            self._memory[plan] = MeasuredMemory(plan)
            for t, value in plan.known.items():
                check_finite(plan.subgraph, t, value, index)
        memory = self._memory[plan]
        replays = self._plans.inside
        states = [(memory.view(r.output_state).copy(), memory.view(r.cell_state).copy()) for r in replays]
        memory.run(index, sample)
        for replay, state in zip(replays, states, strict=True):
            found = replay.values(memory.view(replay.input), memory.view(replay.output), *state)
            for t, values in found.items():
                low, high = self._inside.get(t, (np.inf, -np.inf))
                self._inside[t] = min(low, float(values.min())), max(high, float(values.max()))
        for t, tracker in self.trackers.items():
            if t not in plan.counts and (t in plan.ends or t in plan.known):
                tracker.update(memory.view(t))

    def finish(self) -> None:
        """Give the trackers what the plans have counted."""
        for memory in self._memory.values():
            for t, state in memory.counted().items():
                tracker = self.trackers[t]
                assert isinstance(tracker, HistogramTracker)
                tracker.take(*state)

    def seen(self) -> list[dict[int, Ends]]:
        """Return the smallest and largest value of each tensor, by plan."""
        known = [plan.known for plan in self._memory]
        return [self._inside, *(memory.seen() for memory in self._memory.values())] + [
            {t: (float(v.min() + 0.0), float(v.max() + 0.0)) for t, v in values.items() if v.size}
            for values in known
        ]


def run_samples(lanes: list[Lane], samples: Iterator[Sample]) -> int:
    """Run all samples, spread over `lanes`; return how many there were.

    The first failing sample, by index, raises, whichever fails first in time.
    """
    if len(lanes) == 1:
        count = 0
        for count, sample in enumerate(samples, 1):
            lanes[0].run(count - 1, sample)
        return count
    free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    for lane in lanes:
        free.put(lane)
    failed = threading.Event()

    def work(lane: Lane, index: int, sample: Sample) -> None:
        try:
            lane.run(index, sample)
        except BaseException:
            failed.set()
            raise
        finally:
            free.put(lane)

    count = 0
    futures: list[Future[None]] = []  # in order; those that have succeeded need not be kept
    with ThreadPoolExecutor(len(lanes)) as pool:
        for count, sample in enumerate(samples, 1):
            futures = [future for future in futures if not future.done() or future.exception() is not None]
            futures.append(pool.submit(work, free.get(), count - 1, sample))
            if failed.is_set():
                break
        for future in futures:
            future.result()
    return count


def merged(lanes: list[Lane], methods: Mapping[int, Method], count: int) -> Observation:
    """Return what all lanes have seen together."""
    seen: dict[int, Ends] = {}
    for ends in itertools.chain.from_iterable(lane.seen() for lane in lanes):
        for t, (low, high) in ends.items():
            before = seen.get(t, (np.inf, -np.inf))
            seen[t] = min(low, before[0]), max(high, before[1])
    for lane in lanes:
        lane.finish()
    narrowed: dict[int, Narrowed] = {}
    for t, tracker in lanes[0].trackers.items():
        for lane in lanes[1:]:
            tracker.merge(lane.trackers[t])
        if t in seen:
            narrowed[t] = narrow(tracker)
    return Observation(count, seen, narrowed)
