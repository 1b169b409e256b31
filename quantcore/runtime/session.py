"""A subgraph with its plan and memory, for the input shapes and values of the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from quantcore.custom_kernels import Kernel, KernelTable
from quantcore.errors import KernelError
from quantcore.graph import Model
from quantcore.numerics import Profile
from quantcore.runtime._lock import Lock
from quantcore.runtime._plan import Instance, get_thread_limit
from quantcore.runtime.arguments import Arguments
from quantcore.runtime.details import tensor_details
from quantcore.runtime.executable import Executable
from quantcore.shape_arguments import fitting_value

__all__ = ["Session"]


class Session:
    """A subgraph that is ready to run: planned anew when shapes, or values that shapes follow from, change.

    Parameters
    ----------
    model : Model
    subgraph_index : int
    profile : Profile
    preserve_all : bool
        Keep every tensor readable after a run.
    threads : int
        How many threads share the samples of `run`, or a run where there are fewer samples.
    kernels : KernelTable, optional
        Kernels of the user's.

    Attributes
    ----------
    lock : Lock
        To be held by whoever calls a method.
    arguments : Arguments
    input_shapes : dict of int to tuple
        Shapes that the inputs are to have; those of the plan, but for inputs that were resized since.
    run_single : callable or None
        The short way to run one sample, where there is one: `Instance.run_single`.
    invoke_instance : callable or None
        The short way to `invoke`, where there is one: `Instance.invoke`. Both short ways take the lock
        themselves, and return None or False where it is too late for them.
    """

    def __init__(
        self,
        model: Model,
        subgraph_index: int,
        profile: Profile,
        preserve_all: bool,
        threads: int = 1,
        kernels: KernelTable | None = None,
    ) -> None:
        if not 0 <= subgraph_index < len(model.subgraphs):
            raise KernelError(f"subgraph_index is {subgraph_index}; the model has {len(model.subgraphs)}")
        self.model, self.subgraph_index, self.profile = model, subgraph_index, profile
        self.subgraph = model.subgraphs[subgraph_index]
        self.preserve_all, self.threads = preserve_all, threads
        self.kernels = kernels
        self.lock = Lock()
        self.arguments = Arguments(model, subgraph_index)
        self.input_shapes = {t: self.subgraph.tensors[t].shape for t in self.subgraph.inputs}
        # Inputs that shapes follow from: the plan is made for these values, and anew when they change.
        self._input_values: dict[int, np.ndarray] = {}
        self._executable = self._compile(preserve_all)
        self._instances: list[Instance] = []  # the first one holds what `set` writes
        self._allocated = self._resized = self._stale_values = False
        self.run_single: Callable[[Any], Any] | None = None
        self.invoke_instance: Callable[[], bool] | None = None
        # Inputs, outputs and state in place, until a plan is made anew: what is set and read in a loop.
        self._views: dict[int, np.ndarray] = {}

    # Arrays in, arrays out ---------------------------------------------------------------------

    def run(self, x: Any) -> list[np.ndarray]:
        """Run any number of samples; see `Interpreter.run`."""
        arrays = self._arrays(x)
        count = self._sample_count(arrays)
        self._take_values(arrays)
        threads = min(self.threads, get_thread_limit())
        shared = count >= threads and not self._executable.variables
        instances = self._get_instances(threads if shared else 1)
        return self._executable.run(arrays, count, instances)

    def run_keeping_all(self, x: Any) -> tuple[Executable, Instance]:
        """Run once in memory of its own, in which every tensor can be read afterwards."""
        arrays = self._arrays(x)
        if self._sample_count(arrays) != 1:
            raise KernelError("run_all takes exactly one run; use resize_tensor_input for a larger batch")
        self._take_values(arrays)
        executable = self._compile(preserve_all=True)
        instance = executable.new_instance()
        for t, array in zip(self.subgraph.inputs, arrays, strict=True):
            if t in executable.offsets:
                executable.view(instance, t)[...] = array
        instance.run()
        return executable, instance

    def time_steps(self, x: Any, turns: int) -> tuple[Executable, np.ndarray]:
        """Run samples, `turns` times each, in the memory that `run` uses, and time every step.

        Returns
        -------
        executable : Executable
        seconds : ndarray of float64, shape (turns * samples, steps)
        """
        arrays = self._arrays(x)
        count = self._sample_count(arrays)
        self._take_values(arrays)
        (instance,) = self._get_instances(1)
        clock = np.empty((turns, count, instance.plan.count + 2))
        for times in clock:
            instance.time_steps(arrays, times)
        differences = np.diff(clock.reshape(turns * count, -1), axis=1)
        reading = np.median(differences[:, -1]) if differences.size else 0.0
        return self._executable, np.maximum(differences[:, :-1] - reading, 0.0)

    def _arrays(self, x: Any) -> list[np.ndarray]:
        self._recompile()
        return self.arguments.ordered(x, self._executable.input_dtypes)

    def _sample_count(self, arrays: Sequence[np.ndarray]) -> int:
        return self.arguments.sample_count(arrays, self._executable.input_shapes, self._input_values)

    # Tensor by tensor ----------------------------------------------------------------------------

    def allocate(self) -> None:
        """Prepare memory for the current input shapes."""
        self._recompile()
        self._get_instances(1)
        self._allocated = True
        self._keep_views()

    def resize(self, t: int, tensor_size: Iterable[int], strict: bool = False) -> None:
        """Change the shape of an input; `allocate` must follow."""
        self.arguments.check_input(t)
        shape = tuple(int(d) for d in tensor_size)
        tensor = self.subgraph.tensors[t]
        signature = tensor.shape_signature or tensor.shape
        if strict and (
            len(shape) != len(signature)
            or any(s not in (-1, d) for s, d in zip(signature, shape, strict=True))
        ):
            raise KernelError(f"strict: input {t} has shape signature {signature}; got {shape}")
        self.input_shapes[t] = shape
        self._allocated = False
        self._resized = True
        self._retire_instances()
        self._views = {}

    def set(self, t: int, value: Any) -> None:
        """Copy `value` into an input or state tensor."""
        view = self._views.get(t)
        if (
            view is not None
            and type(value) is np.ndarray
            and value.shape == view.shape
            and value.dtype == view.dtype
            and t not in self.subgraph.outputs
        ):
            view[...] = value
            return
        self._check_allocated("set_tensor")
        if t not in self._executable.variables:
            self.arguments.check_input(t)
        array = np.asarray(value)
        self.arguments.check_dtype(t, array, self._executable.dtypes[t])
        shape = self._executable.lowered.shapes[t]
        if array.shape != shape:
            raise KernelError(
                f"{self.arguments.describe(t)} has shape {shape}, got {array.shape}; "
                "resize_tensor_input changes it"
            )
        if t in self._input_values:
            self._set_value(t, array)
        elif t in self._executable.offsets:
            self._executable.view(self._instances[0], t)[...] = array

    def invoke(self) -> None:
        """Run once on what was set."""
        if not self._allocated or self._stale_values:
            self._check_allocated("invoke")
            self._replan()
        self._instances[0].run()

    def get(self, t: int) -> np.ndarray:
        """Return a copy of a tensor."""
        if t in self._views:
            return self._views[t].copy()
        view = self.view(t, "get_tensor")
        return self._input_values[t].copy() if t in self._input_values else view.copy()

    def view(self, t: int, what: str) -> np.ndarray:
        """Return a tensor in place; `what` names the method in messages."""
        self._check_allocated(what)
        if not 0 <= t < len(self.subgraph.tensors):
            raise KernelError(f"no tensor {t}; the subgraph has {len(self.subgraph.tensors)}")
        if not self._executable.keeps(t):
            raise KernelError(
                f"tensor {t} shares its memory with others; use run_all, or "
                "experimental_preserve_all_tensors=True"
            )
        return self._executable.view(self._instances[0], t)

    def reset(self) -> None:
        """Set all state to its initial value."""
        for instance in self._instances:
            self._executable.reset(instance)

    def details(self, t: int) -> dict[str, Any]:
        """Return what ``tf.lite.Interpreter`` tells about a tensor; an input has the shape it is to have."""
        tensor = self.subgraph.tensors[t]
        planned = self._executable.lowered.shapes.get(t, tensor.shape)
        return tensor_details(tensor, t, self.input_shapes.get(t, planned))

    def _check_allocated(self, what: str) -> None:
        if not self._allocated:
            raise KernelError(f"{what}: call allocate_tensors() first")

    # Planning ------------------------------------------------------------------------------------

    def _compile(self, preserve_all: bool) -> Executable:
        return Executable(
            self.model,
            self.subgraph_index,
            self.input_shapes,
            self.profile,
            input_values=self._input_values,
            value_of=self._provisional_value,
            preserve_all=preserve_all,
            threads=self.threads,
            kernels=self.kernels,
        )

    @property
    def used_kernels(self) -> dict[tuple[int, int], Kernel]:
        """The user's kernels, by subgraph and operator."""
        return self._executable.lowered.kernels

    def _provisional_value(self, t: int) -> np.ndarray:
        """Return what stands for an input that shapes follow from until it is set."""
        shape = self.input_shapes[t]
        fitting = fitting_value(self.subgraph, t)
        if fitting is not None and fitting.shape == shape:
            return fitting
        return np.zeros(shape, self.subgraph.tensors[t].dtype)

    def _recompile(self) -> None:
        """Plan anew if an input was resized since."""
        if not self._resized:
            return
        for t, value in list(self._input_values.items()):
            if value.shape != self.input_shapes[t]:
                del self._input_values[t]
        self._executable = self._compile(self.preserve_all)
        self._instances = []
        self._resized = self._stale_values = False

    def _get_instances(self, count: int) -> list[Instance]:
        """Return memory for `count` threads; the first is where tensors are set and read."""
        while len(self._instances) < count:
            self._instances.append(self._executable.new_instance(self.lock))
            self.run_single = self._executable.single(self._instances[0])
        return self._instances[:count]

    def _retire_instances(self) -> None:
        """See that nobody runs the instances any more who did not hold the lock when it looked for them."""
        for instance in self._instances:
            instance.current = False
        self.run_single = self.invoke_instance = None

    def _set_value(self, t: int, value: np.ndarray) -> None:
        """Note the value of an input that shapes follow from."""
        if not np.array_equal(value, self._input_values[t]):
            self._input_values[t] = value.copy()
            self._stale_values = True
            self._retire_instances()

    def _take_values(self, arrays: Sequence[np.ndarray]) -> None:
        """Make the plan fit the inputs that shapes follow from."""
        if not self._input_values:
            return
        for t, array in zip(self.subgraph.inputs, arrays, strict=True):
            if t in self._input_values:
                self._set_value(t, array)
        if self._stale_values:
            self._replan()

    def _replan(self) -> None:
        """Plan anew for changed values; inputs and state that have been set stay."""
        before, executable = self._executable, self._compile(self.preserve_all)
        instances = [executable.new_instance(self.lock) for _ in self._instances]
        for old, new in zip(self._instances, instances, strict=True):
            for t in (*self.subgraph.inputs, *before.variables):
                if t in before.offsets and t in executable.offsets:
                    executable.view(new, t)[...] = before.view(old, t)
        self._retire_instances()
        self._executable, self._instances = executable, instances
        self._stale_values = False
        self.run_single = executable.single(instances[0]) if instances else None
        self._keep_views()

    def _keep_views(self) -> None:
        """See that tensors of the plan can be set and read, and the plan be run, without looking for them."""
        executable = self._executable
        self.invoke_instance = self._instances[0].invoke if self._allocated else None
        lasting = {*self.subgraph.inputs, *self.subgraph.outputs, *executable.variables}
        self._views = {
            t: executable.view(self._instances[0], t)
            for t in lasting
            if self._allocated and t in executable.offsets and t not in self._input_values
        }
