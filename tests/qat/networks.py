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
# What `qat.verify` cannot confirm, and why.
BEYOND_VERIFY = {
    "dense_of_images": "tensors without an axis for the batch of 1: samples cannot be told apart",
    "reshaped": "tensors without an axis for the batch of 1: samples cannot be told apart",
    "shared": "tensors without an axis for the batch of 1: samples cannot be told apart",
    "activations": "how far HARD_SWISH may round is not derived",
    "products": "XNNPACK ignores the zero point of BATCH_MATMUL's second operand",
}


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


@network
def separable() -> Any:
    def layers(x: Any) -> Any:
        x = L.ReLU()(L.BatchNormalization()(L.SeparableConv2D(8, 3, use_bias=False)(x)))
        return L.GlobalMaxPooling2D()(L.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu")(x))

    return body(layers)


@network
def grouped() -> Any:
    def layers(x: Any) -> Any:
        x = L.Conv2D(8, 3, padding="same", dilation_rate=2, activation="relu")(x)
        return L.Conv2D(6, 3, groups=2)(x)

    return body(layers)


@network
def transposed() -> Any:
    def layers(x: Any) -> Any:
        x = L.Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False)(conv_norm_relu(x, 4))
        x = L.ReLU()(L.BatchNormalization()(x))
        return L.Conv2DTranspose(2, 2, strides=2)(x)

    return body(layers)


@network
def transposed_without_norm() -> Any:
    """TRANSPOSE_CONV takes a RELU along with the addition of a bias; without bias the RELU stays."""

    def layers(x: Any) -> Any:
        x = L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu")(L.Conv2D(4, 3)(x))
        x = L.ReLU(6.0)(L.Conv2DTranspose(3, 2, use_bias=False)(x))
        return L.Conv2DTranspose(2, 2, strides=2, use_bias=False)(x)

    return body(layers)


@network
def sequence() -> Any:
    def layers(x: Any) -> Any:
        x = L.ReLU()(L.BatchNormalization()(L.Conv1D(8, 3, padding="same")(x)))
        x = L.MaxPooling1D(2)(x)
        x = L.Conv1D(8, 3, activation="relu")(L.ZeroPadding1D(1)(x))
        return L.Dense(4)(L.GlobalAveragePooling1D()(L.AveragePooling1D(2)(x)))

    return body(layers, (16, 5))


@network
def dense_of_images() -> Any:
    return body(lambda x: L.Dense(4)(L.Dense(6, activation="relu")(x)))


@network
def reshaped() -> Any:
    """Dense layers between reshapes, which meet once nothing stands between them."""

    def layers(x: Any) -> Any:
        x = L.Reshape((4, -1))(L.ReLU()(L.Dense(6)(x)))
        return L.Dense(3)(L.Flatten()(L.Dense(4)(x)))

    return body(layers)


@network
def branches() -> Any:
    """Concatenation of convolutions, of a pool, and of what others read too."""

    def layers(x: Any) -> Any:
        x = conv_norm_relu(x, 4)
        a, b = conv_norm_relu(x, 4), L.Conv2D(4, 1)(x)
        c = L.Conv2D(3, 1, activation="relu")(L.MaxPooling2D(2, 1, padding="same")(x))
        return L.Dense(3)(L.Flatten()(L.Add()([L.Conv2D(11, 1)(b), L.Concatenate()([a, b, c])])))

    return body(layers)


@network
def growing() -> Any:
    """A dense block: what is concatenated is concatenated again."""

    def layers(x: Any) -> Any:
        x = L.Conv2D(4, 3, padding="same")(x)
        for _ in range(2):
            y = L.ReLU()(L.BatchNormalization()(x))
            x = L.Concatenate()([x, L.Conv2D(3, 3, padding="same")(y)])
        return L.Dense(3)(L.GlobalAveragePooling2D()(x))

    return body(layers)


@network
def joined_input() -> Any:
    return body(lambda x: L.Dense(3)(L.Flatten()(L.Concatenate()([x, L.Conv2D(3, 3, padding="same")(x)]))))


@network
def activations() -> Any:
    def layers(x: Any) -> Any:
        for name in ("tanh", "sigmoid", "leaky_relu", "gelu", "hard_silu", "hard_tanh"):
            x = L.Conv2D(4, 1, activation=name)(x)
        x = L.LeakyReLU(negative_slope=0.2)(L.Conv2D(4, 1)(x))
        x = L.ReLU(negative_slope=0.1)(L.Conv2D(4, 1)(x))
        x = L.PReLU(shared_axes=[1, 2])(L.Conv2D(4, 1)(x))
        return L.Softmax()(L.Dense(4)(L.Flatten()(x)))

    return body(layers)


