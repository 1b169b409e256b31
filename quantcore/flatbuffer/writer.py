"""`Model` to ``.tflite`` bytes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from quantcore.errors import ModelFormatError
from quantcore.files import atomic_write
from quantcore.flatbuffer.appended import appended_parts
from quantcore.flatbuffer.buffers import assign_buffers
from quantcore.flatbuffer.encoder import MAX_BYTES, Encoder
from quantcore.flatbuffer.place import Where, fail
from quantcore.flatbuffer.reader import decode_model
from quantcore.flatbuffer.schema import ENUMS, TABLES, options_table, options_union
from quantcore.flatbuffer.source import open_source
from quantcore.graph import Model, Operator, Quantization, Signature, Subgraph, Tensor

__all__ = ["model_parts", "save_model", "write_model"]

# The 8-bit operator code holds this where the code does not fit into it.
PLACEHOLDER = ENUMS["BuiltinOperator"].values["PLACEHOLDER_FOR_GREATER_OP_CODES"]

# (op, version, custom_code) of an operator code
_Code = tuple[str, int, str | None]


def write_model(model: Model) -> bytes:
    """Return `model` as the bytes of a ``.tflite`` file.

    Equal models give equal bytes, and reading the bytes gives an equal model. Operator codes are
    listed in the order in which operators first use them. `Tensor.data` decides what the buffers
    hold (see `quantcore.flatbuffer.buffers`); data that was stored outside the flatbuffer comes to
    stand inside. `Model.archive` is appended so that ZIP readers find its entries. The result is
    verified like any file that is read.

    Raises
    ------
    ModelFormatError
        The model contradicts itself (an index without a tensor, data of another shape or dtype, an
        unknown option), takes more than 2 GB, which no flatbuffer can hold, or was read from a file
        that holds what would be lost (`Model.unread`).
    """
    return b"".join(model_parts(model))


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `model` to the file `path`, which appears only when it is complete.

    Takes memory for one copy of the constants; `write_model` takes two.

    Raises
    ------
    ModelFormatError
        As `write_model`.
    OSError
        The file cannot be written.
    """
    parts = model_parts(model)
    with atomic_write(path) as file:
        for part in parts:
            file.write(part)


def model_parts(model: Model) -> list[bytes | memoryview]:
    """Return the file in parts: the flatbuffer, verified, and what is appended to it.

    Takes memory for one copy of the constants. Raises as `write_model`.
    """
    try:
        if model.unread:
            fail(
                f"its file has what quantcore does not know and cannot keep: {', '.join(model.unread)}; set "
                "unread of the model to () to write it without",
                None,
            )
        flatbuffer = _encode(model)
        decode_model(*open_source(flatbuffer))
        return [flatbuffer, *appended_parts(model, len(flatbuffer))]
    except ModelFormatError as error:
        raise ModelFormatError(f"cannot write this model: {error.reason}", error.path) from None


def _encode(model: Model) -> memoryview:
    contents, indices = assign_buffers(model)
    size = sum(content.size for content in contents if content is not None)
    if size > MAX_BYTES:
        fail(f"its constants take {size} bytes, a flatbuffer holds at most {MAX_BYTES}", (None, "buffers"))
    codes: dict[_Code, int] = {}
    for _, _, op in model.operators():
        codes.setdefault((op.op, op.version, op.custom_code), len(codes))
    root = {
        "version": model.version,
        "operator_codes": [_operator_code(code, i) for i, code in enumerate(codes)],
        "subgraphs": [_subgraph(model, s, indices[s], codes) for s in range(len(model.subgraphs))],
        "description": model.description or None,
        "buffers": [{"data": content} for content in contents],
        "metadata_buffer": tuple(model.metadata_buffer) or None,
        "metadata": [{"name": entry.name, "buffer": entry.buffer} for entry in model.metadata] or None,
        "signature_defs": [_signature(signature) for signature in model.signatures] or None,
        "external_buffer_groups": [{"name": name} for name in model.external_buffer_groups] or None,
        "external_buffers": model.external_buffers or None,
    }
    return Encoder(size + _graph_bytes(model)).finish("Model", root)


def _graph_bytes(model: Model) -> int:
    """Return about how many bytes the model takes without its constants, rather too many than too few."""
    size = 4096 + 64 * len(model.buffers)
    for subgraph in model.subgraphs:
        size += 256 * (len(subgraph.tensors) + len(subgraph.operators))
        size += sum(
            len(op.custom_options) for op in subgraph.operators if isinstance(op.custom_options, bytes)
        )
        for tensor in subgraph.tensors:
            size += 64 + 4 * len(str(tensor.name))
            if tensor.quantization is not None:
                size += 32 * np.size(tensor.quantization.scale)
    return size


