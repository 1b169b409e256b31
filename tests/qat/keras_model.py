"""Prepared models: arithmetic, training, saving, refusals; run by tests/qat/test_keras.py."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import quantcore.qat as qat
from quantcore.errors import QuantizationError
from quantcore.qat.arithmetic import fake_quantize_weights
from quantcore.qat.checks import fake_quantizers
from tests.qat.networks import IMAGE, NETWORKS, body, build, conv_norm_relu, samples

L = keras.layers
SHAPES = {
    "conv": ((3, 3, 5, 7), -1),
    "transposed": ((2, 2, 7, 5), 2),
    "dense": ((300, 40), 1),
    "one": ((9, 8), None),
}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_elementary_fake_quantization_is_that_of_tensorflow(shape: str, bits: int) -> None:
    size, axis = SHAPES[shape]
    rng = np.random.default_rng(bits)
    for _ in range(40):
        weights = rng.normal(size=size).astype(np.float32)
        weights *= np.exp(rng.normal(size=[size[axis] if axis == -1 else 1]) * 4).astype(np.float32)
        weights[rng.integers(0, size[0])] *= rng.choice([0, 1], 1)  # some hold nothing but zeros
        expected = fake_quantize_weights(tf.constant(weights), axis, bits)
        found = fake_quantize_weights(tf.constant(weights), axis, bits, elementary=True)
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        assert len(np.unique(found.numpy())) > 4


def test_zeros_stay_zeros_and_gradients_go_straight_through() -> None:
    weights = tf.constant([[0.0, 1.5, -0.2], [0.0, -3.0, 0.1]])
    for elementary in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            total = tf.reduce_sum(
                fake_quantize_weights(weights, 1, 8, elementary=elementary) * [[1.0, 2, 3], [4, 5, 6]]
            )
        gradient = tape.gradient(total, weights).numpy()
        assert not fake_quantize_weights(weights, 1, 8, elementary=elementary).numpy()[:, 0].any()
        np.testing.assert_array_equal(gradient[:, 1:], [[2, 3], [5, 6]])


@pytest.mark.parametrize("name", NETWORKS)
def test_preparing_leaves_the_network_alone_and_keeps_its_weights(name: str) -> None:
    network = build(name)
    before = [np.array(w) for w in network.get_weights()]
    inputs = _pack(network, samples(network, 4))
    expected = _flat(network(inputs, training=False))
    prepared = qat.prepare(network)
    found = _flat(prepared(inputs, training=False))  # without ranges only the weights are quantized
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b).max() <= 0.05 * max(1.0, np.abs(b).max()), np.abs(a - b).max()
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), before, strict=True))
    trainable = sum(int(np.prod(w.shape)) for w in network.trainable_weights)
    assert sum(int(np.prod(w.shape)) for w in prepared.trainable_weights) == trainable
    assert not any(
        layer.current_range() for layer in fake_quantizers(prepared).values() if layer.ranges != "fixed"
    )


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("several_ends", {}), ("growing", {"ranges": "learnt", "batch_norm": "batch", "weight_bits": 4})],
)
def test_training_saving_and_cloning(name: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    network = build(name)
    prepared = qat.prepare(network, recipe)
    arrays = samples(network, 32)
    inputs = _pack(network, arrays)
    targets = keras.tree.map_structure(lambda x: np.zeros((32, *x.shape[1:]), np.float32), prepared(inputs))
    prepared.compile("adam", keras.tree.map_structure(lambda _: "mse", targets))
    before = prepared.get_weights()
    history = prepared.fit(inputs, targets, epochs=2, batch_size=8, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    changed = [not np.array_equal(a, b) for a, b in zip(before, prepared.get_weights(), strict=True)]
    assert sum(changed) > len(changed) / 2
    for layer in fake_quantizers(prepared).values():
        low, high = layer.current_range()
        assert low <= 0 <= high, layer.name
        assert low < high, layer.name
    weights = prepared.get_weights()
    expected = _flat(prepared(inputs, training=False))
    prepared.evaluate(inputs, targets, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(weights, prepared.get_weights(), strict=True))
    prepared.save(tmp_path / "model.keras")
    prepared.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    cloned = keras.models.clone_model(prepared)
    cloned.load_weights(tmp_path / "model.weights.h5")
    for other in (loaded, cloned):
        for a, b in zip(_flat(other(inputs, training=False)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_moving_averages() -> None:
    layer = qat.FakeQuantize(momentum=0.75)
    x = tf.constant([-1.0, 2.0])
    np.testing.assert_array_equal(layer(x, member=0, training=False), x)  # no range: unchanged
    layer(x, member=0, training=True)
    assert layer.current_range() == (-1.0, 2.0)
    layer(tf.constant([4.0, 3.0]), member=0, training=True)
    assert layer.current_range() == (-0.75, 2.5)
    layer(x * 9, member=0, training=False)
    layer(x * 9, training=True)  # a place that only follows
    assert layer.current_range() == (-0.75, 2.5)
    expected = tf.quantization.fake_quant_with_min_max_vars(x * 9, -0.75, 2.5)
    np.testing.assert_array_equal(layer(x * 9, member=0), expected)


def test_members_share_the_union_of_their_ranges() -> None:
    layer = qat.FakeQuantize(members=2, momentum=0.5)
    layer(tf.constant([-1.0, 2.0]), member=0, training=True)
    layer(tf.constant([-3.0, 1.0]), member=1, training=True)
    assert layer.current_range() == (-3.0, 2.0)
    layer(tf.constant([-1.0, 1.0]), member=1, training=True)
    assert layer.current_range() == (-2.0, 2.0)


def test_learnt_ranges_have_the_gradients_of_tensorflow() -> None:
    layer = qat.FakeQuantize("learnt")
    layer(tf.constant([-1.0, 2.0]), member=0, training=True)
    x = tf.constant([-5.0, -1.0, 0.3, 1.0, 7.0, 9.0])
    low, high = tf.constant(-1.0), tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([low, high])
        found = tf.reduce_sum(layer(x, member=0, training=True) ** 2)
        expected = tf.reduce_sum(tf.quantization.fake_quant_with_min_max_vars(x, low, high) ** 2)
    ours = tape.gradient(found, [layer.range_min.value, layer.range_max.value])
    assert [float(g) for g in ours] == [float(g) for g in tape.gradient(expected, [low, high])]
    assert all(float(g) for g in ours)
    assert len(layer.trainable_variables) == 2


def test_calibration_is_the_minimum_and_maximum_of_the_float_network() -> None:
    network = body(lambda x: conv_norm_relu(x, 4, name="conv"))
    arrays = samples(network, 70)
    for ranges in ("moving_average", "learnt"):
        seen: list[int] = []
        prepared = qat.prepare(network, {"ranges": ranges})
        qat.calibrate(prepared, arrays[0], advance=seen.append)
        assert sum(seen) == 70
        found = {name: layer.current_range() for name, layer in fake_quantizers(prepared).items()}
        assert found["image_fake_quantize"] == (float(arrays[0].min()), float(arrays[0].max()))
        largest = float(network.predict(arrays[0], verbose=0).max())
        assert found["conv_fake_quantize"] == (0.0, pytest.approx(largest, rel=1e-5))
        before = [np.array(w) for w in prepared.get_weights()]
        arrays[0][3, 0, 0, 0] = np.nan
        with pytest.raises(QuantizationError, match="'image_fake_quantize'"):
            qat.calibrate(prepared, arrays[0])
        arrays[0][3, 0, 0, 0] = 0
        assert all(np.array_equal(a, b) for a, b in zip(before, prepared.get_weights(), strict=True))


def test_batch_statistics_are_used_until_they_are_frozen() -> None:
    network = body(lambda x: L.BatchNormalization(momentum=0.5)(L.Conv2D(4, 3)(x)))
    (x,) = samples(network, 32)
    expected = network(x * 3, training=True).numpy()  # moves its statistics
    wanted = [np.array(v) for v in network.layers[-1].non_trainable_weights]
    prepared = qat.prepare(keras.models.clone_model(network), {"batch_norm": "batch"})
    layer = next(layer for layer in prepared.layers if hasattr(layer, "batch_norm"))
    layer.kernel.assign(network.layers[1].kernel)
    found = layer(x * 3, training=True).numpy()
    assert np.abs(found - expected).max() < 0.05  # normalized by the batch, weights of 8 bits
    for a, b in zip(layer.batch_norm.non_trainable_weights, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    qat.freeze_batch_norm(prepared)
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))


def test_a_softmax_keeps_the_logits_for_the_loss() -> None:
    """A probability that is rounded to zero has a logarithm, and a gradient."""
    inputs = keras.Input((2,))
    prepared = qat.prepare(keras.Model(inputs, L.Dense(2, activation="softmax", name="dense")(inputs)))
    x, y = np.array([[30.0, -30.0]], np.float32), np.array([0])
    prepared.get_layer("dense").kernel.assign(np.eye(2)[::-1])
    prepared.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    before = prepared.get_layer("dense").get_weights()[0]
    prepared.fit(x, y, verbose=0)
    assert np.abs(prepared.get_layer("dense").get_weights()[0] - before).max() > 0.1


def test_fixed_ranges_of_a_recipe() -> None:
    network = body(lambda x: L.Conv2D(3, 3, activation="relu", name="first")(x))
    layers = {"first": {"range": (0, 1.5)}, "image": {"range": (-1, 1)}}
    prepared = qat.prepare(network, {"layers": layers})
    found = {name: layer.current_range() for name, layer in fake_quantizers(prepared).items()}
    assert found == {"image_fake_quantize": (-1.0, 1.0), "first_fake_quantize": (0.0, 1.5)}


BAD_RECIPES = {
    "min > max": {"layers": {"a": {"range": (1, -1)}}},
    "not finite": {"layers": {"a": {"range": (float("nan"), 1)}}},
    "does not hold 0": {"layers": {"a": {"range": (1, 2)}}},
    "is empty": {"layers": {"a": {"range": (0, 0)}}},
    r"expected \(min, max\)": {"layers": {"a": {"range": 3}}},
    "weight_bits is 5": {"weight_bits": 5},
    "no recipe 'int2'": "int2",
    "has a field 'bits'": {"bits": 4},
    "momentum is 1": {"momentum": 1},
    "did you mean 'conv2d'": {"float_layers": ["conv2e"]},
}


@pytest.mark.parametrize("message", BAD_RECIPES)
def test_bad_recipes(message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        qat.prepare(body(lambda x: L.Conv2D(2, 1, name="conv2d")(x)), BAD_RECIPES[message])


class Twice(L.Layer):
    def call(self, x: Any) -> Any:
        return x * 2


def half(x: Any) -> Any:
    inputs = keras.Input(IMAGE, dtype="float32")
    return keras.Model(inputs, L.Conv2D(2, 1, dtype="mixed_float16")(inputs))


def test_layers_that_cannot_be_quantized_are_all_named() -> None:
    def layers(x: Any) -> Any:
        x = L.Conv1D(4, 3, activation="softsign", name="bad_act")(Twice(name="own")(x))
        return L.Dense(2)(L.LSTM(3, name="memory")(x))

    network = body(layers, (9, 3))
    with pytest.raises(QuantizationError) as caught:
        qat.prepare(network)
    for name in ("'bad_act'", "'own'", "'memory'", "float_layers=['own', 'bad_act', 'memory']"):
        assert name in str(caught.value)
    prepared = qat.prepare(network, {"float_layers": ["own", "bad_*", "memory"]}, samples(network)[0])
    assert "memory_fake_quantize" in fake_quantizers(prepared)


def test_models_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Subclassed(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    network = body(lambda x: L.Conv2D(2, 1)(x))
    prepared = qat.prepare(network)
    whole = keras.Input((3,), dtype="int32")
    cases = {
        "prepared .* already": lambda: qat.prepare(prepared),
        "subclassed": lambda: qat.prepare(Subclassed()),
        "no weights yet": lambda: qat.prepare(keras.Sequential([L.Dense(3)])),
        "is int32": lambda: qat.prepare(keras.Model(whole, L.Embedding(4, 2)(whole))),
        "mixed_float16": lambda: qat.prepare(half(None)),
        "is a str": lambda: qat.prepare("model.keras"),
        "is a Thing.*expected": lambda: qat.prepare(type("Thing", (), {})()),
        "no fake quantization": lambda: qat.convert(network),
        "no range yet": lambda: qat.convert(prepared),
        "engine is 'x'": lambda: qat.convert(prepared, engine="x"),
        "io is 'int16'": lambda: qat.convert(prepared, io="int16"),
        "cannot stay float": lambda: qat.prepare(build("cnn"), {"float_layers": ["conv2d_1"]}),
        "more than once": lambda: qat.prepare(build("shared"), "int4"),
    }
    for message, call in cases.items():
        with pytest.raises(QuantizationError, match=message):
            call()
    old = types.ModuleType("tf_keras")
    old.Model = type("Model", (), {})
    monkeypatch.setitem(sys.modules, "tf_keras", old)
    with pytest.raises(QuantizationError, match="tf_keras"):
        qat.prepare(old.Model())


def test_useless_ranges_are_refused_by_name() -> None:
    prepared = qat.prepare(body(lambda x: L.Conv2D(2, 1)(x)), None, np.ones((1, *IMAGE), np.float32))
    layer = fake_quantizers(prepared)["image_fake_quantize"]
    for low, high in ((0.0, 0.0), (float("nan"), 1.0), (2.0, 1.0)):
        layer.range_min.assign([low])
        layer.range_max.assign([high])
        with pytest.raises(QuantizationError, match="image_fake_quantize"):
            qat.convert(prepared)


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from quantcore.qat.backend import check_backend

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(QuantizationError, match="KERAS_BACKEND=tensorflow"):
        check_backend()


def _pack(model: Any, arrays: list[np.ndarray]) -> Any:
    like = model._functional if isinstance(model, keras.Sequential) else model
    return keras.tree.pack_sequence_as(like._inputs_struct, arrays)


def _flat(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in keras.tree.flatten(outputs)]
