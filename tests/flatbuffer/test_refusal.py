"""Models that contradict themselves: each is refused, with the path of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model
from tests.flatbuffer.generated import generated, pack
from tests.flatbuffer.small import STRING, buffer, small_model, sparse_model, tensor

Change = Callable[[Any], None]


def put(path: str, value: Any) -> Change:
    """Return a function that sets ``model.<path>``."""

    def change(model: Any) -> None:
        *steps, last = path.replace("]", "").replace("[", ".").split(".")
        item = model
        for step in steps:
            item = item[int(step)] if step.isdigit() else getattr(item, step)
        setattr(item, last, value)

    return change


def negative_code(model: Any) -> None:
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = -5


def quantize(scales: int, zero_points: int, dimension: int = 0) -> Change:
    def change(model: Any) -> None:
        quantization = generated().QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [0.5] * scales, [0] * zero_points
        quantization.quantizedDimension = dimension
        model.subgraphs[0].tensors[0].quantization = quantization

    return change


def blockwise(model: Any) -> None:
    details = generated().BlockwiseQuantizationT()
    details.scales = 3
    quantization = generated().QuantizationParametersT()
    quantization.detailsType, quantization.details = 2, details
    model.subgraphs[0].tensors[0].quantization = quantization


def options(table: str, union_type: int, **fields: Any) -> Change:
    def change(model: Any) -> None:
        op = model.subgraphs[0].operators[0]
        op.builtinOptionsType, op.builtinOptions = union_type, getattr(generated(), f"{table}T")()
        for name, value in fields.items():
            setattr(op.builtinOptions, name, value)

    return change


def call(index: int) -> Change:
    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 31
        options("CallOptions", 16, subgraph=index)(model)

    return change


def strings(data: bytes) -> Change:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[1] = tensor([2], STRING, buffer=1)
        model.buffers[1] = buffer(data)

    return change


def words(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(4, "little") for n in numbers)


def signature(subgraph: int, *entries: tuple[str, int]) -> Change:
    def change(model: Any) -> None:
        schema = generated()
        result = schema.SignatureDefT()
        result.signatureKey, result.subgraphIndex = "run", subgraph
        result.inputs, result.outputs = [], []
        for name, index in entries:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            result.inputs.append(entry)
        model.signatureDefs = [result]

    return change


CASES: list[tuple[Change, str, str]] = [
    (put("version", 2), "schema version 2, expected 3", "version"),
    (put("subgraphs", []), "no subgraph", "subgraphs"),
    (
        put("subgraphs[0].operators[0].opcodeIndex", 1),
        "index 1 into 1 operator_codes",
        "operators[0].opcode_index",
    ),
    (put("operatorCodes", None), "index 0 into 0 operator_codes", "operators[0].opcode_index"),
    (negative_code, "negative operator code -5", "operator_codes[0].builtin_code"),
    (put("subgraphs[0].operators[0].inputs", [0, 3]), "index 3 into 3 tensors", "operators[0].inputs[1]"),
    (put("subgraphs[0].operators[0].inputs", [0, -2]), "index -2 into 3 tensors", "operators[0].inputs[1]"),
    (put("subgraphs[0].operators[0].outputs", [9]), "index 9 into 3 tensors", "operators[0].outputs[0]"),
    (put("subgraphs[0].operators[0].intermediates", [9]), "index 9", "operators[0].intermediates[0]"),
    (put("subgraphs[0].inputs", [-1]), "index -1 into 3 tensors", "subgraphs[0].inputs[0]"),
    (put("subgraphs[0].outputs", [3]), "index 3 into 3 tensors", "subgraphs[0].outputs[0]"),
    (put("subgraphs[0].tensors[1].buffer", 2), "index 2 into 2 buffers", "tensors[1].buffer"),
    (put("subgraphs[0].tensors[1].shape", [3]), "buffer 1 has 8 bytes, expected 12", "tensors[1].buffer"),
    (put("subgraphs[0].tensors[1].shape", [-1]), "dimension of size -1", "tensors[1].shape[0]"),
    (put("subgraphs[0].tensors[1].shape", [2**30] * 4), "expected", "tensors[1].buffer"),
    (put("subgraphs[0].tensors[0].shape", [1] * 65), "65 dimensions", "tensors[0].shape"),
    (put("subgraphs[0].tensors[0].shapeSignature", [-2]), "size -2", "tensors[0].shape_signature[0]"),
    (put("subgraphs[0].tensors[0].type", 99), "TensorType has no value 99", "tensors[0].type"),
    (put("subgraphs[0].tensors[0].type", -1), "TensorType has no value -1", "tensors[0].type"),
    (put("subgraphs[0].tensors[0].name", b"\xff\xfe"), "not UTF-8", "tensors[0].name"),
    (put("metadataBuffer", [5]), "index 5 into 2 buffers", "metadata_buffer[0]"),
    (quantize(2, 1), "1 zero points for 2 scales", "tensors[0].quantization.zero_point"),
    (quantize(1, 1, -1), "dimension -1", "tensors[0].quantization.quantized_dimension"),
    (blockwise, "index 3 into 3 tensors", "tensors[0].quantization.details.scales"),
    (
        options("ConcatenationOptions", 10),
        "ADD has options of type ConcatenationOptions, expected AddOptions",
        "",
    ),
    (options("AddOptions", 200), "ADD has options of an unknown type, BuiltinOptions#200", "builtin_options"),
    (
        options("AddOptions", 11, fusedActivationFunction=6),
        "ActivationFunctionType has no value 6",
        "function",
    ),
    (call(1), "index 1 into 1 subgraphs", "operators[0].builtin_options.subgraph"),
    (strings(b"abc"), "string tensor of 3 bytes", "tensors[1].buffer"),
    (strings(words(9, 12)), "cannot hold 9 strings", "tensors[1].buffer"),
    (strings(words(2, 16, 18, 17) + b"ab"), "do not ascend", "tensors[1].buffer"),
    (strings(words(2, 16, 17, 19) + b"ab"), "do not ascend", "tensors[1].buffer"),
    (signature(1), "index 1 into 1 subgraphs", "signature_defs[0].subgraph_index"),
    (signature(0, ("a", 3)), "index 3 into 3 tensors", "signature_defs[0].inputs[0].tensor_index"),
    (signature(0, ("a", 0), ("a", 1)), "second entry called 'a'", "signature_defs[0].inputs[1].name"),
]


@pytest.mark.parametrize(("change", "message", "where"), CASES, ids=[f"{m} {w}" for _, m, w in CASES])
def test_contradictions(change: Change, message: str, where: str) -> None:
    model = small_model()
    change(model)
    with pytest.raises(ModelFormatError) as caught:
        read_model(pack(model))
    assert message in str(caught.value)
    assert (caught.value.path or "").endswith(where)


SPARSE_CASES: list[tuple[str, Any, str]] = [
    ("traversalOrder", [0, 0], "traversal_order"),
    ("traversalOrder", [0], "traversal_order"),
    ("traversalOrder", [0, 1, 2], "dim_metadata"),
    ("blockMap", [0], "block_map"),
    ("dimMetadata[0].denseSize", 4, "dim_metadata[0]"),
    ("dimMetadata[1].arraySegments", None, "dim_metadata[1].array_segments"),
    ("dimMetadata[1].arraySegments.values", None, "dim_metadata[1].array_segments"),
    ("dimMetadata[1].arraySegments.values", [0, 2, 4], "dim_metadata[1].array_segments"),
    ("dimMetadata[1].arraySegments.values", [0, 3, 2, 4], "dim_metadata[1].array_segments"),
    ("dimMetadata[1].arraySegments.values", [0, 2, 2, 5], "dim_metadata[1].array_segments"),
    ("dimMetadata[1].arrayIndices.values", [0, 4, 1, 2], "dim_metadata[1].array_indices"),
    ("dimMetadata[1].arrayIndices.values", [0, 1, 2], "dim_metadata[1].array_segments"),
]


@pytest.mark.parametrize(("path", "value", "where"), SPARSE_CASES)
def test_contradictory_sparsity(path: str, value: Any, where: str) -> None:
    model = sparse_model()
    put(f"subgraphs[0].tensors[1].sparsity.{path}", value)(model)
    with pytest.raises(ModelFormatError) as caught:
        read_model(pack(model))
    assert caught.value.path == f"subgraphs[0].tensors[1].sparsity.{where}"


def test_sparse_tensor_with_too_little_data() -> None:
    model = sparse_model()
    model.buffers[1] = buffer(b"\x01\x02\x03")
    with pytest.raises(ModelFormatError, match="buffer 1 has 3 bytes, expected 4"):
        read_model(pack(model))


def test_custom_operator_without_a_name() -> None:
    with pytest.raises(ModelFormatError, match=r"without a name.*operator_codes\[0\]\.custom_code"):
        read_model(pack(small_model(code=32)))
