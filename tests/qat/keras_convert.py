"""Conversions of prepared models; run by tests/qat/test_keras.py in a process of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
import quantcore.qat as qat
from quantcore.graph import Model, Tensor
from quantcore.oracle import Oracle
from quantcore.qat.export import export_saved_model
from quantcore.qat.layers import FakeQuantizedWeights
from tests.qat.networks import NETWORKS, build, samples

FILTERS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}


@pytest.fixture(scope="module")
def oracle() -> Any:
    with Oracle() as started:
        yield started


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
    if "Conv1D" in kind:
        return kernel.transpose(2, 0, 1)[:, None]
    return kernel.transpose(3, 0, 1, 2) if kernel.ndim == 4 else kernel.T


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_the_file_are_those_of_the_forward_pass(name: str, oracle: Oracle) -> None:
    network = build(name)
    for bits in (8, 4):
        prepared = qat.prepare(network, {"weight_bits": bits}, representative_dataset=samples(network))
        model = qc.load(qat.convert(prepared, oracle=oracle))
        layers = [layer for layer in prepared.layers if isinstance(layer, FakeQuantizedWeights)]
        found = filters(model)
        assert len(found) == len(layers)
        for tensor, layer in zip(found, layers, strict=True):
            assert tensor.dtype == f"int{bits}", (tensor.name, tensor.dtype)
            expected = as_stored(layer.fake_quantized_kernel().numpy(), type(layer).__name__)
            scale, axis = tensor.quantization.scale, tensor.quantization.quantized_dimension
            if scale.size > 1:
                scale = scale.reshape([-1 if i == axis else 1 for i in range(expected.ndim)])
            integers = expected.astype(np.float64) / scale
            # The scale is that of the file: its last bit may differ, since the converter finds it anew.
            np.testing.assert_allclose(integers, np.round(integers), rtol=0, atol=3e-5, err_msg=tensor.name)
            np.testing.assert_array_equal(np.round(integers), integers_of(tensor), err_msg=tensor.name)


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_weights_are_those_of_the_converter(name: str, oracle: Oracle, tmp_path: Any) -> None:
    network = build(name)
    export_saved_model(network, tmp_path)
    model = qc.load(oracle.convert(tmp_path, "float"))
    layers = [layer for layer in qat.prepare(network).layers if isinstance(layer, FakeQuantizedWeights)]
    found = filters(model)
    assert len(found) == len(layers)
    for tensor, layer in zip(found, layers, strict=True):
        kernel = layer.folded()[0].numpy()
        np.testing.assert_array_equal(
            as_stored(kernel, type(layer).__name__), tensor.data, err_msg=tensor.name
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_all_operators_are_integers(name: str, oracle: Oracle) -> None:
    network = build(name)
    prepared = qat.prepare(network, representative_dataset=samples(network))
    for io in ("int8", "float32"):
        model = qc.load(qat.convert(prepared, io=io, oracle=oracle))
        operators = [op.op for op in model.subgraphs[0].operators]
        ends = {"int8": 0, "float32": 2}[io] * (len(network.inputs) + len(network.outputs)) // 2
        assert operators.count("QUANTIZE") + operators.count("DEQUANTIZE") == ends, operators
