"""`prepare`: from a float Keras model to one whose forward pass is what int8 kernels will compute."""

from __future__ import annotations

from typing import Any

import keras

from quantcore.errors import QuantizationError
from quantcore.qat import affine, layers
from quantcore.qat.calibrate import calibrate
from quantcore.qat.checks import check_float_model
from quantcore.qat.fake_quantize import FIXED, SUFFIX, FakeQuantize
from quantcore.qat.float_layers import check_float_layers
from quantcore.qat.fuse import fold_batch_norms, fuse_activations
from quantcore.qat.graph import Graph, Step, read_graph
from quantcore.qat.kinds import AFFINE, FLOAT, WEIGHTS
from quantcore.qat.ranges import RangePlan, SharedRange, plan_ranges
from quantcore.qat.recipe import Recipe, RecipeSource
from quantcore.qat.rewrite import rewrite

__all__ = ["prepare"]


def prepare(model: Any, recipe: RecipeSource = None, representative_dataset: Any = None) -> Any:
    """Return a Keras model for quantization-aware training.

    Parameters
    ----------
    model : keras.Model
        A Sequential or Functional model with weights; models inside of it are opened. It is not changed.
    recipe : Recipe, mapping or str, optional
        What is quantized how, see `Recipe`; ``"int8"`` (the default) or ``"int4"``, weights of 4 bits.
    representative_dataset : optional
        Samples from which the ranges of activations are set, as by `calibrate`. Without it the first training
        batch sets them.

    Returns
    -------
    keras.Model
        A Functional model with the same inputs, outputs and weights, to be compiled and trained as usual.

    Raises
    ------
    QuantizationError
        The model is prepared already, of another kind or backend, or has layers that cannot be quantized,
        which the message names; the recipe does not fit it.

    Examples
    --------
    >>> model = qat.prepare(float_model)                                  # doctest: +SKIP
    >>> model.compile("adam", "sparse_categorical_crossentropy")          # doctest: +SKIP
    >>> model.fit(images, labels)                                         # doctest: +SKIP
    """
    settings = Recipe.of(recipe)
    check_float_model(model)
    graph = read_graph(model)
    input_names = [tensor._keras_history.operation.name for tensor in model.inputs]
    settings.check_names([*(step.name for step in graph.steps), *input_names])
    rewrite(graph, settings)
    fold_batch_norms(graph)
    check_float_layers(graph)
    fuse_activations(graph)
    plan = plan_ranges(graph, settings, input_names)
    prepared = _Builder(graph, plan, settings).build(model, input_names)
    if representative_dataset is not None:
        calibrate(prepared, representative_dataset)
    return prepared


