"""From the layers of a model to steps that TensorFlow Lite has as operators.

Activations given as an argument become steps of their own, separable convolutions and composed activations
the operators that the converter makes of them, sums of several inputs sums of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.ops import nn as ops_nn
from keras.src.ops import numpy as ops_numpy

from quantcore.errors import QuantizationError
from quantcore.qat.graph import Graph, Step
from quantcore.qat.kinds import (
    ACTIVATIONS,
    AFFINE,
    FIXED,
    FIXED_RANGES,
    FLOAT,
    FUSABLE,
    KINDS,
    OWN,
    ROUNDS,
    SAME,
    WEIGHTS,
    activation_name,
)
from quantcore.qat.recipe import Recipe

__all__ = ["rewrite"]

CHAINS = {"Add": keras.layers.Add, "Multiply": keras.layers.Multiply, "Subtract": keras.layers.Subtract}


class _Refusal(Exception):
    """A layer that cannot be quantized, and why."""


def rewrite(graph: Graph, recipe: Recipe) -> None:
    """Give every step its kind, and break up those that are several operators.

    Raises
    ------
    QuantizationError
        Layers that cannot be quantized and are not left in float; the message names them all.
    """
    writer = _Writer(graph, recipe)
    refused: dict[str, str] = {}
    for step in graph.steps:
        if recipe.stays_float(step.name):
            step.kind = FLOAT
            writer.steps.append(step)
            continue
        try:
            writer.add(step)
        except _Refusal as reason:
            refused.setdefault(step.name, f"{step.name!r} ({type(step.layer).__name__}): {reason}")
    if refused:
        names = ", ".join(map(repr, refused))
        raise QuantizationError(
            f"{len(refused)} layer{'s' if len(refused) > 1 else ''} cannot be quantized: "
            f"{'; '.join(refused.values())}. To leave {'them' if len(refused) > 1 else 'it'} in float: "
            f"prepare(model, Recipe(float_layers=[{names}]))"
        )
    graph.steps = writer.steps


class _Writer:
    def __init__(self, graph: Graph, recipe: Recipe) -> None:
        self.graph = graph
        self.recipe = recipe
        self.steps: list[Step] = []

    def add(self, step: Step) -> None:
        name = type(step.layer).__name__
        if type(step.layer) is not getattr(keras.layers, name, None):
            self._add_operation(step, name)
            return
        special: Callable[[Step], None] | None = getattr(self, f"_{name.lower()}", None)
        if special is not None:
            special(step)
        elif name in KINDS:
            step.kind = KINDS[name]
            self._add_with_activation(step)
        else:
            raise _Refusal("quantcore has no quantized form of it")

    # Operations, such as ``x + y`` or ``keras.ops.relu(x)``

    def _add_operation(self, step: Step, name: str) -> None:
        if type(step.layer) is getattr(ops_numpy, name, None) and name in CHAINS:
            self._add_arithmetic(step, name)
        elif type(step.layer) is getattr(ops_nn, name, None) or name == "Tanh":
            activation = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            function = getattr(keras.activations, activation, None)
            alone = len(step.arguments.args) == 1 and not step.arguments.kwargs
            if function is None or not alone or vars(step.layer).get("axis", -1) != -1:
                raise _Refusal("quantcore has no quantized form of this operation")
            self.steps += self._activation_steps(
                activation, function, step.name, step.inputs[0], step.outputs[0], own_name=step.name
            )
        else:
            raise _Refusal("it is no layer or operation of Keras that quantcore knows")

    def _add_arithmetic(self, step: Step, name: str) -> None:
        """Add ``x + y``, ``x * y`` or ``x - y``, of which one may be a number."""
        if len(step.inputs) == 2:
            self._chain(step, CHAINS[name])
            return
        numbers = [x for x in step.arguments.args if isinstance(x, (int, float))]
        if len(numbers) != 1 or step.arguments.kwargs:
            raise _Refusal("one of its operands is an array; only numbers and computed tensors are supported")
        (number,) = numbers
        if name == "Multiply":
            scale, offset = float(number), 0.0
        elif name == "Add":
            scale, offset = 1.0, float(number)
        elif step.arguments.args[0] is number:
            scale, offset = -1.0, float(number)
        else:
            scale, offset = 1.0, -float(number)
        layer = keras.layers.Rescaling(scale, offset, name=step.name)
        self.steps.append(_made(layer, AFFINE, step.inputs, step.outputs))

    # Layers with an activation

    def _add_with_activation(self, step: Step) -> None:
        """Add a step, and its activation as a step behind it."""
        _check_layout(step.layer)
        name = activation_name(getattr(step.layer, "activation", None))
        if name == "linear":
            self.steps.append(step)
            return
        (result,) = step.outputs
        step.outputs = [self.graph.new_value()]
        behind = list(self._activation_steps(name, step.layer.activation, step.name, step.outputs[0], result))
        step.options["output"] = f"{step.name}_linear"
        behind[-1].options["output"] = step.name  # what the user knows as the layer's output
        self.steps += [step, *behind]

    def _activation(self, step: Step) -> None:
        name = activation_name(step.layer.activation)
        self.steps += self._activation_steps(
            name, step.layer.activation, step.name, step.inputs[0], step.outputs[0], own_name=step.name
        )

    def _activation_steps(
        self, name: str, function: Any, owner: str, source: int, result: int, own_name: str | None = None
    ) -> Iterator[Step]:
        called = own_name or f"{owner}_{name}"
        layer: Any
        if name == "silu":
            sigmoid, product = self.graph.new_value(), keras.layers.Multiply(name=called)
            layer = keras.layers.Activation("sigmoid", name=f"{called}_sigmoid")
            yield _made(layer, FIXED, [source], [sigmoid], range=FIXED_RANGES["sigmoid"])
            yield _made(product, OWN, [source, sigmoid], [result], fuses=True)
        elif name == "hard_sigmoid":
            shifted, cut = self.graph.new_value(), self.graph.new_value()
            shift = keras.layers.Rescaling(1.0, 3.0, name=f"{called}_shift")
            cutting = keras.layers.ReLU(6.0, name=f"{called}_relu6")
            yield _made(shift, AFFINE, [source], [shifted])
            yield _made(cutting, FUSABLE, [shifted], [cut])
            yield _made(keras.layers.Rescaling(1 / 6, name=called), AFFINE, [cut], [result])
        elif name in ACTIVATIONS:
            kind = ACTIVATIONS[name]
            options = {"range": FIXED_RANGES[name]} if kind == FIXED else {}
            layer = keras.layers.Activation(function, name=called)
            yield _made(layer, kind, [source], [result], **options)
        else:
            raise _Refusal(f"its activation is {name}, which has no quantized form")

    def _relu(self, step: Step) -> None:
        layer = step.layer
        if layer.threshold != 0:
            raise _Refusal(f"threshold={layer.threshold:g}; only 0 has a quantized form")
        if layer.negative_slope != 0 and layer.max_value is not None:
            raise _Refusal("negative_slope together with max_value has no quantized form")
        if layer.max_value not in (None, 6, 6.0):
            raise _Refusal(f"max_value={layer.max_value:g}; only None and 6 have a quantized form")
        step.kind = OWN if layer.negative_slope != 0 else FUSABLE
        self.steps.append(step)

    def _softmax(self, step: Step) -> None:
        axis = step.layer.axis
        rank = len(step.arguments.keras_tensors[0].shape)
        if axis not in (-1, rank - 1):
            raise _Refusal(f"axis={axis}; only the last one has a quantized form")
        step.kind, step.options = FIXED, {"range": FIXED_RANGES["softmax"]}
        self.steps.append(step)

    # Layers that are several operators

    def _separableconv2d(self, step: Step) -> None:
        layer = step.layer
        _check_layout(layer)
        config = layer.get_config()
        shared = ("strides", "padding", "data_format", "dilation_rate", "trainable", "dtype")
        depthwise = keras.layers.DepthwiseConv2D(
            layer.kernel_size,
            depth_multiplier=layer.depth_multiplier,
            use_bias=False,
            depthwise_initializer=config["depthwise_initializer"],
            depthwise_regularizer=config["depthwise_regularizer"],
            depthwise_constraint=config["depthwise_constraint"],
            name=f"{step.name}_depthwise",
            **{key: config[key] for key in shared},
        )
        pointwise = keras.layers.Conv2D(
            layer.filters,
            1,
            use_bias=layer.use_bias,
            activation=layer.activation,
            kernel_initializer=config["pointwise_initializer"],
            kernel_regularizer=config["pointwise_regularizer"],
            kernel_constraint=config["pointwise_constraint"],
            **{f"bias_{key}": config[f"bias_{key}"] for key in ("initializer", "regularizer", "constraint")},
            name=f"{step.name}_pointwise",
            trainable=layer.trainable,
            dtype=config["dtype"],
        )
        middle = self.graph.new_value()
        first = _made(depthwise, WEIGHTS, step.inputs, [middle], owner=layer)
        first.options["weights"] = {"kernel": layer.depthwise_kernel}
        second = _made(pointwise, WEIGHTS, [middle], step.outputs, owner=layer)
        second.options["weights"] = {"kernel": layer.pointwise_kernel, "bias": layer.bias}
        first.name = second.name = step.name
        self.steps.append(first)
        self._add_with_activation(second)

    def _add(self, step: Step) -> None:
        self._chain(step, keras.layers.Add)

    def _multiply(self, step: Step) -> None:
        self._chain(step, keras.layers.Multiply)

    def _subtract(self, step: Step) -> None:
        self._chain(step, keras.layers.Subtract)

    def _average(self, step: Step) -> None:
        total, (result,) = self.graph.new_value(), step.outputs
        step.outputs = [total]
        self._chain(step, keras.layers.Add)
        scale = keras.layers.Rescaling(1 / len(step.inputs), name=f"{step.name}_scale")
        self.steps.append(_made(scale, AFFINE, [total], [result]))

    def _chain(self, step: Step, layer: Any) -> None:
        """Add a sum or product of several inputs as sums or products of two."""
        first, *rest = step.inputs
        for number, other in enumerate(rest, 1):
            last = number == len(rest)
            output = step.outputs[0] if last else self.graph.new_value()
            name = step.name if last else f"{step.name}_{number}"
            self.steps.append(_made(layer(name=name), OWN, [first, other], [output], fuses=True))
            first = output

    def _upsampling2d(self, step: Step) -> None:
        _check_layout(step.layer)
        kinds = {"nearest": SAME, "bilinear": ROUNDS}
        if step.layer.interpolation not in kinds:
            raise _Refusal(f"interpolation={step.layer.interpolation!r} has no quantized form")
        step.kind = kinds[step.layer.interpolation]
        self.steps.append(step)

    def _batchnormalization(self, step: Step) -> None:
        rank = len(step.arguments.keras_tensors[0].shape)
        if step.layer.axis not in (-1, rank - 1):
            raise _Refusal(f"axis={step.layer.axis}; only the last one is supported")
        if getattr(step.layer, "renorm", False):
            raise _Refusal("renorm=True is not supported")
        step.kind = AFFINE
        self.steps.append(step)


def _made(layer: Any, kind: str, inputs: list[int], outputs: list[int], **options: Any) -> Step:
    return Step(layer, kind, layer.name, list(inputs), list(outputs), None, {"fresh": True, **options})


def _check_layout(layer: Any) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise _Refusal("data_format='channels_first'; TensorFlow Lite has channels_last only")
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise _Refusal("it has LoRA or quantized weights; only plain float weights can be trained here")
