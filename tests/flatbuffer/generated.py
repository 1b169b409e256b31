"""TensorFlow's own generated schema classes: the independent reading of a ``.tflite`` file.

The module is loaded from its file, which needs only `flatbuffers`: importing TensorFlow takes
seconds.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import numpy as np
import pytest

from quantcore.flatbuffer.schema import TABLES
from quantcore.graph import Model, Operator, Quantization, Tensor


@cache
def _load() -> ModuleType | None:
    found = importlib.util.find_spec("tensorflow")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "lite/python/schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("schema_py_generated", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated() -> ModuleType:
    """Return the module of generated classes; skip where TensorFlow is not installed."""
    module = _load()
    if module is None:
        pytest.skip("needs TensorFlow's generated schema classes")
    return module


def pack(model: Any) -> bytes:
    """Return the file that TensorFlow's object API writes for a ``ModelT``."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def camel(name: str) -> str:
    """Return a field name as the generated classes spell it: ``stride_w`` → ``strideW``."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def enum_name(enum: str, value: int) -> str:
    """Return the name of an enum value."""
    names = [n for n, v in vars(getattr(generated(), enum)).items() if v == value and not n.startswith("_")]
    assert len(names) == 1, (enum, value, names)
    return names[0]


def text(value: bytes | None) -> str:
    """Return a string field as text."""
    return "" if value is None else value.decode()


def ints(value: Any) -> tuple[int, ...]:
    """Return a vector field as a tuple."""
    return () if value is None else tuple(int(v) for v in value)


def assert_as_generated(model: Model, data: bytes) -> None:
    """Compare every field of `model` with what the generated classes read from `data`."""
    expected = generated().ModelT.InitFromPackedBuf(data, 0)
    assert model.version == expected.version
    assert model.description == text(expected.description)
    assert model.metadata_buffer == ints(expected.metadataBuffer)
    assert [(m.name, m.buffer) for m in model.metadata] == [
        (text(m.name), m.buffer) for m in expected.metadata or []
    ]
    contents = [_buffer(entry, data) for entry in expected.buffers]
    assert [None if b is None else b.tobytes() for b in model.buffers] == contents
    assert model.external_buffer_groups == [text(g.name) for g in expected.externalBufferGroups or []]
    for entry, want in zip(model.external_buffers, expected.externalBuffers or [], strict=True):
        _compare_table(entry, want)
    assert len(model.signatures) == len(expected.signatureDefs or [])
    for signature, want in zip(model.signatures, expected.signatureDefs or [], strict=True):
        assert signature.key == text(want.signatureKey)
        assert signature.subgraph_index == want.subgraphIndex
        assert signature.inputs == {text(m.name): m.tensorIndex for m in want.inputs or []}
        assert signature.outputs == {text(m.name): m.tensorIndex for m in want.outputs or []}
    assert len(model.subgraphs) == len(expected.subgraphs)
    for subgraph, want in zip(model.subgraphs, expected.subgraphs, strict=True):
        assert subgraph.name == text(want.name)
        assert subgraph.inputs == ints(want.inputs)
        assert subgraph.outputs == ints(want.outputs)
        assert subgraph.debug_metadata_index == want.debugMetadataIndex
        assert len(subgraph.tensors) == len(want.tensors)
        for tensor, want_tensor in zip(subgraph.tensors, want.tensors, strict=True):
            _compare_tensor(tensor, want_tensor, contents)
        assert len(subgraph.operators) == len(want.operators or [])
        for op, want_op in zip(subgraph.operators, want.operators or [], strict=True):
            _compare_operator(op, want_op, expected.operatorCodes[want_op.opcodeIndex])


def _buffer(entry: Any, data: bytes) -> bytes | None:
    if entry.data is not None:
        return bytes(bytearray(entry.data))
    return data[entry.offset : entry.offset + entry.size] if entry.offset > 1 else None


def _compare_tensor(tensor: Tensor, want: Any, contents: list[bytes | None]) -> None:
    assert tensor.name == text(want.name)
    assert tensor.shape == ints(want.shape)
    assert tensor.dtype.upper() == enum_name("TensorType", want.type)
    assert tensor.buffer == want.buffer
    assert tensor.is_variable == want.isVariable
    assert tensor.has_rank == want.hasRank
    assert tensor.external_buffer == want.externalBuffer
    assert tensor.shape_signature == (None if want.shapeSignature is None else ints(want.shapeSignature))
    assert (tensor.sparsity is None) == (want.sparsity is None)
    if want.sparsity is not None:
        assert tensor.sparsity is not None
        _compare_table(tensor.sparsity, want.sparsity)
    assert (tensor.variant_tensors is None) == (want.variantTensors is None)
    for variant, want_variant in zip(tensor.variant_tensors or [], want.variantTensors or [], strict=True):
        _compare_table(variant, want_variant)
    content = contents[want.buffer] if want.buffer else None
    if not content and tensor.data is None:
        assert content is None or int(np.prod(tensor.shape)) > 0
    else:
        assert tensor.data is not None
        assert content == tensor.data.tobytes()
        assert not tensor.data.flags.writeable
        assert tensor.data.flags.aligned
        if tensor.data.dtype == tensor.dtype and tensor.sparsity is None:
            assert tensor.data.shape == tensor.shape
    _compare_quantization(tensor.quantization, want.quantization)


def _compare_quantization(quantization: Quantization | None, want: Any) -> None:
    stored = {} if want is None else {k: v for k, v in vars(want).items() if v is not None}
    if quantization is None:
        assert stored.pop("detailsType", 0) == stored.pop("quantizedDimension", 0) == 0
        assert not any(np.size(v) for v in stored.values())
        return
    for name in ("scale", "zero_point", "min", "max"):
        dtype = "int64" if name == "zero_point" else "float32"
        array = getattr(quantization, name)
        values = stored.get(camel(name), ())
        if array is None:
            assert not len(values)
        else:
            assert array.dtype == dtype
            assert array.tobytes() == np.asarray(values, dtype).tobytes()
    assert quantization.quantized_dimension == want.quantizedDimension
    assert (quantization.details_type or "NONE") == enum_name("QuantizationDetails", want.detailsType)
    if quantization.details is not None:
        _compare_table(quantization.details, want.details)


def _compare_operator(op: Operator, want: Any, code: Any) -> None:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    assert op.op == enum_name("BuiltinOperator", number)
    assert op.version == code.version
    assert op.custom_code == (None if code.customCode is None else text(code.customCode))
    assert op.inputs == ints(want.inputs)
    assert op.outputs == ints(want.outputs)
    assert op.intermediates == ints(want.intermediates)
    assert op.mutating_variable_inputs == tuple(map(bool, ints(want.mutatingVariableInputs)))
    assert op.debug_metadata_index == want.debugMetadataIndex
    custom = None if want.customOptions is None else bytes(bytearray(want.customOptions))
    assert op.custom_options == custom
    stored: set[str] = set()
    for union, name, table in (
        ("BuiltinOptions", op.options_type, want.builtinOptions),
        ("BuiltinOptions2", op.options_2_type, want.builtinOptions2),
    ):
        assert (name is None) == (table is None)
        if table is not None:
            assert type(table).__name__ == f"{name}T"
            assert name == enum_name(union, getattr(want, f"{union[0].lower()}{union[1:]}Type"))
            stored |= _compare_table({k: v for k, v in op.options.items() if hasattr(table, camel(k))}, table)
    assert op.implicit_options == (not stored and bool(op.options))
    assert op.implicit_options or stored == set(op.options)


def _compare_table(values: dict[str, Any], want: Any) -> set[str]:
    """Compare a dict by field name with a generated object; return the names that were compared."""
    table = TABLES[type(want).__name__.removesuffix("T")]
    fields = [field for field in table.fields if not field.deprecated]  # the generated classes have no others
    for field in fields:
        value, expected = values[field.name], getattr(want, camel(field.name))
        if field.kind == "table":
            _compare_table(value, expected)
        elif field.kind == "tables":
            for entry, want_entry in zip(value or [], expected or [], strict=True):
                _compare_table(entry, want_entry)
        elif field.kind == "union":
            number = getattr(want, camel(field.name) + "Type")
            assert (values[f"{field.name}_type"] or "NONE") == enum_name(field.type, number)
            assert (value is None) == (expected is None)
            if expected is not None:
                _compare_table(value, expected)
        elif field.kind == "array":
            assert value.tolist() == list(expected)
        elif field.kind == "list":
            numbers = [] if expected is None else np.asarray(expected).tolist()
            assert list(value or ()) == [enum_name(field.type, n) if field.type else n for n in numbers]
        elif field.kind in ("string", "bytes"):
            raw = b"" if expected is None else bytes(bytearray(expected))
            assert value == (raw.decode() if field.kind == "string" else raw)
        else:
            assert value == (enum_name(field.type, expected) if field.type else expected)
    return {field.name for field in fields}
