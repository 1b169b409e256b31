"""4-bit weights after training: who has them, how they are stored, what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Ranges, TensorRange
from quantcore.comparison.constants import constant_values
from quantcore.errors import QuantizationError
from quantcore.flatbuffer import read_model, write_model
from quantcore.flatbuffer.constants import constant_codes, packed_int4, unpacked_int4
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.oracle.registered import lowered_operators, with_registered_versions
from quantcore.quantizer.parameters import four_bit_weights, weight_qparams
from tests.ops.harness import get_oracle

CONV = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
DEPTHWISE = CONV | {"depth_multiplier": 1}
RNG = np.random.default_rng(0)


def draw(*shape: int, rng: np.random.Generator = RNG) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def network() -> Model:
    """Return a convolution of each kind and a dense layer, with an odd number of weights."""
    shapes = {"x": (1, 4, 4, 3), "a": (1, 4, 4, 3), "b": (1, 4, 4, 3), "flat": (1, 48), "y": (1, 5)}
    tensors = {name: Tensor(name, shape, "float32") for name, shape in shapes.items()}
    sizes = {"w": (3, 1, 1, 3), "d": (1, 3, 3, 3), "f": (5, 48), "c": (3,), "e": (5,)}
    rng = np.random.default_rng(1)
    constants = {name: draw(*size, rng=rng) for name, size in sizes.items()}
    tensors |= {name: Tensor(name, data.shape, "float32", data=data) for name, data in constants.items()}
    tensors["shape"] = Tensor("shape", (2,), "int32", data=np.array([1, 48], np.int32))
    index = {name: i for i, name in enumerate(tensors)}

    def op(name: str, inputs: str, output: str, **options: Any) -> Operator:
        return Operator(name, 1, tuple(index[t] for t in inputs.split()), (index[output],), options)

    operators = [
        op("CONV_2D", "x w c", "a", **CONV),
        op("DEPTHWISE_CONV_2D", "a d c", "b", **DEPTHWISE),
        op("RESHAPE", "b shape", "flat"),
        op("FULLY_CONNECTED", "flat f e", "y"),
    ]
    graph = Subgraph("main", list(tensors.values()), operators, (index["x"],), (index["y"],))
    return Model([graph], buffers=[None])


def weights(model: Model) -> list[Tensor]:
    main = model.subgraphs[0]
    return [main.tensors[op.inputs[1]] for op in main.operators if op.op.endswith(("CONV_2D", "CONNECTED"))]


def quantized(**options: Any) -> Model:
    model = network()
    values = {
        t: TensorRange(x.name, -3.0, 3.0) for t, x in enumerate(model.subgraphs[0].tensors) if x.data is None
    }
    return read_model(write_model(qc.quantize_model(model, ranges=Ranges(values), **options)))


def versions(model: Model) -> list[int]:
    return [op.version for op in model.subgraphs[0].operators]


def test_weights_have_four_bits() -> None:
    model = quantized(weight_bits=4)
    conv, depthwise, dense = weights(model)
    assert [t.dtype for t in (conv, depthwise, dense)] == ["int4"] * 3
    sizes = [(t.params.axis, t.params.channels) for t in (conv, depthwise, dense) if t.params is not None]
    assert sizes == [(0, 3), (3, 3), (None, 1)]
    assert versions(model) == [7, 7, 1, 10]
    assert conv.data is not None
    assert conv.data.size == 5  # 9 weights
    for tensor, original in zip((conv, depthwise, dense), weights(network()), strict=True):
        values, codes = constant_values(tensor), constant_codes(tensor)
        assert values is not None
        assert codes is not None
        assert original.data is not None
        assert np.abs(codes).max() == 7
        steps = np.broadcast_to(np.max(np.atleast_1d(tensor.params.scale)), values.shape)  # type: ignore[union-attr]
        assert (np.abs(values - original.data) <= steps / 2 * 1.0001).all()


def test_per_tensor() -> None:
    assert [t.params.channels for t in weights(quantized(weight_bits=4, per_channel=False))] == [1, 1, 1]  # type: ignore[union-attr]


def test_recipes_choose_bits() -> None:
    eight = {"rules": [{"operators": ["FULLY_CONNECTED"], "weight_bits": 8}]}
    assert [t.dtype for t in weights(quantized(weight_bits=4, recipe=eight))] == ["int4", "int4", "int8"]
    four = {"rules": [{"operators": ["CONV_2D", "RESHAPE"], "weight_bits": 4}]}
    assert [t.dtype for t in weights(quantized(recipe=four))] == ["int4", "int8", "int8"]


@pytest.mark.parametrize("bits", [2, "4", True, None])
def test_bad_bits_in_a_recipe(bits: object) -> None:
    with pytest.raises(QuantizationError, match=r"rule 1: weight_bits is .*; expected 8 or 4"):
        quantized(recipe={"rules": [{"operators": ["CONV_2D"], "weight_bits": bits}]})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight_bits": 5}, "weight_bits is 5; expected 8 or 4"),
        ({"weight_bits": 4, "mode": "int16x8"}, "weights of 4 bits are for mode 'int8', not 'int16x8'"),
        ({"weight_bits": 4, "mode": "dynamic", "ranges": "clean"}, "are for mode 'int8', not 'dynamic'"),
    ],
)
def test_bad_bits(options: dict[str, Any], words: str) -> None:
    with pytest.raises(QuantizationError, match=words):
        qc.quantize_model(network(), **options)


def test_sixteen_bit_operators_keep_eight_bit_weights() -> None:
    recipe = {"rules": [{"operators": ["CONV_2D"], "precision": "int16x8"}]}
    assert [t.dtype for t in weights(quantized(weight_bits=4, recipe=recipe))] == ["int8", "int4", "int4"]


def test_errors_of_weights_are_measured() -> None:
    model, x = network(), [[draw(1, 4, 4, 3)] for _ in range(3)]
    four, eight = (qc.compare(model, qc.quantize_model(model, x, weight_bits=bits), x) for bits in (4, 8))
    rows = {row.name: row for row in four.constants}
    assert {name: rows[name].dtype for name in "wdf"} == dict.fromkeys("wdf", "int4")
    assert 10 < rows["f"].measures.sqnr_db < 25
    assert four.outputs[0].measures.sqnr_db < eight.outputs[0].measures.sqnr_db


def test_biases_are_corrected() -> None:
    model, middle = network(), draw(1, 4, 4, 3)
    x = [[middle + draw(1, 4, 4, 3) / 20] for _ in range(8)]
    plain, corrected = (
        qc.quantize_model(model, x, weight_bits=4, correct_biases=correct) for correct in (False, True)
    )
    errors = [qc.compare(model, q, x).outputs[0].measures.sqnr_db for q in (plain, corrected)]
    assert errors[1] > errors[0] + 1


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_packing(count: int) -> None:
    codes = RNG.integers(-8, 8, count).astype(np.int8)
    data = packed_int4(codes)
    assert data.size == (count + 1) // 2
    np.testing.assert_array_equal(unpacked_int4(data, (count,)), codes)
    for i, code in enumerate(codes):
        assert data[i // 2] >> 4 * (i % 2) & 15 == code & 15


def test_ties_go_up_as_in_fake_quantization() -> None:
    w = np.array([[-1.75, 1.75, 0.125, -0.125, 0.375, -0.375]], np.float32)
    params = weight_qparams(w, None, 4)
    assert params.scale == np.float32(0.25)
    assert four_bit_weights(w, params).tolist() == [[-7, 7, 1, 0, 2, -1]]


@pytest.mark.oracle
def test_bit_exact_by_the_reference_kernels() -> None:
    """Their resolver registers DEPTHWISE_CONV_2D up to version 6 only: it gets a file that says so."""
    model = quantized(weight_bits=4)
    result = qc.verify(model, samples=3, oracle=get_oracle())
    assert result.bit_exact
    assert [row.mismatches for row in result.operators] == [0] * 4
    assert [note for note in result.notes if "up to version 6 only" in note]
    assert versions(model) == [7, 7, 1, 10]  # the caller's is left alone


def test_versions_are_lowered_where_the_registry_says_so() -> None:
    model = quantized(weight_bits=4)
    assert lowered_operators(model, "BUILTIN_REF") == {"DEPTHWISE_CONV_2D": (7, 6)}
    assert lowered_operators(model, "AUTO") == {}
    assert versions(with_registered_versions(model, "BUILTIN_REF")) == [7, 6, 1, 10]
    assert lowered_operators(quantized(), "BUILTIN_REF") == {}
