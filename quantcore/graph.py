"""The model as plain data: ``Model``, ``Subgraph``, ``Tensor``, ``Operator``.

This is the one representation that inspection, lowering, verification and the writer share.
Names and meanings follow TFLite's schema. Arrays are NumPy views over the file where possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantcore.qparams import QuantParams, integer_range

__all__ = ["Metadata", "Model", "Operator", "Quantization", "Signature", "Subgraph", "Tensor", "Use"]

# An operator and the position of one of its inputs
Use = tuple[int, int]


@dataclass(slots=True)
class Quantization:
    """Quantization parameters of a tensor, as stored in the file.

    Attributes
    ----------
    scale : ndarray of float32, shape (1,) or (channels,)
        Empty where the file holds nothing but `min` and `max`, or `details`.
    zero_point : ndarray of int64, same shape as `scale`
    quantized_dimension : int
        Axis that the scales run along where there is more than one. Models for TFLite Micro name
        axes here that the tensor does not have.
    min, max : ndarray of float32 or None
        Ranges recorded by the converter; informative only.
    details_type, details : str or None, dict or None
        The ``QuantizationDetails`` union (custom or blockwise quantization), if present.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    quantized_dimension: int = 0
    min: np.ndarray | None = None
    max: np.ndarray | None = None
    details_type: str | None = None
    details: dict[str, Any] | None = None

    @property
    def per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1


@dataclass(slots=True)
class Tensor:
    """One tensor of a subgraph.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Static shape as stored; ``()`` for scalars.
    dtype : str
        NumPy's name (``float32``, ``int8``, ``bool``, ``complex64`` ...) or one of ``int4``,
        ``uint4``, ``int2``, ``string``, ``resource``, ``variant``, ``bfloat16``, float8 names.
    buffer : int
        Index into ``Model.buffers``. Keep 0 for a new constant: the writer adds a buffer for it.
    data : ndarray or None
        Constant value, or None where the tensor is computed at run time. Has the shape of the
        tensor, except for sub-byte, string, resource and variant types, where it is the raw bytes
        (1-D uint8), and for sparse tensors, where it is the stored elements (1-D). bfloat16 and
        float8 are given as their bit patterns, uint16 and uint8. Read-only where it is a view of
        the file; assign a new array to change it.
    quantization : Quantization or None
    shape_signature : tuple of int or None
        Shape with -1 where a dimension is unknown, if the file has one.
    is_variable : bool
        State that persists between invocations.
    sparsity : dict or None
        The ``SparsityParameters`` table, by field name.
    has_rank : bool
        As stored; False together with an empty shape means unranked.
    variant_tensors : list of dict or None
    external_buffer : int
        Where not 0, the id of the entry of ``Model.external_buffers`` that holds the value in
        another file, which is not read.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int = 0
    data: np.ndarray | None = None
    quantization: Quantization | None = None
    shape_signature: tuple[int, ...] | None = None
    is_variable: bool = False
    sparsity: dict[str, Any] | None = None
    has_rank: bool = False
    variant_tensors: list[dict[str, Any]] | None = None
    external_buffer: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether the value is stored in the file."""
        return self.data is not None

    @property
    def is_quantized(self) -> bool:
        """Whether the tensor has scales."""
        return self.quantization is not None and self.quantization.scale.size > 0

    @property
    def params(self) -> QuantParams | None:
        """The parameters as `quantcore.quantize` and `dequantize` take them; None where there are no scales.

        Raises
        ------
        QuantizationError
            Scales that are not positive, a dtype that is not quantized.
        """
        if self.quantization is None or not self.is_quantized:
            return None
        scale, zero_point = self.quantization.scale, self.quantization.zero_point
        if self.quantization.per_channel:
            return QuantParams(scale, zero_point, self.dtype, self.quantization.quantized_dimension)
        return QuantParams(scale[0], int(zero_point[0]), self.dtype)

    @property
    def real_range(self) -> list[list[float]]:
        """``[low, high]`` per scale: the real values of the dtype's smallest and largest integer."""
        if self.quantization is None or not self.is_quantized or "int" not in self.dtype:
            return []
        zero_point = self.quantization.zero_point.astype(np.float64)
        scale = self.quantization.scale.astype(np.float64)
        ends = [(float(end) - zero_point) * scale for end in integer_range(self.dtype)]
        return np.stack(np.broadcast_arrays(*ends), axis=-1).tolist() if zero_point.size else []


