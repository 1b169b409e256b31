"""docs/numerics/qat.md on trained models; run by tests/qat/test_keras.py in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import quantcore as qc
import quantcore.qat as qat
from quantcore.comparison.agreement import compare_structure
from quantcore.errors import QuantizationError
from quantcore.evaluate import predict, predict_oracle, score
from quantcore.graph import Model
from quantcore.numerics import PROFILES
from quantcore.oracle import Oracle
from tests.qat.networks import L, build, check_agrees, samples

BITS = (8, 4)
CLASSES = 5


def every_kind() -> Any:
    """Return a network with each kind of operator that rounds, and some that move."""
    inputs = keras.Input((12, 12, 3), name="image")
    x = L.ReLU(6.0)(
        L.BatchNormalization()(L.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs))
    )
    y = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
    y = L.BatchNormalization()(L.Conv2D(16, 1)(y))
    x = L.Add(name="residual")([x, y])
    a, b = L.Conv2D(8, 1, activation="relu")(x), L.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = L.AveragePooling2D(2, strides=1, padding="same")(L.MaxPooling2D(2)(L.Concatenate()([a, b])))
    x = L.Conv2D(24, 3, padding="same", activation="silu")(x)
    x = L.Dense(20, activation="tanh")(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Softmax()(L.Dense(CLASSES)(x)), name="every_kind")


@pytest.fixture(scope="module")
def oracle() -> Any:
    with Oracle() as started:
        yield started


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels, of which a little can be learnt."""
    rng = np.random.default_rng(81)
    images = rng.normal(size=(160, 12, 12, 3)).astype(np.float32)
    labels = np.argmax(images.mean(axis=(1, 2)) @ rng.normal(size=(3, CLASSES)), axis=1)
    return images, labels


@pytest.fixture(scope="module", params=BITS, ids="{} bits".format)
def trained(request: Any, oracle: Oracle, data: Any) -> tuple[Any, bytes]:
    """Return a prepared model after a little training, and the converter's file of it."""
    keras.utils.set_random_seed(5)
    model = qat.prepare(every_kind(), {"weight_bits": request.param}, data[0][:32])
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(*data, epochs=1, batch_size=32, verbose=0)
    return model, qat.convert(model, oracle=oracle)


@pytest.mark.parametrize("numerics", PROFILES)
def test_the_forward_pass_is_what_the_kernels_compute(numerics: str, trained: Any, data: Any) -> None:
    model, file = trained
    result = qat.verify(model, file, data[0][:24], numerics)
    check_agrees(result)
    assert {layer.op for layer in result.layers} == {
        *("", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "LOGISTIC", "MUL", "MEAN"),
        *("FULLY_CONNECTED", "TANH", "SOFTMAX"),
    }
    decided = sum(layer.elements - layer.undecided for layer in result.layers)
    assert decided > 0.9 * sum(layer.elements for layer in result.layers)
    output = result.outputs[0]
    assert output.same_largest >= 0.8 * output.rows
    assert "all within the derived rounding" in str(result)
    assert json.loads(json.dumps(result.to_json()))["agrees"]


def test_other_inputs_and_outputs(trained: Any, data: Any, oracle: Oracle) -> None:
    model, file = trained
    four_bits = any(tensor.dtype == "int4" for tensor in qc.load(file).subgraphs[0].tensors)
    io = "float32" if four_bits else "uint8"  # one for each model
    check_agrees(qat.verify(model, qat.convert(model, io=io, oracle=oracle), data[0][:8]))


def test_symmetric_ranges_have_one_zero_point(oracle: Oracle) -> None:
    """The middle of such a range lies between two integers; -1..1 float32 and float64 round apart."""
    network = build("cnn")
    inputs = samples(network)
    ranges = {layer.name: {"range": (-1, 1)} for layer in network.layers if layer.name != "flatten"}
    model = qat.prepare(network, {"layers": ranges}, inputs)
    check_agrees(qat.verify(model, qat.convert(model, oracle=oracle), inputs))


def test_float_layers_are_not_check_agrees(oracle: Oracle) -> None:
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="elu", name="free_1")(L.Conv2D(6, 3, activation="relu")(inputs))
    x = L.Conv2D(4, 3, activation="elu", name="free_2")(x)
    network = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    model = qat.prepare(network, {"float_layers": ["free*"]}, samples(network))
    result = qat.verify(model, qat.convert(model, oracle=oracle), samples(network))
    (left,) = [layer for layer in result.layers if layer.status != "agrees"]
    assert (left.name, left.status) == ("free_2", "not compared")
    assert "computed in float by" in left.reason
    assert not result.agrees
    assert "not proved" in str(result)


def test_several_inputs_and_outputs(oracle: Oracle) -> None:
    """The converter makes a tensor without batch of one operand of the sum."""
    a, b = keras.Input((5,), name="a"), keras.Input((7,), name="b")
    x, y = L.Dense(4)(a), L.Dense(4)(b)
    network = keras.Model({"b": b, "a": a}, [L.Add(name="sum")([x, y]), L.Dense(2)(y)])
    rng = np.random.default_rng(82)
    inputs = {name: rng.normal(size=(9, n)).astype(np.float32) for name, n in (("a", 5), ("b", 7))}
    model = qat.prepare(network, None, inputs)
    result = qat.verify(model, qat.convert(model, oracle=oracle), inputs)
    check_agrees(result)
    assert len(result.outputs) == 2


