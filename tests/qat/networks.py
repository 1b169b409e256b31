"""Small float networks of Keras, one per thing that quantization-aware training must get right.

Import it in a process that has TensorFlow; ``NETWORKS`` has a function per name, and ``build`` calls it and
gives the network weights, statistics of batch normalizations included, in which nothing is zero or one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
IMAGE = (8, 8, 3)

NETWORKS: dict[str, Callable[[], Any]] = {}


def network(function: Callable[[], Any]) -> Callable[[], Any]:
    NETWORKS[function.__name__] = function
    return function


def build(name: str) -> Any:
    """Return the network, with weights that follow from its name."""
    keras.utils.clear_session(free_memory=False)
    model = NETWORKS[name]()
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for variable in model.variables:
        shape = variable.shape
        if "variance" in variable.name:
            variable.assign(rng.uniform(0.5, 2.0, shape))
        elif "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))
        elif "kernel" in variable.name:
            variable.assign(rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1]))))
        else:
            variable.assign(rng.normal(size=shape) * 0.3)
    return model


def samples(model: Any, count: int = 16, seed: int = 0) -> list[np.ndarray]:
    """Return inputs for a network, one array per input."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(count, *x.shape[1:])).astype(np.float32) for x in model.inputs]


def body(function: Callable[[Any], Any], shape: tuple[int, ...] = IMAGE) -> Any:
    inputs = keras.Input(shape, name="image")
    return keras.Model(inputs, function(inputs))


def conv_norm_relu(x: Any, filters: int, **options: Any) -> Any:
    x = L.Conv2D(filters, 3, padding="same", use_bias=False, **options)(x)
    return L.ReLU(6.0)(L.BatchNormalization()(x))


@network
def mlp() -> Any:
    return keras.Sequential(
        [keras.Input((12,)), L.Dense(16, activation="relu"), L.Dense(10), L.Dense(4, activation="softmax")]
    )


@network
def cnn() -> Any:
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            *(L.Conv2D(8, 3, use_bias=False), L.BatchNormalization(), L.ReLU()),
            L.MaxPooling2D(),
            L.Conv2D(6, 3, activation="relu"),
            *(L.Flatten(), L.Dropout(0.1), L.Dense(4, activation="softmax")),
        ]
    )


@network
def dense_norm() -> Any:
    return keras.Sequential(
        [keras.Input((12,)), L.Dense(16), L.BatchNormalization(), L.ReLU(), L.Dense(5, use_bias=False)]
    )


@network
def depthwise() -> Any:
    def layers(x: Any) -> Any:
        x = conv_norm_relu(x, 8, strides=2)
        x = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
        return L.Dense(3)(L.GlobalAveragePooling2D()(x))

    return body(layers)


@network
def norm_options() -> Any:
    """Batch normalization without gamma, without beta, after a layer with a bias."""

    def layers(x: Any) -> Any:
        x = L.BatchNormalization(scale=False)(L.Conv2D(4, 3)(x))
        x = L.BatchNormalization(center=False, epsilon=1e-5)(L.Conv2D(5, 1, use_bias=False)(L.ReLU()(x)))
        return L.BatchNormalization()(L.DepthwiseConv2D(3)(L.ReLU()(x)))

    return body(layers)


@network
def residual() -> Any:
    def layers(x: Any) -> Any:
        x = conv_norm_relu(x, 8)
        y = L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(conv_norm_relu(x, 8)))
        return L.Dense(4)(L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([x, y]))))

    return body(layers)


@network
def average_pool() -> Any:
    def layers(x: Any) -> Any:
        x = L.AveragePooling2D(2)(conv_norm_relu(x, 6))
        return L.Dense(4)(L.Flatten()(L.Conv2D(4, 3, activation="relu6")(x)))

    return body(layers)
