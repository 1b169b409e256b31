"""`Oracle`: TensorFlow Lite's interpreters and converter behind a few methods."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.errors import OracleError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.oracle.arguments import (
    Inputs,
    ModelLike,
    graph_order,
    resolve_signature,
    to_bytes,
    to_model,
)
from quantcore.oracle.conversion import MODES
from quantcore.oracle.packages import PACKAGES, find_package, package_of
from quantcore.oracle.prepared import Prepared
from quantcore.oracle.shared import SharedProcess
from quantcore.subgraphs import intermediate_tensors

__all__ = ["Oracle", "convert"]


class Oracle:
    """TensorFlow Lite's interpreter in a process of its own.

    The process starts at the first request, serves any number of models, is ended by `close` (or at the end
    of the ``with`` block), and is replaced after a crash or a time-out. The parent never imports TensorFlow.

    Parameters
    ----------
    resolver : str
        Which kernels run: ``BUILTIN_REF``, ``BUILTIN_WITHOUT_DEFAULT_DELEGATES`` or ``AUTO`` (XNNPACK) of
        TFLite, or ``TFLM``, those of TensorFlow Lite Micro.
    num_threads : int
        Threads of TFLite's interpreter.
    timeout : float
        Seconds for one call; the start of the process is not counted.
    package : str, optional
        ``tensorflow`` or ``ai_edge_litert``; default: the first that is installed. ``TFLM`` is always served
        by ``tflite_micro``.

    Raises
    ------
    OracleUnavailable
        At the first request, if the package is not installed.

    Notes
    -----
    TensorFlow Lite Micro takes all shapes from the file: it refuses inputs of other shapes than the stored
    ones, and shapes of computed tensors must be stored. It runs the first subgraph only.

    Examples
    --------
    >>> with Oracle() as oracle:
    ...     (y,) = oracle.run("model.tflite", x)
    """

    def __init__(
        self,
        resolver: str = "BUILTIN_REF",
        *,
        num_threads: int = 1,
        timeout: float = 120.0,
        package: str | None = None,
    ) -> None:
        self.resolver = resolver
        self.num_threads = num_threads
        self.timeout = timeout
        self._shared = SharedProcess(package_of(resolver, package))

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Oracle {self.resolver}, {'running' if self._shared.worker else 'not running'}>"

    def close(self) -> None:
        """End the process, which siblings use too. A later call starts a new one."""
        self._shared.close()

    def sibling(self, resolver: str) -> Oracle:
        """Return an oracle with another of TFLite's resolvers that uses the same process."""
        package = self._shared.package
        other = Oracle(resolver, num_threads=self.num_threads, timeout=self.timeout, package=package)
        other._shared = self._shared
        return other

    @property
    def name(self) -> str:
        """Distribution that provides the oracle: ``tensorflow``, ``ai-edge-litert`` or ``tflite-micro``."""
        return PACKAGES[find_package(self._shared.package)]

    @property
    def version(self) -> str:
        """Version of that package, as the process finds it installed (starts the process)."""
        return self._shared.start().version

    @property
    def about(self) -> dict[str, str]:
        """Name, version and resolver, as results hold them (starts the process)."""
        return {"name": self.name, "version": self.version, "resolver": self.resolver}

    def run(
        self,
        model: ModelLike,
        inputs: Inputs,
        outputs: Sequence[int] | None = None,
        *,
        subgraph: int = 0,
        signature: str | None = None,
    ) -> list[np.ndarray]:
        """Run one sample from fresh state.

        Parameters
        ----------
        model : Model, bytes or path
        inputs : ndarray, sequence of ndarray, or mapping
            In the order of the graph's inputs, or by tensor name (by input name with `signature`). Other
            shapes than the stored ones resize the inputs; dtypes must match.
        outputs : sequence of int, optional
            Indices of the tensors to return, intermediate ones included; default: the graph's outputs.
        subgraph : int
            Entry point.
        signature : str, optional
            Entry point by signature key, in place of `subgraph`.

        Returns
        -------
        list of ndarray

        Raises
        ------
        OracleRefused
            TFLite rejected the model, an operator or the inputs; the message quotes its reason.
        OracleCrashed
            The process died; the message names the signal.
        OracleUnavailable, OracleError
            Not installed; no answer in time.
        """
        return self.run_batch(model, [inputs], outputs, subgraph=subgraph, signature=signature)[0]

    def run_batch(
        self,
        model: ModelLike,
        samples: Sequence[Inputs],
        outputs: Sequence[int] | None = None,
        *,
        subgraph: int = 0,
        signature: str | None = None,
        keep_state: bool = False,
    ) -> list[list[np.ndarray]]:
        """Run several samples, loading the model once; see `run`.

        Each sample starts from fresh state; with `keep_state` only the first does, and variable tensors are
        handed on from sample to sample.
        """
        if not samples:
            return []
        if signature is not None:
            model = to_model(model)
            subgraph, samples = resolve_signature(model, signature, samples)
            outputs = model.subgraphs[subgraph].outputs if outputs is None else outputs
        return self.run_prepared(Prepared(model, outputs, subgraph=subgraph), samples, keep_state=keep_state)

    def run_prepared(
        self, prepared: Prepared, samples: Sequence[Inputs], *, keep_state: bool
    ) -> list[list[np.ndarray]]:
        """Run several samples of a model that is run again and again; see `run_batch`."""
        if not samples:
            return []
        names, flat = prepared.arguments(samples)
        taken = len(flat) // len(samples)
        request = {
            "command": "run",
            "model": prepared.key,
            "resolver": self.resolver,
            "num_threads": self.num_threads,
            "signature": prepared.entry,
            "names": names,
            "samples": len(samples),
            "inputs_per_sample": taken,
            "keep_state": keep_state,
        }
        doing = f"running a model of {len(prepared.data)} bytes with {self.resolver}"
        reply, arrays = self._shared.run(request, flat, prepared.data, timeout=self.timeout, doing=doing)
        given = len(arrays) // len(samples)
        return [
            prepared.results(
                reply["names"], arrays[i * given : (i + 1) * given], flat[i * taken : (i + 1) * taken]
            )
            for i in range(len(samples))
        ]

    def run_all(self, model: ModelLike, inputs: Inputs, *, subgraph: int = 0) -> dict[int, np.ndarray]:
        """Run one sample and return every tensor that the graph computes, and its inputs, by index.

        The values come from a copy of the model whose graph outputs are extended, never from memory that the
        planner may have reused. Variable tensors, constants, handles and strings are left out.
        """
        graph = to_model(model)
        main = graph.subgraphs[subgraph]
        wanted = [*dict.fromkeys([*main.inputs, *intermediate_tensors(main)])]
        return dict(zip(wanted, self.run(graph, inputs, wanted, subgraph=subgraph), strict=True))

    def convert(
        self,
        path: str | os.PathLike[str],
        mode: str,
        representative: np.ndarray | Sequence[np.ndarray] | None = None,
        *,
        timeout: float = 600.0,
    ) -> bytes:
        """Convert a saved Keras model with ``tf.lite.TFLiteConverter``.

        Parameters
        ----------
        path : path
            A ``.keras`` or ``.h5`` file, or a SavedModel folder.
        mode : str
            ``float``, ``dynamic_range``, ``float_fallback`` (int8 with float input and output), ``int8``,
            ``uint8`` (integer only; the dtype of input and output), ``float16``, ``int16x8`` (int16 input and
            output) or ``int16x8_float_io``. For quantization-aware networks: ``float_trained``, in which
            pairs of QUANTIZE and DEQUANTIZE record their ranges; ``int8_trained``, ``uint8_trained`` or
            ``float_fallback_trained``, quantized by these ranges.
        representative : ndarray or sequence of ndarray, shape (samples, ...), optional
            Data for calibration, one array per model input, in the model's input dtype. Needed by
            ``float_fallback``, ``int8``, ``uint8`` and the int16x8 modes.

        Returns
        -------
        bytes
            The ``.tflite`` file.

        Raises
        ------
        OracleRefused
            The converter failed; the message quotes it.
        """
        if mode not in MODES:
            raise OracleError(f"unknown conversion mode {mode!r}; known: {', '.join(MODES)}")
        if not Path(path).exists():
            raise OracleError(f"{path}: no such file or folder; expected a saved Keras model")
        arrays = [representative] if isinstance(representative, np.ndarray) else list(representative or [])
        if MODES[mode][1] and not (arrays and len(arrays[0])):
            raise OracleError(f"mode {mode!r} calibrates on data; give representative arrays (samples, ...)")
        request = {"command": "convert", "path": str(Path(path).resolve()), "mode": mode}
        arrays = arrays if MODES[mode][1] else []
        _, results = self._shared.ask(request, arrays, timeout=timeout, doing=f"converting {path} ({mode})")
        return results[0].tobytes()

    def calibrate(self, model: ModelLike, samples: Sequence[Inputs], *, timeout: float = 600.0) -> Model:
        """Run the converter's calibration of a float model.

        Parameters
        ----------
        model : Model, bytes or path
        samples : sequence of inputs
            As for `run_batch`.

        Returns
        -------
        Model
            The model with the range of each float tensor in `Quantization.min` and `Quantization.max`;
            tensors for values inside of LSTM operators are added at the end.

        Raises
        ------
        OracleRefused
            The calibrator failed; the message quotes it.
        """
        request = {"command": "calibrate"}
        return read_model(self._make(request, model, samples, timeout, "calibrating a model"))

    def quantize(
        self,
        model: ModelLike,
        samples: Sequence[Inputs],
        *,
        mode: str = "int8",
        io: str = "int8",
        allow_float: bool = True,
        per_channel: bool = True,
        per_channel_dense: bool = True,
        denylisted_ops: Sequence[str] = (),
        denylisted_nodes: Sequence[str] = (),
        timeout: float = 600.0,
    ) -> bytes:
        """Quantize a float model by the converter's calibrator and quantizers.

        Parameters
        ----------
        model : Model, bytes or path
        samples : sequence of inputs
            As for `run_batch`. In mode ``int8`` it may be empty: then the model must hold the ranges, as
            `calibrate` returns it.
        mode : {"int8", "int16x8"}
        io : str
            Dtype of inputs and outputs: ``float32``, ``int8``, ``uint8``; ``int16`` for ``int16x8``.
        allow_float : bool
            Whether operators without a form for int16 stay float, in place of a refusal (``int16x8`` only).
        per_channel, per_channel_dense : bool
            The converter's ``_experimental_disable_per_channel...`` switches, the other way round.
        denylisted_ops, denylisted_nodes : sequence of str
            Operator names, or names of output tensors, that stay float (``int8`` only).

        Returns
        -------
        bytes
            The ``.tflite`` file.

        Raises
        ------
        OracleRefused, OracleCrashed
            The quantizer failed, or ended the process, as it does on infinite ranges.
        """
        options = {
            "mode": mode,
            "io": io,
            "allow_float": allow_float,
            "per_channel": per_channel,
            "per_channel_dense": per_channel_dense,
            "denylisted_ops": list(denylisted_ops),
            "denylisted_nodes": list(denylisted_nodes),
        }
        request = {"command": "quantize", "options": options}
        return self._make(request, model, samples, timeout, f"quantizing a model ({mode}, {io})")

    def request(
        self, request: dict[str, Any], arrays: Sequence[np.ndarray], doing: str
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Pass a request of another module on to the worker; `doing` says in messages what it is for."""
        return self._shared.ask(request, arrays, timeout=self.timeout, doing=doing)

    def _make(
        self, request: dict[str, Any], model: ModelLike, samples: Sequence[Inputs], timeout: float, doing: str
    ) -> bytes:
        """Have the worker make a file of a model's, and of samples."""
        data = to_bytes(model)
        main = (model if isinstance(model, Model) else read_model(data)).subgraphs[0]
        request |= {"samples": len(samples), "inputs_per_sample": len(main.inputs)}
        arrays = [np.frombuffer(data, np.uint8)]
        arrays += [array for sample in samples for array in graph_order(main, sample)]
        _, results = self._shared.ask(request, arrays, timeout=timeout, doing=doing)
        return results[0].tobytes()


def convert(
    path: str | os.PathLike[str],
    mode: str,
    representative: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    timeout: float = 600.0,
) -> bytes:
    """Convert one saved model in a process that ends afterwards; see `Oracle.convert`."""
    with Oracle(package="tensorflow") as oracle:
        return oracle.convert(path, mode, representative, timeout=timeout)