@dataclass(slots=True)
class Operator:
    """One operator of a subgraph.

    Attributes
    ----------
    op : str
        Name as in TFLite's ``BuiltinOperator`` (``CONV_2D``), ``CUSTOM``, or ``BUILTIN_<code>``
        where the operator is newer than quantcore's table.
    version : int
        Operator version from the operator code.
    inputs, outputs : tuple of int
        Tensor indices; -1 for an omitted optional input.
    options : dict
        Fields of the operator's options table (both unions merged), defaults filled in; enum
        fields, dtypes among them, are the schema's names (``"SAME"``, ``"RELU6"``, ``"INT32"``),
        vectors are tuples.
    options_type, options_2_type : str or None
        Name of the table that the file stores in the ``BuiltinOptions`` / ``BuiltinOptions2``
        union. Where both are None, the writer stores `options`, if there are any, in the table
        that the operator usually has.
    custom_code : str or None
        For ``CUSTOM``: the registered name.
    custom_options : bytes or None
    intermediates : tuple of int
    mutating_variable_inputs : tuple of bool
    debug_metadata_index : int
    implicit_options : bool
        The file has no options table, and `options` are the schema's defaults for the operator.
        (TFLite then has 0 and False in their place, also where the default is another.) The
        writer leaves the table out again unless `options` were changed.
    """

    op: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    options_type: str | None = None
    options_2_type: str | None = None
    custom_code: str | None = None
    custom_options: bytes | None = None
    intermediates: tuple[int, ...] = ()
    mutating_variable_inputs: tuple[bool, ...] = ()
    debug_metadata_index: int = -1
    implicit_options: bool = False

    @property
    def name(self) -> str:
        """The name under which the operator is implemented: `op`, or ``CUSTOM:`` and the custom code."""
        return f"CUSTOM:{self.custom_code}" if self.op == "CUSTOM" else self.op


@dataclass(slots=True)
class Subgraph:
    """A list of tensors and the operators that connect them, in execution order."""

    name: str
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    debug_metadata_index: int = -1

    def producers(self) -> dict[int, int]:
        """Return the operator that computes each tensor that one does, in execution order."""
        return {t: i for i, op in enumerate(self.operators) for t in op.outputs if t >= 0}

    def uses(self) -> dict[int, list[Use]]:
        """Return the uses of each tensor that an operator reads, in execution order."""
        found: dict[int, list[Use]] = {}
        for i, op in enumerate(self.operators):
            for position, t in enumerate(op.inputs):
                if t >= 0:
                    found.setdefault(t, []).append((i, position))
        return found

    def variables(self) -> set[int]:
        """Return the tensors that keep their value from run to run."""
        return {t for t, tensor in enumerate(self.tensors) if tensor.is_variable}


@dataclass(slots=True)
class Signature:
    """A named entry point: argument and result names mapped to tensor indices.

    `deprecated_tag` is a field of old files, which nothing uses.
    """

    key: str
    subgraph_index: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    deprecated_tag: str | None = None


@dataclass(slots=True)
class Metadata:
    """A named buffer, such as ``min_runtime_version``."""

    name: str
    buffer: int


@dataclass(slots=True)
class Model:
    """A ``.tflite`` model.

    Attributes
    ----------
    subgraphs : list of Subgraph
        The first is the main one.
    buffers : list of (ndarray of uint8 or None)
        Raw bytes by index. Buffer 0 is empty by convention. The value of a tensor is what
        `Tensor.data` says: the writer brings the buffers in line with it.
    version : int
        Schema version (3).
    source : str
        Where the model came from, for messages; a path or ``<bytes>``.
    metadata_buffer : tuple of int
        Buffer indices in the field that `metadata` replaced.
    external_buffer_groups : list of str
        Files that hold constants outside the model.
    external_buffers : list of dict
        ``ExternalBuffer`` tables, by field name.
    archive : bytes or None
        ZIP archive that is appended to the model: the files (labels, vocabularies) that its metadata names.
        A ZIP file in its own right, for ``zipfile.ZipFile(io.BytesIO(model.archive))``.
    trailing : ndarray of uint8 or None
        Other bytes that the file has behind what it refers to, such as compiled code that a custom operator
        finds by its position in the file.
    trailing_offset : int
        That position. The writer keeps it, or refuses; see `quantcore.flatbuffer.writer`.
    unread : tuple of str
        What the file holds that quantcore's schema does not know, in fields newer than it. The writer
        refuses a model whose file has such fields. Set it to ``()`` to write the model without them.
    """

    subgraphs: list[Subgraph]
    buffers: list[np.ndarray | None] = field(default_factory=lambda: [None])
    version: int = 3
    description: str = ""
    signatures: list[Signature] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    source: str = "<memory>"
    metadata_buffer: tuple[int, ...] = ()
    external_buffer_groups: list[str] = field(default_factory=list)
    external_buffers: list[dict[str, Any]] = field(default_factory=list)
    archive: bytes | None = None
    trailing: np.ndarray | None = None
    trailing_offset: int = 0
    unread: tuple[str, ...] = ()

    def with_main(self, main: Subgraph) -> Model:
        """Return a model with another main subgraph, and all else shared with this one."""
        return replace(self, subgraphs=[main, *self.subgraphs[1:]])

    def operators(self) -> Iterator[tuple[int, int, Operator]]:
        """Yield ``(subgraph index, operator index, operator)`` in execution order."""
        for s, subgraph in enumerate(self.subgraphs):
            for i, operator in enumerate(subgraph.operators):
                yield s, i, operator
