"""Conversions of prepared models; run by tests/qat/test_keras.py in a process of its own."""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import quantcore as qc
import quantcore.qat as qat
from quantcore.comparison.agreement import compare_structure
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Tensor
from quantcore.oracle import Oracle
from quantcore.qat.convert import ENGINES
from quantcore.qat.export import export_saved_model
from quantcore.qat.layers import FakeQuantizedWeights
from tests.qat.networks import BEYOND_VERIFY, NETWORKS, body, build, check_agrees, samples

L = keras.layers
FILTERS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}


@pytest.fixture(scope="module")
def oracle() -> Any:
    with Oracle() as started:
        yield started


@pytest.fixture(autouse=True)
def exported_once(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Write the SavedModel of a network once, for all conversions: both engines begin with the same one."""
    written: dict[int, tuple[Any, Any]] = {}

    def export_once(model: Any, folder: Any) -> None:
        if id(model) not in written:
            written[id(model)] = (
                model,
                tmp_path_factory.mktemp("saved"),
            )  # the model, so that no other has its id
            export_saved_model(model, written[id(model)][1])
        shutil.copytree(written[id(model)][1], folder, dirs_exist_ok=True)

    monkeypatch.setattr(import_module("quantcore.qat.convert"), "export_saved_model", export_once)


def filters(model: Model) -> list[Tensor]:
    subgraph = model.subgraphs[0]
    return [subgraph.tensors[op.inputs[FILTERS[op.op]]] for op in subgraph.operators if op.op in FILTERS]


def integers_of(tensor: Tensor) -> np.ndarray:
    """Return a filter's integers; two of 4 bits stand in a byte, the first in its lower half."""
    if tensor.dtype == "int8":
        return tensor.data
    halves = np.stack([tensor.data & 15, tensor.data >> 4], axis=-1).ravel()[: np.prod(tensor.shape)]
    return (halves.astype(np.int8) ^ 8).reshape(tensor.shape) - 8


def as_stored(kernel: np.ndarray, kind: str) -> np.ndarray:
    """Return a kernel of Keras in the order of axes of a ``.tflite``."""
    if "DepthwiseConv2D" in kind:
        return kernel.reshape(1, *kernel.shape[:2], -1)
    if "Conv2DTranspose" in kind:
        return kernel.transpose(2, 0, 1, 3)
    if "Conv1D" in kind and kernel.ndim == 3:
        return kernel.transpose(2, 0, 1)[:, None]
    return kernel.transpose(3, 0, 1, 2) if kernel.ndim == 4 else kernel.T


def check_weights(prepared: Any, model: Model, bits: int) -> None:
    """The integers of the file are those of the forward pass."""
    layers = [layer for layer in prepared.layers if isinstance(layer, FakeQuantizedWeights)]
    found = filters(model)
    assert len(found) == sum(len(layer._inbound_nodes) for layer in layers)
    if len(found) > len(layers):
        return  # layers that are called twice, whose filters stand in the file twice
    for tensor in found:  # operators of branches stand in another order than layers
        layer = next((layer for layer in layers if has_weights(layer, tensor)), None)
        assert layer is not None, f"{tensor.name}: its integers are those of no layer"
        layers.remove(layer)
        assert tensor.dtype == f"int{8 if 'Transpose' in type(layer).__name__ else bits}", tensor.name


def has_weights(layer: Any, tensor: Tensor) -> bool:
    """Whether a layer's fake-quantized weights are a filter's integers times its scales."""
    expected = as_stored(layer.fake_quantized_kernel().numpy(), type(layer).__name__)
    if expected.shape != tensor.shape:
        return False
    scale, axis = tensor.quantization.scale, tensor.quantization.quantized_dimension
    if scale.size > 1:
        scale = scale.reshape([-1 if i == axis else 1 for i in range(expected.ndim)])
    integers = expected.astype(np.float64) / scale
    # The scale is that of the file: its last bit may differ, since the converter finds it anew.
    exact = np.abs(integers - np.round(integers)).max() < 3e-5
    return bool(exact and np.array_equal(np.round(integers), integers_of(tensor)))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_become_integers_by_both_engines_that_agree_with_them(name: str, oracle: Oracle) -> None:
    network = build(name)
    inputs = samples(network)
    prepared = qat.prepare(network, representative_dataset=inputs)
    model = qc.load(qat.convert(prepared, oracle=oracle))
    operators = [op.op for op in model.subgraphs[0].operators]
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(operators), operators
    check_weights(prepared, model, 8)
    check_equal(prepared, model, oracle)
    if name not in BEYOND_VERIFY:  # keras_verify.py has one network in every profile
        numerics = ("reference", "xnnpack")[list(NETWORKS).index(name) % 2]
        check_agrees(qat.verify(prepared, model, inputs, numerics))


def check_equal(prepared: Any, model: Model, oracle: Oracle) -> None:
    """Quantcore makes the converter's model."""
    ours = qc.load(qat.convert(prepared, engine="quantcore", oracle=oracle))
    agreement = compare_structure(ours, model)
    assert not agreement.differences
    assert agreement.worst_scale == 0
    assert agreement.compared == agreement.equal


@pytest.mark.parametrize("name", ["mlp", "depthwise", "sequence", "transposed", "branches"])
def test_weights_of_4_bits(name: str, oracle: Oracle) -> None:
    network = build(name)
    prepared = qat.prepare(network, "int4", samples(network))
    model = qc.load(qat.convert(prepared, oracle=oracle))
    check_weights(prepared, model, 4)
    check_equal(prepared, model, oracle)


@pytest.mark.parametrize(
    "name", ["dense_norm", "depthwise", "norm_options", "separable", "transposed", "sequence"]
)
def test_folded_weights_are_those_of_the_converter(name: str, oracle: Oracle, tmp_path: Any) -> None:
    network = build(name)
    export_saved_model(network, tmp_path)
    model = qc.load(oracle.convert(tmp_path, "float"))
    prepared = qat.prepare(network)
    layers = [layer for layer in prepared.layers if isinstance(layer, FakeQuantizedWeights)]
    for tensor, layer in zip(filters(model), layers, strict=True):
        kernel, bias = (None if value is None else value.numpy() for value in layer.folded())
        np.testing.assert_array_equal(
            as_stored(kernel, type(layer).__name__), tensor.data, err_msg=tensor.name
        )
        if bias is not None:
            stored = [model.subgraphs[0].tensors[op.inputs[-1]].data for op in readers(model, tensor)]
            np.testing.assert_array_equal(bias, stored[0], err_msg=tensor.name)


def readers(model: Model, tensor: Tensor) -> list[Operator]:
    subgraph = model.subgraphs[0]
    return [
        op for op in subgraph.operators if any(i >= 0 and subgraph.tensors[i] is tensor for i in op.inputs)
    ]


def test_ends_and_names(oracle: Oracle) -> None:
    network = build("several_ends")
    prepared = qat.prepare(network, representative_dataset=samples(network))
    for io in ("uint8", "float32"):
        for engine in ENGINES:
            model = qc.load(qat.convert(prepared, engine, io, oracle=oracle))
            subgraph = model.subgraphs[0]
            assert {subgraph.tensors[i].dtype for i in (*subgraph.inputs, *subgraph.outputs)} == {io}
            (signature,) = model.signatures
            assert set(signature.inputs) == {"image", "other"}
            assert set(signature.outputs) == {"kind", "size"}
            assert all(subgraph.tensors[i].shape[0] == 1 for i in (*subgraph.inputs, *subgraph.outputs))


def test_layers_in_float(oracle: Oracle) -> None:
    def layers(x: Any) -> Any:
        return L.Dense(3, name="last")(L.Activation("softsign", name="middle")(L.Dense(4, name="first")(x)))

    network = body(layers, (6,))
    prepared = qat.prepare(network, {"float_layers": ["middle"]}, samples(network))
    operators = [op.op for op in qc.load(qat.convert(prepared, oracle=oracle)).subgraphs[0].operators]
    assert operators == ["FULLY_CONNECTED", "DEQUANTIZE", "ABS", "ADD", "DIV", "QUANTIZE", "FULLY_CONNECTED"]
    prepared = qat.prepare(network, {"float_layers": ["middle", "last"]}, samples(network))
    with pytest.raises(QuantizationError, match="io='float32'"):
        qat.convert(prepared, oracle=oracle)
    assert qat.convert(prepared, io="float32", oracle=oracle)


def test_transposed_convolution_in_float(oracle: Oracle) -> None:
    """It has int8 weights all the same."""

    def layers(x: Any) -> Any:
        x = L.Conv2DTranspose(3, 2, activation="relu", name="first")(L.Conv2D(3, 3)(x))
        return L.Conv2D(2, 1)(L.Conv2D(2, 1, name="second")(x))

    network = body(layers)
    prepared = qat.prepare(network, {"float_layers": ["first", "second"]}, samples(network))
    model = qc.load(qat.convert(prepared, oracle=oracle))
    assert [tensor.dtype for tensor in filters(model)] == ["int8", "int8", "float32", "int8"]
    check_equal(prepared, model, oracle)


def test_the_converter_takes_a_prepared_model_directly() -> None:
    network = build("cnn")
    prepared = qat.prepare(network, representative_dataset=samples(network))
    converter = tf.lite.TFLiteConverter.from_keras_model(prepared)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    check_weights(prepared, qc.load(converter.convert()), 8)
