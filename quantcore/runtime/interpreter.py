"""`Interpreter`: runs a model, with the method names of ``tf.lite.Interpreter``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.custom_kernels import Kernel, KernelTable
from quantcore.custom_kernels.keys import kernel_name
from quantcore.errors import KernelError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.numerics import Profile, get_profile
from quantcore.runtime.session import Session
from quantcore.runtime.signature_runner import SignatureRunner
from quantcore.runtime.threads import resolve_threads

__all__ = ["Interpreter"]


class Interpreter:
    """Runs one subgraph of a model.

    Parameters
    ----------
    model : Model, path or bytes-like, optional
        The model; `model_path` and `model_content` are the same thing under TFLite's names.
    numerics : str
        Numerics profile, see `quantcore.numerics`.
    num_threads : int, optional
        Threads that share the samples of a batch in `run`, or the work of a single run; None and -1 for one
        per core. `threadpoolctl.threadpool_limits` limits it. Results do not depend on it.
    subgraph_index : int
        Which subgraph to run; 0 is the main one.
    experimental_preserve_all_tensors : bool
        Keep every intermediate tensor readable by `get_tensor` after `invoke`, at the cost of memory.
    kernels : mapping, optional
        Kernels of yours that compute operators of the model: ``{"CONV_2D": k, 7: k2, "block_3/*": k3}``. A
        key is the name of an operator (or the code of a custom operator), its index, or a pattern of the name
        of its first output; an index goes before a pattern, and that before a name. A kernel is a
        `quantcore.CKernel`, or a Python callable ``kernel(op, inputs, outputs)``. See docs/custom_kernels.md.

    Raises
    ------
    ModelFormatError
        If the model is not a valid ``.tflite`` file.
    UnsupportedOperatorError
        If it uses an operator that quantcore does not run.
    KernelError
        If a kernel of yours fits no operator that its key names.

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
        kernels: Mapping[str | int, Kernel] | KernelTable | None = None,
    ) -> None:
        given = [source for source in (model, model_path, model_content) if source is not None]
        if len(given) != 1:
            raise KernelError(f"got {len(given)} models; expected one of model, model_path, model_content")
        threads = resolve_threads(num_threads)
        read = given[0] if isinstance(given[0], Model) else read_model(given[0])
        profile = get_profile(numerics)
        self._session = Session(
            read, subgraph_index, profile, experimental_preserve_all_tensors, threads,
            kernels=kernels if isinstance(kernels, KernelTable | None) else KernelTable(kernels),
        )  # fmt: skip
        self._lock = self._session.lock

    def __repr__(self) -> str:
        custom = f"; {self.describe_kernels()}" if self.kernels else ""
        return f"<Interpreter of {self.model.source}, {self.numerics.name}{custom}>"

    def describe_kernels(self) -> str:
        """Return which operators your kernels compute, in words."""
        operators: dict[str, list[str]] = {}
        for index, kernel in self.kernels.items():
            operators.setdefault(kernel_name(kernel), []).append(str(index))
        return "; ".join(
            f"{name} computes {'operator' if len(where) == 1 else 'operators'} {', '.join(where)}"
            for name, where in operators.items()
        )

    @property
    def kernels(self) -> dict[int | tuple[int, int], Kernel]:
        """Your kernels by operator; by ``(subgraph, operator)`` for those of subgraphs that are called."""
        own = self._session.subgraph_index
        return {i if s == own else (s, i): kernel for (s, i), kernel in self._session.used_kernels.items()}

    @property
    def model(self) -> Model:
        """The model that is run."""
        return self._session.model

    @property
    def numerics(self) -> Profile:
        """The numerics profile."""
        return self._session.profile

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
        session = self._session
        short_way = session.run_single
        if short_way is not None and (single := short_way(x)) is not None:
            return single
        with self._lock:
            outputs = session.run(x)
        if isinstance(x, np.ndarray):
            return outputs[0] if len(outputs) == 1 else outputs
        if isinstance(x, Mapping):
            return dict(zip(session.arguments.output_names(), outputs, strict=True))
        return outputs

    def run_all(self, x: Any) -> dict[int, np.ndarray]:
        """Run once and return every tensor that the model holds, constants included, by tensor index.

        Parameters
        ----------
        x : as for `run`
            Exactly one run: the shapes are those of the inputs.
        """
        with self._lock:
            executable, instance = self._session.run_keeping_all(x)
        count = len(self._session.subgraph.tensors)  # beyond are those of subgraphs that it calls
        tensors = sorted(t for t in (*executable.offsets, *executable.lowered.values) if t < count)
        return {t: executable.view(instance, t).copy() for t in tensors}

    def calls(self, x: Any) -> dict[int, list[list[np.ndarray]]]:
        """Run once and return, for each subgraph that operators call (WHILE, IF), its inputs in every call.

        Parameters
        ----------
        x : as for `run_all`
        """
        with self._lock:
            executable, instance = self._session.run_keeping_all(x)
        found: dict[int, list[list[np.ndarray]]] = {}
        for s, tensors in executable.lowered.calls:
            found.setdefault(s, []).append([executable.view(instance, t).copy() for t in tensors])
        return found

    # The methods of tf.lite.Interpreter ----------------------------------------------------------

    def allocate_tensors(self) -> None:
        """Prepare memory for the current input shapes."""
        with self._lock:
            self._session.allocate()

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
            self._session.resize(input_index, tensor_size, strict)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return one dict per input, as ``tf.lite.Interpreter`` does."""
        return [self._session.details(t) for t in self._session.subgraph.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return one dict per output, as ``tf.lite.Interpreter`` does."""
        return [self._session.details(t) for t in self._session.subgraph.outputs]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Return one dict per tensor, as ``tf.lite.Interpreter`` does."""
        return [self._session.details(t) for t in range(len(self._session.subgraph.tensors))]

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy `value` into an input (or state) tensor.

        Raises
        ------
        KernelError
            Before `allocate_tensors`; for a tensor that cannot be set; wrong dtype or shape.
        """
        with self._lock:
            self._session.set(tensor_index, value)

    def invoke(self) -> None:
        """Run the model once on the tensors that were set."""
        session = self._session
        short_way = session.invoke_instance
        if short_way is None or not short_way():
            with self._lock:
                session.invoke()

    def get_tensor(self, tensor_index: int, subgraph_index: int | None = None) -> np.ndarray:
        """Return a copy of a tensor.

        Raises
        ------
        KernelError
            Before `allocate_tensors`, or for an intermediate tensor whose memory has been reused (ask for
            ``experimental_preserve_all_tensors=True``, or use `run_all`).
        """
        with self._lock:
            if subgraph_index not in (None, own := self._session.subgraph_index):
                raise KernelError(f"this interpreter runs subgraph {own}, not {subgraph_index}")
            return self._session.get(tensor_index)

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray]:
        """Return a function that gives a view of the tensor's memory, valid until the next resize."""

        def view() -> np.ndarray:
            with self._lock:
                return self._session.view(tensor_index, "tensor")

        return view

    def reset_all_variables(self) -> None:
        """Set all state tensors to their initial value."""
        with self._lock:
            self._session.reset()

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Return ``{key: {"inputs": names, "outputs": names}}``, as ``tf.lite.Interpreter`` does."""
        return {
            s.key: {"inputs": sorted(s.inputs), "outputs": sorted(s.outputs)} for s in self.model.signatures
        }

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """Return a callable for a signature; the key may be omitted where there is only one.

        Raises
        ------
        KernelError
            If there is no such signature; the message lists the known ones.
        """
        signatures = {s.key: s for s in self.model.signatures}
        if signature_key is None and len(signatures) == 1:
            signature_key = next(iter(signatures))
        if signature_key not in signatures:
            known = ", ".join(repr(key) for key in signatures) or "none"
            raise KernelError(f"no signature {signature_key!r} in the model; it has: {known}")
        signature = signatures[signature_key]
        session = self._session
        if signature.subgraph_index != session.subgraph_index:
            session = Session(
                self.model, signature.subgraph_index, session.profile, False, session.threads,
                kernels=session.kernels and session.kernels.without_indices(),
            )  # fmt: skip
        return SignatureRunner(session, signature)
