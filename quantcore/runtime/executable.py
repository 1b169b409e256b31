"""A lowered subgraph with its memory laid out, ready to run on arrays."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from quantcore.custom_kernels import KernelTable
from quantcore.errors import KernelError
from quantcore.graph import Model
from quantcore.numerics import Profile
from quantcore.ops.node import UnknownValueError
from quantcore.runtime._lock import Lock
from quantcore.runtime._plan import Instance, Plan
from quantcore.runtime.arena import Lifetime, place
from quantcore.runtime.lowered import Lowered
from quantcore.runtime.lowering import contiguous, lower, numpy_dtype
from quantcore.runtime.sharing import Sharing
from quantcore.runtime.state import initial_state
from quantcore.shape_arguments import governing_inputs

__all__ = ["Executable"]


class Executable:
    """A subgraph for given input shapes: plan, arena layout and constants, shared by all threads.

    Parameters
    ----------
    model : Model
    subgraph_index : int
    input_shapes : dict of int to tuple
    profile : Profile
    input_values : dict of int to ndarray
        Graph inputs that shapes follow from: the plan holds for these values only. Those that turn out to be
        needed are added, as `value_of` gives them.
    value_of : callable
        From a graph input to the value that the plan is to be made for.
    preserve_all : bool
        Give every tensor memory of its own, so that all can be read after a run.
    threads : int
        How many threads may share a run.
    extend : callable, optional
        Is given the lowered subgraph before memory is laid out, and may add tensors and steps of its own.
    kernels : KernelTable, optional
        Kernels of the user's.

    Raises
    ------
    UnsupportedOperatorError, KernelError, ModelFormatError
        See `quantcore.runtime.lowering.lower`. KernelError also where the tensors do not fit in memory.
    """

    def __init__(
        self,
        model: Model,
        subgraph_index: int,
        input_shapes: Mapping[int, tuple[int, ...]],
        profile: Profile,
        *,
        input_values: dict[int, np.ndarray],
        value_of: Callable[[int], np.ndarray],
        preserve_all: bool,
        threads: int = 1,
        extend: Callable[[Lowered], None] | None = None,
        kernels: KernelTable | None = None,
    ) -> None:
        self.subgraph = model.subgraphs[subgraph_index]
        self.preserve_all = preserve_all
        self.shares = not preserve_all and extend is None
        while True:
            try:
                self.lowered: Lowered = lower(
                    model, subgraph_index, input_shapes, profile, input_values,
                    fuse=self.shares, kernels=kernels,
                )  # fmt: skip
                break
            except UnknownValueError as error:
                missing = governing_inputs(self.subgraph, error.tensor) - input_values.keys()
                if not missing:
                    raise
                input_values.update((t, value_of(t)) for t in missing)
        if extend is not None:
            extend(self.lowered)
        self.dtypes = {
            t: numpy_dtype(self.lowered.tensors[t], t)
            for t in self.lowered.shapes
            if t not in self.lowered.values or t in (*self.subgraph.inputs, *self.subgraph.outputs)
        }
        self.variables = tuple(t for t, tensor in enumerate(self.lowered.tensors) if tensor.is_variable)
        self.offsets, arena_bytes = self._lay_out()
        self.plan = self._plan(arena_bytes, threads)
        self.input_shapes = [self.lowered.shapes[t] for t in self.subgraph.inputs]
        self.input_dtypes = [self.dtypes[t] for t in self.subgraph.inputs]

    def nbytes(self, t: int) -> int:
        """Size in bytes of run-time tensor `t`."""
        return int(np.prod(self.lowered.shapes[t], dtype=np.int64)) * self.dtypes[t].itemsize

    def _lay_out(self) -> tuple[dict[int, int], int]:
        """Return where each tensor lies in the arena, and the size of that, in bytes."""
        ports = {*self.subgraph.inputs, *self.subgraph.outputs}
        self.sharing = sharing = Sharing(self.lowered, ports, self.variables, self.nbytes)
        if self.shares:
            sharing.find()
        spans = sharing.spans()
        if self.preserve_all:
            spans = dict.fromkeys(spans, (0, len(self.lowered.steps)))
        begins, arena_bytes = place({t: Lifetime(self.nbytes(t), *span) for t, span in spans.items()})
        places = {t: sharing.place(t) for t in self.dtypes}
        return {t: begins[owner] + at for t, (owner, at) in places.items() if owner in begins}, arena_bytes

    def _plan(self, arena_bytes: int, threads: int) -> Plan:
        constants = {t: contiguous(value) for t, value in self.lowered.values.items()}

        def place_of(t: int) -> np.ndarray | int | None:
            """Return the constant, or the offset in the arena; None for an omitted input."""
            return None if t < 0 else constants[t] if t in constants else self.offsets[t]

        calls = [(step.call, [place_of(t) for t in step.tensors]) for step in self.lowered.steps]
        inputs, outputs = (
            [(self.offsets[t], self.nbytes(t)) if t in self.offsets else None for t in tensors]
            for tensors in (self.subgraph.inputs, self.subgraph.outputs)
        )
        names = [step.name for step in self.lowered.steps]
        custom = {i: step.custom for i, step in enumerate(self.lowered.steps) if step.custom is not None}
        for i, kernel in custom.items():
            known = enumerate(self.lowered.steps[i].tensors)
            kernel.constants = {position: constants[t] for position, t in known if t in constants}
        return Plan(calls, arena_bytes, names, inputs, outputs, threads, custom)

    def new_instance(self, lock: Lock | None = None) -> Instance:
        """Return fresh memory for one thread, with the state tensors at their initial value.

        `lock` is to be held by who runs it.
        """
        try:
            instance = Instance(self.plan, lock)
        except MemoryError:
            raise KernelError(
                f"the tensors of the model need {self.plan.arena_bytes} bytes, more than can be allocated"
            ) from None
        self.reset(instance)
        return instance

    def single(self, instance: Instance) -> Callable[[Any], Any] | None:
        """Return the short way to run one sample on `instance`, where nothing about the inputs is known."""
        inputs = list(zip(self.input_shapes, self.input_dtypes, strict=True))
        outputs = [(self.lowered.shapes[t], self.dtypes[t]) for t in self.subgraph.outputs]
        return instance.run_single if instance.set_single(inputs, outputs) else None

    def reset(self, instance: Instance) -> None:
        """Set the state tensors to their initial value."""
        for t in self.variables:
            if t in self.offsets:
                self.view(instance, t)[...] = initial_state(self.lowered.tensors[t])

    def keeps(self, t: int) -> bool:
        """Whether tensor `t` can be read after a run: nothing else has been written to its memory."""
        lasting = (*self.subgraph.inputs, *self.subgraph.outputs, *self.variables)
        return self.preserve_all or t in lasting or t in self.lowered.values

    def view(self, instance: Instance, t: int) -> np.ndarray:
        """Return tensor `t` as an array over the instance's memory, or its known value (read-only)."""
        if t in self.lowered.values:
            value = self.lowered.values[t].view()
            value.flags.writeable = False
            return value
        if t not in self.offsets:
            raise KernelError(f"tensor {t} is not computed by this model")
        offset = self.offsets[t]
        raw = instance.arena[offset : offset + self.nbytes(t)]
        view: np.ndarray = raw.view(self.dtypes[t]).reshape(self.lowered.shapes[t])
        return view

    def run(
        self, inputs: Sequence[np.ndarray], count: int, instances: Sequence[Instance]
    ) -> list[np.ndarray]:
        """Run `count` independent samples, spread over `instances`, one thread each; they share runs on one.

        Parameters
        ----------
        inputs : sequence of ndarray
            One C-contiguous array per graph input, with `count` samples along the first axis.
        count : int
        instances : sequence of Instance

        Returns
        -------
        list of ndarray
            One array per graph output, samples joined along the first axis.
        """
        outputs = [self._empty_output(t, count) for t in self.subgraph.outputs]
        if len(instances) == 1:
            instances[0].run_batch(inputs, outputs, 0, count)
            return outputs
        # Work is taken in small parts, so that a slow core does not hold up the others.
        part = max(1, min(64, -(-count // (4 * len(instances)))))
        parts: queue.SimpleQueue[int] = queue.SimpleQueue()
        for start in range(0, count, part):
            parts.put(start)

        def work(instance: Instance) -> None:
            while True:
                try:
                    start = parts.get_nowait()
                except queue.Empty:
                    return
                instance.run_batch(inputs, outputs, start, min(part, count - start), alone=True)

        with ThreadPoolExecutor(len(instances)) as pool:
            list(pool.map(work, instances))
        return outputs

    def _empty_output(self, t: int, count: int) -> np.ndarray:
        shape = self.lowered.shapes[t]
        batched = shape if count == 1 else (count * shape[0], *shape[1:]) if shape else (count,)
        if t in self.lowered.values:
            value = self.lowered.values[t]
            return np.concatenate([np.atleast_1d(value)] * count) if count != 1 else value.copy()
        return np.empty(batched, self.dtypes[t])
