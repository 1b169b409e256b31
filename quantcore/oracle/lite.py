"""TFLite's interpreter as the worker drives it. Refusals are ValueError, RuntimeError or KeyError."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np

from quantcore.oracle.packages import installed_version

__all__ = ["LiteBackend", "LiteSession"]


def tensorflow_interpreter() -> Any:
    """Return the module of TensorFlow's interpreter, without importing the rest, which takes seconds.

    The interpreter is a library of its own in TensorFlow's wheel. An empty package of TensorFlow's name is
    the way to it; what Python has imported on that way is forgotten but for the library, so that the
    converter's ``import tensorflow`` is a whole one.
    """
    spec = importlib.util.find_spec("tensorflow")
    path = spec.submodule_search_locations if spec is not None else None
    shell = ModuleType("tensorflow")
    shell.__path__ = list(path or ())
    sys.modules["tensorflow"] = shell
    try:
        return importlib.import_module("tensorflow.lite.python.interpreter")
    except (ImportError, AttributeError):  # its parts need more of TensorFlow than in the version we know
        forget_tensorflow()
        importlib.import_module("tensorflow")
        return importlib.import_module("tensorflow.lite.python.interpreter")
    finally:
        if sys.modules.get("tensorflow") is shell:
            forget_tensorflow()


def forget_tensorflow() -> None:
    """Drop TensorFlow's modules that are written in Python; libraries cannot be loaded twice."""
    for name, module in list(sys.modules.items()):
        library = str(getattr(module, "__file__", "")).endswith(".so")
        if name.split(".")[0] == "tensorflow" and not library:
            del sys.modules[name]


class LiteBackend:
    """The interpreter of ``tensorflow`` or ``ai_edge_litert``."""

    def __init__(self, package: str) -> None:
        if package == "tensorflow":
            module = tensorflow_interpreter()
        else:
            module = importlib.import_module("ai_edge_litert.interpreter")
        self.version = installed_version(package)
        self.interpreter_class = module.Interpreter
        self.resolvers = module.OpResolverType

    def interpreter(self, data: bytes, resolver: str, num_threads: int, **options: Any) -> Any:
        """Return a new interpreter for a model; `options` as TFLite names them."""
        return self.interpreter_class(
            model_content=data,
            num_threads=num_threads,
            experimental_op_resolver_type=getattr(self.resolvers, resolver),
            **options,
        )

    def open(self, data: bytes, header: dict[str, Any]) -> LiteSession:
        """Return a new session for a model, as the request's header asks for it."""
        interpreter = self.interpreter(data, header["resolver"], header["num_threads"])
        return LiteSession(interpreter, header["signature"])


EMPTY_TENSOR = "Invalid tensor size"  # get_tensor's complaint about a tensor without memory


class LiteSession:
    """One interpreter, or one signature of it, that takes samples one after the other."""

    def __init__(self, interpreter: Any, signature: str | None) -> None:
        self.interpreter = interpreter
        self.runner = interpreter.get_signature_runner(signature) if signature is not None else None
        self.can_reset = self.runner is None  # a signature runner cannot reset variable tensors
        self.shapes: list[tuple[int, ...]] | None = None
        if self.runner is not None:
            self.output_names = sorted(self.runner.get_output_details())
        else:
            self.inputs = interpreter.get_input_details()
            self.outputs = interpreter.get_output_details()
            self.output_names = [d["name"] for d in self.outputs]

    def run(self, names: list[str] | None, values: list[np.ndarray], *, reset: bool) -> list[np.ndarray]:
        """Return the outputs for one sample; `reset` gives it fresh variable tensors."""
        if self.runner is not None:
            if names is None:
                raise ValueError("a signature takes its inputs by name")
            return self._run_signature(self.runner, dict(zip(names, values, strict=True)))
        order = select_inputs([d["name"] for d in self.inputs], names, len(values))
        details = [self.inputs[k] for k in order]
        shapes = [tuple(v.shape) for v in values]
        if shapes != self.shapes:
            for detail, value in zip(details, values, strict=True):
                if tuple(detail["shape"]) != value.shape:
                    self.interpreter.resize_tensor_input(detail["index"], value.shape)
            self.interpreter.allocate_tensors()
            self.inputs = self.interpreter.get_input_details()
            self.shapes = shapes
        if reset:
            self.interpreter.reset_all_variables()
        for detail, value in zip(details, values, strict=True):
            self.interpreter.set_tensor(detail["index"], value)
        self.interpreter.invoke()
        return [self._fetch(detail) for detail in self.interpreter.get_output_details()]

    def _run_signature(self, runner: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            results = runner(**inputs)
            return [np.asarray(results[name]) for name in self.output_names]
        except ValueError as error:
            if EMPTY_TENSOR not in str(error):
                raise
        # It has run, and could not hand out an output without elements.
        details = runner.get_output_details()
        return [self._fetch(details[name], runner._subgraph_index) for name in self.output_names]

    def _fetch(self, detail: dict[str, Any], subgraph: int = 0) -> np.ndarray:
        if 0 in detail["shape"]:  # get_tensor refuses tensors without memory
            return np.empty(tuple(detail["shape"]), detail["dtype"])
        value = np.asarray(self.interpreter.get_tensor(detail["index"], subgraph))
        if value.dtype.hasobject:
            raise ValueError(f"output {detail['name']!r} holds strings, which the oracle does not pass on")
        return value


def select_inputs(known: list[str], names: list[str] | None, count: int) -> list[int]:
    """Return which graph input each of `count` values is for, given by position or by name."""
    if names is None:
        if count != len(known):
            raise ValueError(f"the model has {len(known)} inputs, got {count}")
        return list(range(count))
    if sorted(names) != sorted(known):
        raise ValueError(f"the model's inputs are called {sorted(known)}, got {sorted(names)}")
    return [known.index(name) for name in names]