class _Builder:
    """Makes the layers of the new model."""

    def __init__(self, graph: Graph, plan: RangePlan, recipe: Recipe) -> None:
        self.graph = graph
        self.plan = plan
        self.recipe = recipe
        self.tensors: dict[int, Any] = {}
        self.copies: dict[int, Any] = {}
        self.quantizers: dict[SharedRange, FakeQuantize] = {}
        self.names: set[str] = set()

    def build(self, model: Any, input_names: list[str]) -> Any:
        inputs = []
        for value, tensor, name in zip(self.graph.inputs, model.inputs, input_names, strict=True):
            self.names.add(name)
            inputs.append(keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name))
            self._store(value, inputs[-1])
        for step in self.graph.steps:
            self._call(step)
        outputs = [self.tensors[value] for value in self.graph.outputs]
        like = model._functional if isinstance(model, keras.Sequential) else model
        return keras.Model(
            keras.tree.pack_sequence_as(like._inputs_struct, inputs),
            keras.tree.pack_sequence_as(like._outputs_struct, outputs),
            name=model.name,
        )

    def _store(self, value: int, tensor: Any) -> None:
        """Keep a tensor, on its grid."""
        shared = self.plan.range_of.get(value)
        if shared is not None and value in shared.values:
            tensor = self._quantizer(shared)(tensor, member=shared.values.index(value))
        elif shared is not None and value in self.plan.followers:
            tensor = self._quantizer(shared)(tensor)
        self.tensors[value] = tensor

    def _quantizer(self, shared: SharedRange) -> FakeQuantize:
        if shared not in self.quantizers:
            rule = self.recipe.for_layer(shared.name)
            self.quantizers[shared] = FakeQuantize(
                rule.ranges if shared.fixed is None else FIXED,
                rule.momentum,
                len(shared.values),
                shared.fixed,
                name=self._unique(f"{shared.name}{SUFFIX}"),
            )
        return self.quantizers[shared]

    def _call(self, step: Step) -> None:
        given = [self.tensors[value] for value in step.inputs]
        if id(step.layer) not in self.copies:
            self.copies[id(step.layer)] = self._copy(step)
        layer = self.copies[id(step.layer)]
        if step.arguments is None:
            results = layer(given[0] if len(given) == 1 else given)
        else:
            old = (id(tensor) for tensor in step.arguments.keras_tensors)
            arguments, named = step.arguments.fill_in(dict(zip(old, given, strict=True)))
            results = layer(*arguments, **named)
        self._copy_weights(step, layer)
        for value, tensor in zip(step.outputs, keras.tree.flatten(results), strict=True):
            self._store(value, tensor)

    def _copy(self, step: Step) -> Any:
        """Return the new layer in the place of an old one."""
        if step.kind == WEIGHTS:
            return self._with_fake_quantized_weights(step)
        if step.kind == AFFINE:
            return self._fake_quantized_affine(step)
        if step.options.get("fresh"):
            step.layer.name = self._unique(step.layer.name)
            return step.layer
        config = step.layer.get_config()
        made = layers.FakeQuantizedPReLU if type(step.layer) is keras.layers.PReLU else type(step.layer)
        if step.kind == FLOAT:
            made = type(step.layer)
        return made.from_config({**config, "name": self._unique(step.layer.name)})

    def _with_fake_quantized_weights(self, step: Step) -> Any:
        rule = self.recipe.for_layer(step.name)
        norm = step.options.get("batch_norm")
        copied = None if norm is None else type(norm).from_config(norm.get_config())
        statistics = rule.batch_norm if norm is None else self.recipe.for_layer(norm.name).batch_norm
        config = {
            **step.layer.get_config(),
            "name": self._unique(step.layer.name),
            "activation": "linear",
            "weight_bits": self._weight_bits(step, rule.weight_bits),
            "batch_norm": copied,
            "statistics": statistics,
        }
        return getattr(layers, f"FakeQuantized{type(step.layer).__name__}").from_config(config)

    def _weight_bits(self, step: Step, bits: int) -> int:
        """Return the bits of a layer's weights: 8 where TensorFlow Lite has no others."""
        if bits == 8:
            return bits
        if sum(other.layer is step.layer for other in self.graph.steps) > 1:
            raise QuantizationError(
                f"layer {step.name!r} is called more than once, and the converter stores its weights with 8 "
                f"bits: set layers={{{step.name!r}: {{'weight_bits': 8}}}} in the recipe"
            )
        if not isinstance(step.layer, keras.layers.Conv2DTranspose):
            return bits
        if "weight_bits" in self.recipe.layers.get(step.name, {}):
            raise QuantizationError(
                f"the recipe wants weights of {bits} bits for {step.name!r}; the converter has only 8 for "
                "Conv2DTranspose"
            )
        return 8

    def _fake_quantized_affine(self, step: Step) -> Any:
        rule = self.recipe.for_layer(step.name)
        config = {
            **step.layer.get_config(),
            "name": self._unique(step.layer.name),
            "product": {"ranges": rule.ranges, "momentum": rule.momentum},
        }
        if isinstance(step.layer, keras.layers.BatchNormalization):
            config["statistics"] = rule.batch_norm
        return getattr(affine, f"FakeQuantized{type(step.layer).__name__}").from_config(config)

    def _copy_weights(self, step: Step, layer: Any) -> None:
        if step.kind == WEIGHTS:
            old = step.options.get("weights") or {"kernel": step.layer.kernel, "bias": step.layer.bias}
            for name, variable in old.items():
                if variable is not None:
                    getattr(layer, name).assign(variable)
            norm = step.options.get("batch_norm")
            layer.trainable = step.layer.trainable
            if norm is not None:
                layer.batch_norm.set_weights(norm.get_weights())
                layer.batch_norm.trainable = norm.trainable
        elif step.kind == AFFINE:
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            for name in names if isinstance(step.layer, keras.layers.BatchNormalization) else ():
                if getattr(step.layer, name) is not None:
                    getattr(layer, name).assign(getattr(step.layer, name))
            layer.trainable = step.layer.trainable
        elif not step.options.get("fresh"):
            layer.set_weights(step.layer.get_weights())
            layer.trainable = step.layer.trainable

    def _unique(self, name: str) -> str:
        number, found = 1, name
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return found
