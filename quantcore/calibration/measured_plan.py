"""A float model's plan with a measuring step behind every kernel, and one thread's memory for it.

Measuring is a step of the plan like any other: a kernel that widens two numbers, and counts values in bins
where the method of the tensor asks for that. Both live in the arena as state. So there is no Python between
operators, nothing is copied, and a tensor is read while it is still in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from quantcore.calibration.dataset import MAIN, Sample
from quantcore.calibration.histogram import HistogramTracker
from quantcore.calibration.observation import Ends, check_finite
from quantcore.errors import KernelError, QuantcoreError, QuantizationError
from quantcore.graph import Model, Tensor
from quantcore.kernels.min_max import min_max_call
from quantcore.numerics import Profile
from quantcore.ops.node import UnknownValueError
from quantcore.runtime.executable import Executable
from quantcore.runtime.lowered import Lowered, Step

__all__ = ["MeasuredMemory", "MeasuredPlan"]

MEASURE = "measure"  # what the steps are called


class MeasuredPlan:
    """The plan of a model for inputs of given shapes, which measures tensors as they are computed.

    Parameters
    ----------
    model : Model
    sample : list of ndarray
        One array per input. Where shapes follow from the value of an input, the plan holds for this value
        only: see `fits`.
    tensors : collection of int
        Those to measure.
    histograms : mapping of int to HistogramTracker
        Those of `tensors` whose values are also counted, and trackers that say in which bins.
    keep : bool
        Keep all tensors readable after a run.
    profile : Profile

    Raises
    ------
    QuantizationError
        The model does not take inputs of other shapes than the stored ones.
    UnsupportedOperatorError, KernelError
    """

    def __init__(
        self,
        model: Model,
        sample: Sample,
        tensors: Collection[int],
        histograms: Mapping[int, HistogramTracker],
        keep: bool,
        profile: Profile,
    ) -> None:
        self.subgraph = model.subgraphs[MAIN]
        self.tensors = frozenset(tensors)
        self.histograms = histograms
        self.ends: dict[int, int] = {}  # by measured tensor: the tensor that holds its ends
        self.counts: dict[int, int] = {}  # likewise its counts
        self.values: dict[int, np.ndarray] = {}  # inputs that shapes follow from
        given = dict(zip(self.subgraph.inputs, sample, strict=True))
        shapes = {t: array.shape for t, array in given.items()}
        try:
            self.executable = Executable(
                model,
                MAIN,
                shapes,
                profile,
                input_values=self.values,
                value_of=lambda t: given[t].copy(),
                preserve_all=keep,
                extend=self._measure,
            )
        except UnknownValueError:
            raise
        except QuantcoreError as error:
            self._explain_shapes(shapes, error)
            raise

    @property
    def known(self) -> dict[int, np.ndarray]:
        """Measured tensors whose value is known without running."""
        return {t: value for t, value in self.executable.lowered.values.items() if t in self.tensors}

    @property
    def stateful(self) -> bool:
        """Whether a run depends on the one before."""
        return bool(self.subgraph.variables())

    def fits(self, sample: Sample) -> bool:
        """Whether the plan holds for the values of `sample`."""
        if not self.values:
            return True
        given = dict(zip(self.subgraph.inputs, sample, strict=True))
        return all(np.array_equal(given[t], value) for t, value in self.values.items())

    def _measure(self, lowered: Lowered) -> None:
        """Add to the steps those that measure: inputs first, each output behind the step that writes it."""
        variables = self.subgraph.variables()
        steps = [step for t in self.subgraph.inputs for step in self._steps(lowered, [t])]
        for step in lowered.steps:
            state = [t for t in step.tensors if t in variables]
            steps += self._steps(lowered, state)
            steps.append(step)
            steps += self._steps(lowered, [*state, *step.tensors[len(step.tensors) - step.outputs :]])
        lowered.steps = steps

    def _steps(self, lowered: Lowered, tensors: Sequence[int]) -> list[Step]:
        return [
            self._step(lowered, t)
            for t in tensors
            if t in self.tensors and t not in lowered.values and size(lowered, t)
        ]

    def _step(self, lowered: Lowered, t: int) -> Step:
        """Return the step that measures tensor `t`."""
        if t not in self.ends:
            self.ends[t] = add_state(lowered, f"ends of {t}", 2, "float32")
        if t not in self.histograms:
            call = min_max_call(outer=1, channels=1, inner=size(lowered, t))
            return Step(MEASURE, None, call, (t, self.ends[t]))
        tracker = self.histograms[t]
        if t not in self.counts:
            self.counts[t] = add_state(lowered, f"counts of {t}", tracker.bins + 1, "int64")
        call = tracker.call((1, 1, size(lowered, t)))
        return Step(MEASURE, None, call, (t, self.ends[t], self.counts[t]), outputs=2)

    def _explain_shapes(self, shapes: dict[int, tuple[int, ...]], error: QuantcoreError) -> None:
        """Raise an error that names the inputs whose shapes are not those of the model, if there are any."""
        stored = {t: self.subgraph.tensors[t].shape for t in shapes}
        other = [t for t in shapes if shapes[t] != stored[t]]
        if other:
            names = ", ".join(
                f"input {self.subgraph.tensors[t].name!r} has shape {shapes[t]}, in the model {stored[t]}"
                for t in other
            )
            raise QuantizationError(f"sample 0: {names}; resizing the model to it fails: {error}") from error


def add_state(lowered: Lowered, name: str, elements: int, dtype: str) -> int:
    """Add a tensor that keeps its value from run to run; return its index."""
    index = len(lowered.tensors)
    lowered.tensors.append(Tensor(name, (elements,), dtype, is_variable=True))
    lowered.shapes[index] = (elements,)
    return index


def size(lowered: Lowered, t: int) -> int:
    """Return how many elements tensor `t` has."""
    return math.prod(lowered.shapes[t])


class MeasuredMemory:
    """One thread's memory for a plan: it runs samples and holds what they have been measured to be."""

    def __init__(self, plan: MeasuredPlan) -> None:
        self.plan = plan
        self._instance = plan.executable.new_instance()
        self._inputs = [self._input(t) for t in plan.subgraph.inputs]
        self._ends = {t: self.view(e) for t, e in plan.ends.items()}
        for ends in self._ends.values():
            ends[...] = np.inf, -np.inf

    def _input(self, t: int) -> np.ndarray | None:
        return self.view(t) if t in self.plan.executable.offsets else None

    def view(self, t: int) -> np.ndarray:
        """Return tensor `t` in place."""
        return self.plan.executable.view(self._instance, t)

    def run(self, index: int, sample: Sample) -> None:
        """Run one sample; `index` names it in messages.

        Raises
        ------
        QuantizationError
            NaN or infinity in a measured tensor.
        KernelError
            A kernel failed.
        """
        for place, array in zip(self._inputs, sample, strict=True):
            if place is not None:
                place[...] = array
        try:
            self._instance.run()
        except KernelError as error:
            step = self.plan.executable.lowered.steps[self._instance.failed]
            if step.op == MEASURE:
                check_finite(self.plan.subgraph, step.tensors[0], self.view(step.tensors[0]), index)
            raise QuantizationError(f"sample {index}: {error}") from error

    def seen(self) -> dict[int, Ends]:
        """Return the smallest and largest value of each tensor that was measured."""
        return {t: (float(ends[0]), float(ends[1])) for t, ends in self._ends.items() if ends[0] <= ends[1]}

    def counted(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return the state of each histogram, as `HistogramTracker.take` takes it."""
        return {
            t: (self._ends[t].reshape(2, 1), self.view(c).reshape(1, -1)) for t, c in self.plan.counts.items()
        }
