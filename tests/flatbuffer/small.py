"""Small models through TensorFlow's object API, for files that no converter writes."""

from __future__ import annotations

from typing import Any

from tests.flatbuffer.generated import generated

FLOAT32, STRING, INT8, INT4 = 0, 5, 9, 17


def tensor(shape: list[int], type_: int = FLOAT32, buffer: int = 0, name: str = "t") -> Any:
    """Return a ``TensorT``."""
    result = generated().TensorT()
    result.shape, result.type, result.buffer, result.name = shape, type_, buffer, name
    return result


def buffer(data: bytes | None = None) -> Any:
    """Return a ``BufferT``."""
    result = generated().BufferT()
    result.data = None if data is None else list(data)
    return result


def operator_code(code: int, custom: str | None = None) -> Any:
    """Return an ``OperatorCodeT`` as current converters write it."""
    result = generated().OperatorCodeT()
    result.builtinCode, result.deprecatedBuiltinCode, result.customCode = code, min(code, 127), custom
    return result


def small_model(code: int = 0) -> Any:
    """Return a ``ModelT`` of one operator (ADD) on two float32 vectors, the second a constant."""
    schema = generated()
    op = schema.OperatorT()
    op.inputs, op.outputs = [0, 1], [2]
    graph = schema.SubGraphT()
    graph.tensors = [tensor([2], name="x"), tensor([2], buffer=1, name="c"), tensor([2], name="y")]
    graph.operators, graph.inputs, graph.outputs, graph.name = [op], [0], [2], "main"
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [operator_code(code)], [graph]
    model.buffers = [buffer(), buffer(bytes(8))]
    model.description = "small"
    return model


def sparse_model() -> Any:
    """Return a model whose constant is a matrix of 3 by 4 in CSR form with 4 of 12 elements."""
    schema = generated()
    dense, csr = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    dense.denseSize = 3
    csr.format = 1
    csr.arraySegmentsType, csr.arrayIndicesType = 3, 2  # Uint8Vector, Uint16Vector
    csr.arraySegments, csr.arrayIndices = schema.Uint8VectorT(), schema.Uint16VectorT()
    csr.arraySegments.values, csr.arrayIndices.values = [0, 2, 2, 4], [0, 3, 1, 2]
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [dense, csr]
    model = small_model()
    model.subgraphs[0].tensors[1] = tensor([3, 4], INT8, buffer=1)
    model.subgraphs[0].tensors[1].sparsity = sparsity
    model.buffers[1] = buffer(b"\x01\x02\x03\x04")
    return model
