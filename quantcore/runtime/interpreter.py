"""`Interpreter`: runs a model, with the method names of ``tf.lite.Interpreter``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model, Signature, Tensor
from quantcore.numerics import Profile, get_profile
from quantcore.ops.node import UnknownValueError
from quantcore.runtime._plan import Instance
from quantcore.runtime.executable import Executable
from quantcore.shape_arguments import fitting_value, governing_inputs

__all__ = ["Interpreter", "SignatureRunner"]


class Interpreter:
    """Runs one subgraph of a model.

    Parameters
    ----------
    model : Model, path or bytes-like, optional
        The model; `model_path` and `model_content` are the same thing under TFLite's names.
    numerics : str
        Numerics profile, see `quantcore.numerics`.
    num_threads : int, optional
        Threads that share the samples of a batch in `run`. Results do not depend on it.
    subgraph_index : int
        Which subgraph to run; 0 is the main one.
    experimental_preserve_all_tensors : bool
        Keep every intermediate tensor readable by `get_tensor` after `invoke`, at the cost of memory.

    Raises
    ------
    ModelFormatError
        If the model is not a valid ``.tflite`` file.
    UnsupportedOperatorError
        If it uses an operator that quantcore does not run.

    Notes
    -----
    Methods may be called from several threads; each call holds the instance's lock. Arrays are copied on
    the way in and out. Constant data is used in place, in the file's memory map, by all interpreters of
    the same `Model`.

    Examples
    --------
    >>> interpreter = Interpreter("model.tflite")      # doctest: +SKIP
    >>> scores = interpreter.run(images)               # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model | str | Path | bytes | bytearray | memoryview | None = None,
        numerics: str = "reference",
        num_threads: int | None = 1,
        *,
        model_path: str | Path | None = None,
        model_content: bytes | bytearray | memoryview | None = None,
        subgraph_index: int = 0,
        experimental_preserve_all_tensors: bool = False,
    ) -> None:
        given = [source for source in (model, model_path, model_content) if source is not None]
        if len(given) != 1:
            raise KernelError(f"got {len(given)} models; expected one of model, model_path, model_content")
        if num_threads is not None and num_threads < 1:
            raise KernelError(f"num_threads is {num_threads}; expected at least 1")
        self._model = given[0] if isinstance(given[0], Model) else read_model(given[0])
        if not 0 <= subgraph_index < len(self._model.subgraphs):
            count = len(self._model.subgraphs)
            raise KernelError(f"subgraph_index is {subgraph_index}; the model has {count}")
        self._profile = get_profile(numerics)
        self._subgraph_index = subgraph_index
        self._subgraph = self._model.subgraphs[subgraph_index]
        self._num_threads = num_threads or 1
        self._preserve_all = experimental_preserve_all_tensors
        self._lock = threading.RLock()
        self._input_shapes = {t: self._subgraph.tensors[t].shape for t in self._subgraph.inputs}
        # Inputs that shapes follow from: the plan is made for these values, and anew when they change.
        self._input_values: dict[int, np.ndarray] = {}
        self._executable = self._compile(self._input_shapes)
        self._instances: list[Instance] = []
        self._allocated = False
        self._pending_resize = False
        self._stale_values = False
        self._run_single: Callable[[Any], np.ndarray | None] | None = None

    @property
    def model(self) -> Model:
        """The model that is run."""
        return self._model

    @property
    def numerics(self) -> Profile:
        """The numerics profile."""
        return self._profile

    # Arrays in, arrays out ---------------------------------------------------------------------

    def run(self, x: Any) -> Any:
        """Run the model on `x`, which may hold any number of samples along the first axis.

        Parameters
        ----------
        x : ndarray, sequence of ndarray, or dict of str to ndarray
            An array for a model with one input; a sequence in the order of the inputs; or a dict by
            input name (of the signature, or of the tensor). Each array has the shape of its input, or a
            multiple of it along the first axis: its samples are then run one by one, so each gets what a
            run alone gives. Dtypes must match exactly.

        Returns
        -------
        ndarray, list of ndarray, or dict of str to ndarray
            For an array, an array (a list where the model has several outputs); for a sequence, a list;
            for a dict, a dict by output name.

        Raises
        ------
        KernelError
            Wrong number of inputs, name, dtype or shape.
        """
        with self._lock:
            if self._run_single is not None and (single := self._run_single(x)) is not None:
                return single
            self._recompile()
            arrays = self._ordered_inputs(x)
            count = self._sample_count(arrays)
            self._take_values(arrays)
            in_order = count < 2 or self._executable.variables
            instances = self._get_instances(1 if in_order else min(self._num_threads, count))
            outputs = self._executable.run(arrays, count, instances)
        if isinstance(x, np.ndarray):
            return outputs[0] if len(outputs) == 1 else outputs
        if isinstance(x, Mapping):
            return dict(zip(self._output_names(), outputs, strict=True))
        return outputs

    def run_all(self, x: Any) -> dict[int, np.ndarray]:
        """Run once and return every tensor that the model holds, constants included, by tensor index.

        Parameters
        ----------
        x : as for `run`
            Exactly one run: the shapes are those of the inputs.
        """
        with self._lock:
            executable, instance = self._run_keeping_all(x)
        count = len(self._subgraph.tensors)  # beyond are those of subgraphs that it calls
        tensors = sorted(t for t in (*executable.offsets, *executable.lowered.values) if t < count)
        return {t: executable.view(instance, t).copy() for t in tensors}

    def calls(self, x: Any) -> dict[int, list[list[np.ndarray]]]:
        """Run once and return, for each subgraph that operators call (WHILE, IF), its inputs in every call.

        Parameters
        ----------
        x : as for `run_all`
        """
        with self._lock:
            executable, instance = self._run_keeping_all(x)
        found: dict[int, list[list[np.ndarray]]] = {}
        for s, tensors in executable.lowered.calls:
            found.setdefault(s, []).append([executable.view(instance, t).copy() for t in tensors])
        return found

    def _run_keeping_all(self, x: Any) -> tuple[Executable, Instance]:
        """Run once in memory of its own, in which every tensor can be read afterwards."""
        self._recompile()
        arrays = self._ordered_inputs(x)
        if self._sample_count(arrays) != 1:
            raise KernelError("run_all takes exactly one run; use resize_tensor_input for a larger batch")
        self._take_values(arrays)
        executable = self._compile(dict(self._input_shapes), preserve_all=True)
        instance = executable.new_instance()
        for t, array in zip(self._subgraph.inputs, arrays, strict=True):
            if t in executable.offsets:
                executable.view(instance, t)[...] = array
        instance.run()
        return executable, instance

    # The methods of tf.lite.Interpreter ----------------------------------------------------------

    def allocate_tensors(self) -> None:
        """Prepare memory for the current input shapes."""
        with self._lock:
            self._get_instances(1)
            self._allocated = True

    def resize_tensor_input(self, input_index: int, tensor_size: Iterable[int], strict: bool = False) -> None:
        """Change the shape of an input; `allocate_tensors` must follow.

        Parameters
        ----------
        input_index : int
            Tensor index, from `get_input_details`.
        tensor_size : sequence of int
        strict : bool
            Refuse to change dimensions that the model does not mark as unknown.
        """
        with self._lock:
            self._check_input(input_index)
            shape = tuple(int(d) for d in tensor_size)
            tensor = self._subgraph.tensors[input_index]
            signature = tensor.shape_signature or tensor.shape
            if strict and (
                len(shape) != len(signature)
                or any(s not in (-1, d) for s, d in zip(signature, shape, strict=True))
            ):
                raise KernelError(f"strict: input {input_index} has shape signature {signature}; got {shape}")
            self._input_shapes[input_index] = shape
            self._allocated = False
            self._pending_resize = True
            self._run_single = None

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return one dict per input, as ``tf.lite.Interpreter`` does."""
        return [self._details(t) for t in self._subgraph.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return one dict per output, as ``tf.lite.Interpreter`` does."""
        return [self._details(t) for t in self._subgraph.outputs]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Return one dict per tensor, as ``tf.lite.Interpreter`` does."""
        return [self._details(t) for t in range(len(self._subgraph.tensors))]

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy `value` into an input (or state) tensor.

        Raises
        ------
        KernelError
            Before `allocate_tensors`; for a tensor that cannot be set; wrong dtype or shape.
        """
        with self._lock:
            instance = self._ready_instance("set_tensor")
            if tensor_index not in self._executable.variables:
                self._check_input(tensor_index)
            array = np.asarray(value)
            self._check_array(array, tensor_index)
            shape = self._executable.lowered.shapes[tensor_index]
            if array.shape != shape:
                raise KernelError(
                    f"{self._describe(tensor_index)} has shape {shape}, got {array.shape}; "
                    "resize_tensor_input changes it"
                )
            if tensor_index in self._input_values:
                self._set_value(tensor_index, array)
            elif tensor_index in self._executable.offsets:
                self._executable.view(instance, tensor_index)[...] = array

    def invoke(self) -> None:
        """Run the model once on the tensors that were set."""
        with self._lock:
            self._ready_instance("invoke")
            if self._stale_values:
                self._replan()
            self._instances[0].run()

    def get_tensor(self, tensor_index: int, subgraph_index: int | None = None) -> np.ndarray:
        """Return a copy of a tensor.

        Raises
        ------
        KernelError
            Before `allocate_tensors`, or for an intermediate tensor whose memory has been reused (ask for
            ``experimental_preserve_all_tensors=True``, or use `run_all`).
        """
        with self._lock:
            if subgraph_index not in (None, self._subgraph_index):
                own = self._subgraph_index
                raise KernelError(f"this interpreter runs subgraph {own}, not {subgraph_index}")
            instance = self._ready_instance("get_tensor")
            self._check_readable(tensor_index)
            if tensor_index in self._input_values:
                return self._input_values[tensor_index].copy()
            return self._executable.view(instance, tensor_index).copy()

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray]:
        """Return a function that gives a view of the tensor's memory, valid until the next resize."""

        def view() -> np.ndarray:
            with self._lock:
                instance = self._ready_instance("tensor")
                self._check_readable(tensor_index)
                return self._executable.view(instance, tensor_index)

        return view

    def reset_all_variables(self) -> None:
        """Set all state tensors to their initial value."""
        with self._lock:
            for instance in self._instances:
                self._executable.reset(instance)

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Return ``{key: {"inputs": names, "outputs": names}}``, as ``tf.lite.Interpreter`` does."""
        return {
            s.key: {"inputs": sorted(s.inputs), "outputs": sorted(s.outputs)} for s in self._model.signatures
        }

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """Return a callable for a signature; the key may be omitted where there is only one.

        Raises
        ------
        KernelError
            If there is no such signature; the message lists the known ones.
        """
        signatures = {s.key: s for s in self._model.signatures}
        if signature_key is None and len(signatures) == 1:
            signature_key = next(iter(signatures))
        if signature_key not in signatures:
            known = ", ".join(repr(key) for key in signatures) or "none"
            raise KernelError(f"no signature {signature_key!r} in the model; it has: {known}")
        signature = signatures[signature_key]
        if signature.subgraph_index == self._subgraph_index:
            return SignatureRunner(self, signature)
        other = Interpreter(
            self._model, self._profile.name, self._num_threads, subgraph_index=signature.subgraph_index
        )
        return SignatureRunner(other, signature)

    # Inside --------------------------------------------------------------------------------------

    def _compile(self, shapes: Mapping[int, tuple[int, ...]], preserve_all: bool | None = None) -> Executable:
        keep = self._preserve_all if preserve_all is None else preserve_all
        while True:
            try:
                return Executable(
                    self._model,
                    self._subgraph_index,
                    shapes,
                    self._profile,
                    input_values=self._input_values,
                    preserve_all=keep,
                )
            except UnknownValueError as error:
                missing = governing_inputs(self._subgraph, error.tensor) - self._input_values.keys()
                if not missing:
                    raise
                self._input_values.update((t, self._provisional_value(t, shapes[t])) for t in missing)

    def _provisional_value(self, t: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return what stands for an input that shapes follow from until it is set."""
        fitting = fitting_value(self._subgraph, t)
        if fitting is not None and fitting.shape == shape:
            return fitting
        return np.zeros(shape, self._subgraph.tensors[t].dtype)

    def _recompile(self) -> None:
        """Lower the model anew if an input was resized since."""
        if self._pending_resize:
            for t, value in list(self._input_values.items()):
                if value.shape != self._input_shapes[t]:
                    del self._input_values[t]
            self._executable = self._compile(self._input_shapes)
            self._instances = []
            self._pending_resize = self._stale_values = False
            self._run_single = None

    def _set_value(self, t: int, value: np.ndarray) -> None:
        """Note the value of an input that shapes follow from."""
        if not np.array_equal(value, self._input_values[t]):
            self._input_values[t] = value.copy()
            self._stale_values = True

    def _take_values(self, arrays: Sequence[np.ndarray]) -> None:
        """Make the plan fit the inputs that shapes follow from."""
        if not self._input_values:
            return
        for t, array in zip(self._subgraph.inputs, arrays, strict=True):
            if t in self._input_values:
                self._set_value(t, array)
        if self._stale_values:
            self._replan()

    def _replan(self) -> None:
        """Lower the model anew for changed values; inputs and state that have been set stay."""
        before, executable = self._executable, self._compile(self._input_shapes)
        instances = [executable.new_instance() for _ in self._instances]
        for old, new in zip(self._instances, instances, strict=True):
            for t in (*self._subgraph.inputs, *before.variables):
                if t in before.offsets and t in executable.offsets:
                    executable.view(new, t)[...] = before.view(old, t)
        self._executable, self._instances = executable, instances
        self._stale_values = False
        self._run_single = executable.single(instances[0]) if instances else None

    def _get_instances(self, count: int) -> list[Instance]:
        """Return `count` instances for the current shapes; the first is the one `set_tensor` writes to."""
        self._recompile()
        while len(self._instances) < count:
            self._instances.append(self._executable.new_instance())
            self._run_single = self._executable.single(self._instances[0])
        return self._instances[:count]

    def _ready_instance(self, what: str) -> Instance:
        if not self._allocated:
            raise KernelError(f"{what}: call allocate_tensors() first")
        return self._instances[0]

    def _signature(self) -> Signature | None:
        return next((s for s in self._model.signatures if s.subgraph_index == self._subgraph_index), None)

    def _output_names(self) -> list[str]:
        signature = self._signature()
        by_tensor = {t: name for name, t in signature.outputs.items()} if signature else {}
        return [by_tensor.get(t, self._subgraph.tensors[t].name) for t in self._subgraph.outputs]

    def _ordered_inputs(self, x: Any) -> list[np.ndarray]:
        """Return `x` as one checked, C-contiguous array per graph input."""
        values: Sequence[Any]
        if isinstance(x, np.ndarray):
            values = (x,)
        elif isinstance(x, Mapping):
            values = self._inputs_by_name(x)
        elif isinstance(x, (list, tuple)):
            values = x
        else:
            values = (x,)
        inputs = self._subgraph.inputs
        if len(values) != len(inputs):
            raise KernelError(f"the model has {len(inputs)} inputs, got {len(values)} arrays")
        arrays = [np.asarray(value, order="C") for value in values]
        if [array.dtype for array in arrays] != self._executable.input_dtypes:
            for t, array in zip(inputs, arrays, strict=True):
                self._check_array(array, t)
        return arrays

    def _inputs_by_name(self, x: Mapping[str, Any]) -> list[Any]:
        signature = self._signature()
        by_name = {self._subgraph.tensors[t].name: t for t in self._subgraph.inputs}
        by_name.update(signature.inputs if signature else {})
        unknown = [name for name in x if name not in by_name]
        given = {by_name[name]: value for name, value in x.items() if name not in unknown}
        missing = [self._subgraph.tensors[t].name for t in self._subgraph.inputs if t not in given]
        if unknown or missing:
            known = ", ".join(by_name)
            raise KernelError(f"unknown inputs {unknown}, missing {missing}; known names: {known}")
        return [given[t] for t in self._subgraph.inputs]

    def _sample_count(self, arrays: Sequence[np.ndarray]) -> int:
        """Return how many runs `arrays` hold; all inputs must agree."""
        shapes = self._executable.input_shapes
        if [array.shape for array in arrays] == shapes:
            return 1
        counts = set()
        for t, array, shape in zip(self._subgraph.inputs, arrays, shapes, strict=True):
            if array.shape == shape:
                counts |= set() if t in self._input_values else {1}
            elif shape and array.shape[1:] == shape[1:] and shape[0] and array.shape[0] % shape[0] == 0:
                counts.add(array.shape[0] // shape[0])
            else:
                raise KernelError(
                    f"{self._describe(t)} has shape {shape}, or a multiple along the first axis; "
                    f"got {array.shape}"
                )
        if len(counts) > 1:
            raise KernelError(f"the inputs hold different numbers of samples: {sorted(counts)}")
        return counts.pop() if counts else 1

    def _check_array(self, array: np.ndarray, t: int) -> None:
        expected = self._executable.dtypes[t]
        if array.dtype != expected:
            raise KernelError(
                f"{self._describe(t)} has dtype {expected}, got {array.dtype}; convert it explicitly"
            )

    def _check_input(self, t: int) -> None:
        if t not in self._subgraph.inputs:
            raise KernelError(f"tensor {t} is not an input; the inputs are {list(self._subgraph.inputs)}")

    def _check_readable(self, t: int) -> None:
        executable = self._executable
        kept = executable.preserve_all or t in (
            *self._subgraph.inputs, *self._subgraph.outputs, *executable.variables, *executable.lowered.values
        )  # fmt: skip
        if not 0 <= t < len(self._subgraph.tensors):
            raise KernelError(f"no tensor {t}; the subgraph has {len(self._subgraph.tensors)}")
        if not kept:
            raise KernelError(
                f"tensor {t} shares its memory with others; use run_all, or "
                "experimental_preserve_all_tensors=True"
            )

    def _describe(self, t: int) -> str:
        return f"input tensor {t} ({self._subgraph.tensors[t].name!r})"

    def _details(self, t: int) -> dict[str, Any]:
        tensor: Tensor = self._subgraph.tensors[t]
        shape = self._executable.lowered.shapes.get(t, tensor.shape)
        if t in self._input_shapes:
            shape = self._input_shapes[t]
        quantization = tensor.quantization
        scales = np.array([], np.float32) if quantization is None else np.array(quantization.scale)
        zero_points = np.array([], np.int32)
        if quantization is not None:
            zero_points = quantization.zero_point.astype(np.int32)
        single = scales.size == 1
        dtype: Any = SPECIAL_TYPES.get(tensor.dtype)
        if tensor.dtype not in SPECIAL_TYPES:
            dtype = np.dtype(tensor.dtype).type
        return {
            "name": tensor.name,
            "index": t,
            "shape": np.array(shape, dtype=np.int32),
            "shape_signature": np.array(tensor.shape_signature or shape, dtype=np.int32),
            "dtype": dtype,
            "quantization": (float(scales[0]), int(zero_points[0])) if single else (0.0, 0),
            "quantization_parameters": {
                "scales": scales,
                "zero_points": zero_points,
                "quantized_dimension": 0 if quantization is None else quantization.quantized_dimension,
            },
            "sparsity_parameters": tensor.sparsity or {},
        }


SPECIAL_TYPES = {"string": np.bytes_, "int4": np.int8, "uint4": np.uint8, "int2": np.int8}


class SignatureRunner:
    """Runs a signature: keyword arguments in, dict out, by the signature's names."""

    def __init__(self, interpreter: Interpreter, signature: Signature) -> None:
        self._interpreter = interpreter
        self._signature = signature

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Run once; each input may have any shape that the model can be resized to."""
        expected, given = set(self._signature.inputs), set(inputs)
        if expected != given:
            key = self._signature.key
            raise KernelError(f"signature {key!r} takes {sorted(expected)}, got {sorted(given)}")
        interpreter = self._interpreter
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        with interpreter._lock:
            for name, t in self._signature.inputs.items():
                if interpreter._input_shapes[t] != arrays[name].shape:
                    interpreter.resize_tensor_input(t, arrays[name].shape)
            interpreter.allocate_tensors()
            for name, t in self._signature.inputs.items():
                interpreter.set_tensor(t, arrays[name])
            interpreter.invoke()
            return {name: interpreter.get_tensor(t) for name, t in self._signature.outputs.items()}

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of each input by name."""
        return {name: self._interpreter._details(t) for name, t in self._signature.inputs.items()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of each output by name."""
        return {name: self._interpreter._details(t) for name, t in self._signature.outputs.items()}
