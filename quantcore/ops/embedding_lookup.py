"""EMBEDDING_LOOKUP."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantcore.kernels import embedding_lookup as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import check_indices, element_bytes
from quantcore.ops.shared.integer_input import IndexInput, axis_limit
from quantcore.ops.shared.operands import check_operands
from quantcore.ops.shared.quantization_rule import OWN_SCALE_INT8
from quantcore.ops.shared.version_rules import per_channel


def check_table(node: Node) -> None:
    """Check the scales of a quantized table whose rows become float32."""
    table = node.input(1)
    quantization = table.tensor.quantization
    if quantization is None or not table.quantized:
        raise node.refuse(f"the table is {table.dtype} without a scale; expected one, or one per row")
    if np.any(quantization.zero_point != 0):
        raise node.refuse(f"the table has zero points {quantization.zero_point}; expected 0")
    if not np.isfinite(table.scales).all():
        raise node.refuse(f"the table has scales up to {table.scales.max()}; expected finite ones")
    if table.scales.size > 1:
        if table.scales.size != table.shape[0] or quantization.quantized_dimension != 0:
            raise node.refuse(
                f"the table has {table.scales.size} scales along axis {quantization.quantized_dimension} and "
                f"{table.shape[0]} rows; expected one scale, or one per row"
            )
        if node.profile.micro:
            raise node.refuse("the table has a scale per row; TFLite Micro expects one scale")


def embedding_lookup_version(node: Node) -> int:
    """Return the version of EMBEDDING_LOOKUP: 4 for int4, or for a scale per row."""
    table = node.input(1)
    if table.dtype == "int4":
        return 4
    if table.tensor.quantization is not None and table.tensor.quantization.per_channel:
        return 4 if per_channel(table, 0) else 1
    return 5 if table.dtype == "int2" else 1


@operator(
    "EMBEDDING_LOOKUP",
    dtypes=("any", "hybrid"),
    max_version=4,
    version=embedding_lookup_version,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=replace(OWN_SCALE_INT8, dynamic_weights={1: 0}),
    integer_inputs={0: IndexInput(axis_limit, table=1)},
)
def lower_embedding_lookup(node: Node) -> KernelCall:
    """Lower EMBEDDING_LOOKUP: rows of a table by number, copied, or made float32 of int8 or int4."""
    check_operands(node, 2)
    indices, table, y = node.input(0), node.input(1), node.output
    if indices.dtype != "int32" or len(indices.shape) != 1:
        raise node.refuse(
            f"indices are {indices.dtype} of shape {indices.shape}; expected int32 and one dimension"
        )
    if len(table.shape) < 2:
        raise node.refuse(f"the table has shape {table.shape}; expected at least two dimensions")
    rows, columns = table.shape[0], math.prod(table.shape[1:])
    check_indices(node, indices, rows, f"[0, {rows}), the rows of the table")
    y.shape = (indices.shape[0], *table.shape[1:])
    size = {"count": indices.shape[0], "rows": rows, "columns": columns}
    if table.dtype == y.dtype and table.dtype != "int4":
        return kernels.embedding_lookup_call(**size, element_bytes=element_bytes(node, table))
    if table.dtype not in ("int8", "int4") or y.dtype != "float32":
        raise node.refuse(
            f"the table is {table.dtype} and the output {y.dtype}; supported: one dtype, or int8 or int4 to "
            "float32"
        )
    if table.dtype == "int4" and (table.value is None or node.profile.micro):
        raise node.refuse("the table is int4; expected a constant, and another profile than TFLite Micro's")
    check_table(node)
    return kernels.embedding_lookup_call(**size, four_bits=table.dtype == "int4", scale=table.scales)