def test_the_whole_way(trained: Any, data: Any, oracle: Oracle) -> None:
    """Both engines give one model; it is bit-exact in all profiles; both interpreters reach one accuracy."""
    model, file = trained
    theirs = qc.load(file)
    ours = qc.load(qat.convert(model, engine="quantcore", oracle=oracle))
    structure = compare_structure(ours, theirs)
    assert structure.agrees, structure.differences
    check_agrees(qat.verify(model, ours, data[0][:8]))
    results = qc.verify(theirs, samples=3, numerics="all").profiles
    assert set(results) == set(PROFILES)
    for numerics, result in results.items():
        left = [(row.op, row.status, row.reason) for row in result.rows if row.status != "exact"]
        assert not left, (numerics, left)
    first = theirs.subgraphs[0].tensors[theirs.subgraphs[0].inputs[0]]
    images, labels = qc.quantize(data[0], first.params), data[1]
    scores, expected = predict(ours, images), predict_oracle(theirs, images, oracle)
    np.testing.assert_array_equal(scores, expected)
    assert score(scores, labels).accuracy == score(expected, labels).accuracy


# What must be noticed -----------------------------------------------------------------------------------


def weight_by_one_step(model: Model) -> None:
    weights, _, _ = constants(model)
    weights.data = weights.data.copy()
    weights.data.reshape(-1)[7] ^= 1  # of 4 bits: the lower half of a byte


def quarter_of_a_step(model: Model) -> None:
    """Round a quarter of a step late, by the bias."""
    _, bias, output = constants(model)
    bias.data = bias.data + np.rint(0.25 * output.quantization.scale[0] / bias.quantization.scale).astype(
        np.int32
    )


def weight_scale(model: Model) -> None:
    weights, _, _ = constants(model)
    weights.quantization.scale = weights.quantization.scale * np.float32(1.01)


def output_scale(model: Model) -> None:
    _, _, output = constants(model)
    output.quantization.scale = output.quantization.scale * np.float32(1.001)


def zero_point(model: Model) -> None:
    _, _, output = constants(model)
    output.quantization.zero_point = output.quantization.zero_point + 1


def far_zero_point(model: Model) -> None:
    _, _, output = constants(model)
    output.quantization.zero_point = output.quantization.zero_point + 5


def constants(model: Model) -> Any:
    """Return filter, bias and output of the convolution of every_kind that has no activation."""
    subgraph = model.subgraphs[0]
    op = next(
        op
        for op in subgraph.operators
        if op.op == "CONV_2D" and op.options["fused_activation_function"] == "NONE"
    )
    return [subgraph.tensors[t] for t in (op.inputs[1], op.inputs[2], op.outputs[0])]


def changed(file: bytes, change: Callable[[Model], None]) -> Model:
    model = qc.load(file)
    change(model)
    return model


@pytest.mark.parametrize("change", [weight_by_one_step, quarter_of_a_step, weight_scale])
def test_a_wrong_number_is_noticed(change: Callable[[Model], None], trained: Any, data: Any) -> None:
    model, file = trained
    result = qat.verify(model, changed(file, change), data[0][:16])
    assert not result.agrees
    (wrong,) = [layer for layer in result.layers if layer.status == "outside"]
    assert wrong.name == "batch_normalization_2" or wrong.op == "CONV_2D"
    assert wrong.outside > 0
    assert wrong.margin is not None
    assert wrong.margin < 0
    assert "does NOT agree" in str(result)


@pytest.mark.parametrize("change", [output_scale, far_zero_point])
def test_a_file_with_other_parameters_is_refused(
    change: Callable[[Model], None], trained: Any, data: Any
) -> None:
    model, file = trained
    with pytest.raises(QuantizationError, match=r"output of layer 'conv2d.*' has scale .* and zero point"):
        qat.verify(model, changed(file, change), data[0][:2])


def test_a_zero_point_that_is_one_off_is_explained(trained: Any, data: Any) -> None:
    model, file = trained
    with pytest.raises(QuantizationError, match="a step off: give the layer another range"):
        qat.verify(model, changed(file, zero_point), data[0][:2])


def test_a_file_of_another_model_is_refused(trained: Any, data: Any, oracle: Oracle) -> None:
    model, _ = trained
    network = build("cnn")
    other = qat.convert(qat.prepare(network, None, samples(network)), oracle=oracle)
    with pytest.raises(QuantizationError, match=r"not of this model: its input '.*' has shape"):
        qat.verify(model, other, data[0][:2])
    with pytest.raises(QuantizationError, match=r"expected \(12, 12, 3\)|shape"):
        qat.verify(model, other, data[0][:2, :8])
    with pytest.raises(QuantizationError, match="prepare first"):
        qat.verify(network, other, samples(network))