def _operator_code(code: _Code, index: int) -> dict[str, Any]:
    op, version, custom_code = code
    number = ENUMS["BuiltinOperator"].values.get(op)
    if number is None and op.startswith("BUILTIN_") and op[8:].isdecimal():
        number = int(op[8:])
    if number is None:
        fail(f"unknown operator {op!r}", ((None, "operator_codes"), index))
    return {
        "deprecated_builtin_code": min(number, PLACEHOLDER),
        "custom_code": custom_code,
        "version": version,
        "builtin_code": number,
    }


def _subgraph(model: Model, s: int, buffers: list[int], codes: dict[_Code, int]) -> dict[str, Any]:
    subgraph: Subgraph = model.subgraphs[s]
    where: Where = ((None, "subgraphs"), s)
    operators = []
    for i, op in enumerate(subgraph.operators):
        code = codes[op.op, op.version, op.custom_code]
        operators.append(_operator(op, code, ((where, "operators"), i)))
    return {
        "tensors": [_tensor(t, buffer) for t, buffer in zip(subgraph.tensors, buffers, strict=True)],
        "inputs": subgraph.inputs,
        "outputs": subgraph.outputs,
        "operators": operators,
        "name": subgraph.name or None,
        "debug_metadata_index": subgraph.debug_metadata_index,
    }


def _tensor(tensor: Tensor, buffer: int) -> dict[str, Any]:
    return {
        "shape": tensor.shape,
        "type": tensor.dtype.upper(),
        "buffer": buffer,
        "name": tensor.name or None,
        "quantization": _quantization(tensor.quantization),
        "is_variable": tensor.is_variable,
        "sparsity": tensor.sparsity,
        "shape_signature": tensor.shape_signature,
        "has_rank": tensor.has_rank,
        "variant_tensors": tensor.variant_tensors,
        "external_buffer": tensor.external_buffer,
    }


def _quantization(quantization: Quantization | None) -> dict[str, Any] | None:
    if quantization is None:
        return None
    arrays = {name: getattr(quantization, name) for name in ("min", "max", "scale", "zero_point")}
    return {
        **{name: a if a is not None and np.size(a) else None for name, a in arrays.items()},
        "quantized_dimension": quantization.quantized_dimension,
        "details_type": quantization.details_type,
        "details": quantization.details,
    }


def _operator(op: Operator, code: int, where: Where) -> dict[str, Any]:
    first, second = _options_types(op, where)
    known = {name for table in (first, second) if table for name in TABLES[table].names}
    for name in op.options:
        if name not in known and (first or second):
            fail(f"{op.op} has no option {name!r}; it has: {', '.join(sorted(known)) or 'none'}", where)
    return {
        "opcode_index": code,
        "inputs": op.inputs,
        "outputs": op.outputs,
        "builtin_options_type": first,
        "builtin_options": _fields(op, first),
        "custom_options": op.custom_options,
        "mutating_variable_inputs": op.mutating_variable_inputs or None,
        "intermediates": op.intermediates or None,
        "builtin_options_2_type": second,
        "builtin_options_2": _fields(op, second),
        "debug_metadata_index": op.debug_metadata_index,
    }


def _options_types(op: Operator, where: Where) -> tuple[str | None, str | None]:
    """Return the tables to store in the two unions."""
    for name in (op.options_type, op.options_2_type):
        if name is not None and name not in TABLES:
            fail(f"options of {op.op} are of type {name}, which quantcore does not know", where)
    if op.options_type or op.options_2_type or not op.options:
        return op.options_type, op.options_2_type
    usual = options_table(op.op)
    if usual is None:
        fail(f"{op.op} has no options, got {', '.join(op.options)}", where)
    if op.implicit_options and op.options == TABLES[usual].defaults:
        return None, None
    return (usual, None) if options_union(usual) == "BuiltinOptions" else (None, usual)


def _fields(op: Operator, table: str | None) -> dict[str, Any] | None:
    """Return the options that belong to `table`; those that are not given are the schema's defaults."""
    if table is None:
        return None
    fields = TABLES[table]
    given = {name: value for name, value in op.options.items() if name in fields.names}
    return fields.defaults | given


def _signature(signature: Signature) -> dict[str, Any]:
    sides = {
        side: [{"name": name, "tensor_index": index} for name, index in getattr(signature, side).items()]
        for side in ("inputs", "outputs")
    }
    return {
        "signature_key": signature.key,
        "deprecated_tag": signature.deprecated_tag,
        "subgraph_index": signature.subgraph_index,
        **sides,
    }
