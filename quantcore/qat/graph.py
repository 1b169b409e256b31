"""A Keras model as a flat list of steps: nested models opened, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from quantcore.errors import QuantizationError

__all__ = ["Graph", "Step", "calls_in_order", "read_graph"]


@dataclass
class Step:
    """One call of a layer, or of an operation.

    Attributes
    ----------
    layer
        The layer or operation of the model; None for what `quantcore.qat.rewrite` adds.
    kind : str
        What it does, one of the names in `quantcore.qat.kinds`.
    name : str
    inputs, outputs : list of int
        Values, numbered through the graph.
    arguments
        How Keras was called, with its symbolic tensors, of which `inputs` are the values in order.
    options : dict
        What the kind needs to know.
    """

    layer: Any
    kind: str
    name: str
    inputs: list[int]
    outputs: list[int]
    arguments: Any = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """Steps in order.

    Attributes
    ----------
    steps : list of Step
    inputs, outputs : list of int
        Values.
    values : int
        Number of values.
    """

    steps: list[Step] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    values: int = 0

    def new_value(self) -> int:
        """Return the number of a new value."""
        self.values += 1
        return self.values - 1

    def readers(self) -> dict[int, list[Step]]:
        """Return for each value the steps that read it."""
        found: dict[int, list[Step]] = {value: [] for value in range(self.values)}
        for step in self.steps:
            for value in step.inputs:
                found[value].append(step)
        return found

    def producers(self) -> dict[int, Step]:
        """Return for each computed value its step."""
        return {value: step for step in self.steps for value in step.outputs}


def read_graph(model: Any) -> Graph:
    """Return the graph of a Sequential or Functional model, without its input layers.

    Raises
    ------
    QuantizationError
        A model inside is not such a model.
    """
    graph = Graph()
    graph.inputs = [graph.new_value() for _ in model.inputs]
    graph.outputs = _add_model(graph, model, graph.inputs)
    return graph


def _add_model(graph: Graph, model: Any, inputs: list[int]) -> list[int]:
    if isinstance(model, keras.Sequential):
        model = _functional(model)
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in calls_in_order(model):
        given = [values[id(tensor)] for tensor in node.input_tensors]
        operation = node.operation
        if isinstance(operation, (keras.Sequential, keras.Model)) and not _is_open(operation):
            raise QuantizationError(
                f"layer {operation.name!r} is a subclassed model, whose layers cannot be seen; build it with "
                "the functional API, or leave it in float (float_layers)"
            )
        if isinstance(operation, (keras.Sequential, keras.Model)):
            made = _add_model(graph, operation, given)
        else:
            made = [graph.new_value() for _ in node.outputs]
            graph.steps.append(Step(operation, "", operation.name, given, made, node.arguments))
        values.update((id(tensor), value) for tensor, value in zip(node.outputs, made, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def _is_open(model: Any) -> bool:
    return isinstance(model, keras.Sequential) or hasattr(model, "_nodes_by_depth")


def _functional(model: Any) -> Any:
    if model._functional is None:
        model.build()
    return model._functional


def calls_in_order(model: Any) -> Iterator[Any]:
    """Yield the calls of a functional model in the order in which Keras runs them."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.operation and not node.is_input:
                yield node