@network
def composed_activations() -> Any:
    def layers(x: Any) -> Any:
        x = L.Activation("silu")(L.BatchNormalization()(L.Conv2D(4, 3)(x)))
        scale = L.Conv2D(4, 1, activation="hard_sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
        return L.Dense(2, activation="sigmoid")(L.Flatten()(L.Multiply()([x, scale])))

    return body(layers)


@network
def sums() -> Any:
    def layers(x: Any) -> Any:
        a, b, c = (L.Conv2D(4, 1)(x) for _ in range(3))
        total = L.ReLU()(L.Add()([a, b, c]))
        less = L.Subtract()([total, L.Average()([a, b])])
        most = L.Maximum()([less, c])
        return L.Flatten()(L.Multiply()([most, L.Minimum()([a, b])]))

    return body(layers)


@network
def moved() -> Any:
    """Operators that move values, and activations behind them."""

    def layers(x: Any) -> Any:
        x = L.ReLU()(L.MaxPooling2D()(L.ZeroPadding2D(((0, 1), (1, 0)))(L.Conv2D(4, 3)(x))))
        x = L.UpSampling2D(2)(L.Permute((2, 1, 3))(x))
        x = L.Cropping2D(1)(L.UpSampling2D(2, interpolation="bilinear")(x))
        x = L.ReLU()(L.Reshape((4, -1))(L.Conv2D(4, 1)(x)))
        return L.Dense(3)(L.Flatten()(x))

    return body(layers)


@network
def norm_alone() -> Any:
    """Batch normalizations that nothing folds: before a convolution, and of what others read too."""

    def layers(x: Any) -> Any:
        x = L.MaxPooling2D()(conv_norm_relu(x, 4))
        y = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
        z = L.Add()([x, y])
        return L.Dense(3)(L.Flatten()(L.Add()([z, L.BatchNormalization(center=False)(z)])))

    return body(layers)


@network
def rescaled() -> Any:
    def layers(x: Any) -> Any:
        x = L.Rescaling(1 / 2.5, offset=-0.5)(x)
        return L.Dense(3)(L.Flatten()(L.Rescaling(0.25)(L.Conv2D(4, 3)(x))))

    return body(layers)


@network
def nested() -> Any:
    base = body(lambda x: conv_norm_relu(conv_norm_relu(x, 4, strides=2), 8))
    head = keras.Sequential([keras.Input((8,)), L.Dropout(0.2), L.Dense(3, activation="softmax")])
    return keras.Sequential([keras.Input(IMAGE), base, L.GlobalAveragePooling2D(), head])


@network
def several_ends() -> Any:
    image, other = keras.Input(IMAGE, name="image"), keras.Input((5,), name="other")
    x = L.Flatten()(conv_norm_relu(image, 4, strides=2))
    y = L.Dense(6, activation="relu")(other)
    x = L.Concatenate()([x, y])
    outputs = {"kind": L.Dense(3, activation="softmax", name="kind")(x), "size": L.Dense(1, name="size")(x)}
    return keras.Model({"image": image, "other": other}, outputs)


@network
def shared() -> Any:
    """One layer called twice, with and without its batch normalization in front of an activation."""
    image = keras.Input(IMAGE, name="image")
    conv, norm, dense = L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.Dense(3)
    first = L.ReLU()(norm(conv(image)))
    second = norm(conv(L.ZeroPadding2D(1)(L.Cropping2D(1)(image))))
    return keras.Model(image, L.Add()([dense(L.Flatten()(first)), dense(L.Flatten()(second))]))


@network
def products() -> Any:
    def layers(x: Any) -> Any:
        x = L.Conv2D(4, 3)(x)
        return L.Dot(axes=(2, 1))([L.Reshape((4, -1))(x), L.Reshape((-1, 4))(x)])

    return body(layers)


@network
def operations() -> Any:
    """Operators of Python and functions of ``keras.ops`` instead of layers."""

    def layers(x: Any) -> Any:
        x = L.Conv2D(4, 3)(x)
        y = keras.ops.relu(x * 0.5 + 1.0) - x
        return L.Dense(3)(L.Flatten()(y * L.ReLU(6.0)(2.0 - x)))

    return body(layers)


def check_agrees(result: Any) -> None:
    """Whatever `qat.verify` compared is within its bounds."""
    assert result.agrees, str(result)
    for layer in result.layers:
        assert layer.max_abs_diff <= 1
        assert layer.differing <= layer.undecided
        assert layer.margin >= 0
