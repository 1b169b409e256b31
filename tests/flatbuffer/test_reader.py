"""What the reader makes of valid files, against TensorFlow's generated classes."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model
from tests.flatbuffer.compare import assert_same
from tests.flatbuffer.generated import assert_as_generated, generated, pack
from tests.flatbuffer.small import INT4, buffer, small_model, sparse_model, tensor


def test_real_models_field_by_field(model_path: Path) -> None:
    assert_as_generated(read_model(model_path), model_path.read_bytes())


def test_converted_models_field_by_field(converted_path: Path) -> None:
    assert_as_generated(read_model(converted_path), converted_path.read_bytes())


def test_what_the_converter_writes_for_control_flow(converted_dir: Path) -> None:
    model = read_model(converted_dir / "control_flow.tflite")
    assert {s.key: s.subgraph_index for s in model.signatures} == {"accumulate": 0, "repeat": 1}
    assert len(model.subgraphs) == 7
    ops = {op.op: op for _, _, op in model.operators()}
    assert ops["VAR_HANDLE"].options["shared_name"] == "total"
    assert set(ops["WHILE"].options) == {"cond_subgraph_index", "body_subgraph_index"}
    assert {t.dtype for t in model.subgraphs[0].tensors} >= {"resource", "bool", "float32", "int32"}


def test_string_constants_are_raw_bytes(converted_dir: Path) -> None:
    constant = read_model(converted_dir / "strings.tflite").subgraphs[0].tensors[1]
    assert (constant.dtype, constant.shape) == ("string", (3,))
    assert constant.data is not None
    assert constant.data.dtype == np.uint8
    assert constant.data.tobytes().endswith("einzwei Wörter".encode())


def test_custom_operator(converted_dir: Path) -> None:
    op = read_model(converted_dir / "custom_operator.tflite").subgraphs[0].operators[0]
    assert (op.op, op.custom_code, op.options) == ("CUSTOM", "BesselI0e", {})
    assert op.custom_options
    assert not op.implicit_options


def test_sources_are_interchangeable(models_dir: Path) -> None:
    path = models_dir / "tflm_hello_world_int8.tflite"
    data = path.read_bytes()
    model = read_model(path)
    assert model.source == str(path)
    shifted = memoryview(b"x" + data)[1:]
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for source in (
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        shifted,
        mapped,
        np.frombuffer(data, np.uint8),
    ):
        assert_same(read_model(source), model)


def test_constants_are_views_of_the_file(models_dir: Path) -> None:
    data = (models_dir / "mlperf_ic_int8.tflite").read_bytes()
    file = np.frombuffer(data, np.uint8)
    for subgraph in read_model(data).subgraphs:
        for t in subgraph.tensors:
            if t.data is not None:
                assert np.shares_memory(t.data, file)
                assert not t.data.flags.writeable


def test_a_mutable_source_gives_read_only_views() -> None:
    model = read_model(bytearray(pack(small_model())))
    data = model.subgraphs[0].tensors[1].data
    assert data is not None
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 1


def test_importing_the_reader_is_light() -> None:
    code = "import sys, quantcore.flatbuffer; print(*(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"tensorflow", "sklearn", "scipy", "keras", "click", "rich"} & set(loaded)


@pytest.mark.parametrize(
    ("deprecated", "wide", "expected"),
    [
        (3, 0, "CONV_2D"),
        (3, 3, "CONV_2D"),
        (0, 3, "CONV_2D"),
        (127, 150, "GELU"),
        (0, 0, "ADD"),
        (-1, 22, "RESHAPE"),
    ],
)
def test_operator_code_of_old_and_new_files(deprecated: int, wide: int, expected: str) -> None:
    model = small_model()
    code = model.operatorCodes[0]
    code.deprecatedBuiltinCode, code.builtinCode = deprecated, wide
    assert read_model(pack(model)).subgraphs[0].operators[0].op == expected


def test_operator_newer_than_the_schema_table() -> None:
    model = small_model(code=4321)
    op = model.subgraphs[0].operators[0]
    op.builtinOptions2Type, op.builtinOptions2 = 1, generated().StablehloConcatenateOptionsT()
    data = pack(model)
    assert read_model(data).subgraphs[0].operators[0].op == "BUILTIN_4321"
    op.builtinOptions2Type = 201
    newer = read_model(pack(model)).subgraphs[0].operators[0]
    assert (newer.op, newer.options, newer.options_2_type) == ("BUILTIN_4321", {}, "BuiltinOptions2#201")


def test_absent_options_are_the_schema_defaults() -> None:
    op = read_model(pack(small_model())).subgraphs[0].operators[0]
    assert op.options == {"fused_activation_function": "NONE", "pot_scale_int16": True}
    assert op.implicit_options
    assert op.options_type is None


@pytest.mark.parametrize("code", [14, 32, 114])  # LOGISTIC, CUSTOM, QUANTIZE
def test_absent_options_of_operators_that_have_none(code: int) -> None:
    model = small_model(code)
    model.operatorCodes[0].customCode = "Mine"
    op = read_model(pack(model)).subgraphs[0].operators[0]
    assert op.options == {}
    assert not op.implicit_options


def test_buffer_stored_outside_the_flatbuffer() -> None:
    model = small_model()
    values = np.array([1.5, -0.0], np.float32)
    model.buffers[1].data, model.buffers[1].size, model.buffers[1].offset = None, 8, 1 << 40
    size = len(pack(model))
    for padding in (0, 8, 3):  # 3 puts the floats where they are not aligned
        model.buffers[1].offset = size + padding
        data = pack(model) + bytes(padding) + values.tobytes()
        read = read_model(data)
        assert_as_generated(read, data)
        constant = read.subgraphs[0].tensors[1].data
        assert constant is not None
        assert constant.tobytes() == values.tobytes()
        with pytest.raises(ModelFormatError, match=r"past the end.*buffers\[1\]\.offset"):
            read_model(data[:-1])
    model.buffers[1].offset = 1  # the converter's placeholder
    assert read_model(pack(model)).subgraphs[0].tensors[1].data is None


def test_custom_options_stored_outside_the_flatbuffer() -> None:
    model = small_model(code=32)
    model.operatorCodes[0].customCode = "Mine"
    op = model.subgraphs[0].operators[0]
    op.largeCustomOptionsOffset, op.largeCustomOptionsSize = 1 << 40, 5
    op.largeCustomOptionsOffset = len(pack(model))
    data = pack(model) + b"12345"
    assert read_model(data).subgraphs[0].operators[0].custom_options == b"12345"
    with pytest.raises(ModelFormatError, match=r"operators\[0\]\.large_custom_options_offset"):
        read_model(data[:-1])


@pytest.mark.parametrize(
    ("type_", "shape", "data", "dtype", "want"),
    [
        (INT4, [3], b"\x21\x03", "uint8", (2,)),
        (20, [4], b"\x21\x43", "uint8", (2,)),  # UINT4
        (19, [5], b"\x1b\x01", "uint8", (2,)),  # INT2
        (18, [2, 1], bytes(4), "uint16", (2, 1)),  # BFLOAT16
        (1, [2], bytes(4), "float16", (2,)),
        (6, [2], b"\x00\x01", "bool", (2,)),
        (8, [], bytes(8), "complex64", ()),
        (11, [1], bytes(16), "complex128", (1,)),
        (12, [2, 0, 3], b"", "uint64", (2, 0, 3)),
        (13, [7], b"abc", "uint8", (3,)),  # RESOURCE
    ],
)
def test_constants_by_dtype(
    type_: int, shape: list[int], data: bytes, dtype: str, want: tuple[int, ...]
) -> None:
    model = small_model()
    model.subgraphs[0].tensors[1] = tensor(shape, type_, buffer=1)
    model.buffers[1] = buffer(data)
    read = read_model(pack(model)).subgraphs[0].tensors[1]
    assert read.data is not None
    assert (read.data.dtype, read.data.shape) == (np.dtype(dtype), want)
    assert read.data.tobytes() == data


def test_empty_vector_of_a_tensor_that_is_computed() -> None:
    model = small_model()
    model.buffers[1] = buffer(b"")
    read = read_model(pack(model))
    assert read.subgraphs[0].tensors[1].data is None
    assert read.buffers[1] is not None


def test_buffer_0_is_no_data() -> None:
    model = small_model()
    model.buffers[0] = buffer(b"abc")
    assert read_model(pack(model)).subgraphs[0].tensors[0].data is None


def test_model_without_buffers_vector() -> None:
    model = small_model()
    model.subgraphs[0].tensors[1].buffer = 0
    model.buffers = None
    assert read_model(pack(model)).buffers == [None]


def test_quantization_fields() -> None:
    model = small_model()
    schema = generated()
    tensors = model.subgraphs[0].tensors
    tensors[0].quantization = schema.QuantizationParametersT()
    tensors[1].quantization = schema.QuantizationParametersT()
    tensors[1].quantization.min = [-1.0, -2.0]
    details = schema.BlockwiseQuantizationT()
    details.scales, details.zeroPoints, details.blockSize = 2, -1, 32
    tensors[2].quantization = schema.QuantizationParametersT()
    tensors[2].quantization.detailsType, tensors[2].quantization.details = 2, details
    data = pack(model)
    read = read_model(data)
    assert_as_generated(read, data)
    first, second, third = read.subgraphs[0].tensors
    assert first.quantization is None
    assert second.quantization is not None
    assert not second.is_quantized
    assert third.quantization is not None
    assert third.quantization.details == {"scales": 2, "zero_points": -1, "block_size": 32}


def test_sparse_tensor() -> None:
    data = pack(sparse_model())
    read = read_model(data)
    assert_as_generated(read, data)
    constant = read.subgraphs[0].tensors[1]
    assert constant.shape == (3, 4)
    assert constant.data is not None
    assert constant.data.tolist() == [1, 2, 3, 4]


def test_strings_are_utf_8() -> None:
    model = small_model()
    model.subgraphs[0].tensors[0].name = "größe/重み"
    assert read_model(pack(model)).subgraphs[0].tensors[0].name == "größe/重み"


def test_block_sparse_tensor() -> None:
    """A 4 by 4 matrix of 2 by 2 blocks, of which two are stored."""
    schema = generated()
    levels = [schema.DimensionMetadataT() for _ in range(4)]
    for level in levels:
        level.denseSize = 2
    levels[1].format, levels[1].denseSize = 1, 0
    for side, values in (("arraySegments", [0, 1, 2]), ("arrayIndices", [1, 0])):
        vector = schema.Int32VectorT()
        vector.values = values
        setattr(levels[1], side, vector)
        setattr(levels[1], f"{side}Type", 1)
    model = sparse_model()
    constant = model.subgraphs[0].tensors[1]
    constant.shape = [4, 4]
    constant.sparsity.traversalOrder, constant.sparsity.blockMap = [0, 1, 2, 3], [0, 1]
    constant.sparsity.dimMetadata = levels
    model.buffers[1] = buffer(bytes(range(8)))
    data = pack(model)
    read = read_model(data)
    assert_as_generated(read, data)
    stored = read.subgraphs[0].tensors[1].data
    assert stored is not None
    assert stored.tolist() == list(range(8))


def test_fields_newer_than_the_schema_table_are_skipped() -> None:
    builder = flatbuffers.Builder(256)
    builder.StartObject(0)
    graph = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    builder.StartObject(40)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.PrependInt32Slot(39, 12345, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    model = read_model(bytes(builder.Output()))
    assert len(model.subgraphs) == 1
    assert model.subgraphs[0].tensors == []
