"""What a kernel in Python is told about the operator that it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flatbuffers import flexbuffers

from quantcore.errors import QuantcoreError
from quantcore.ops.node import ImagePadding, Node, Operand
from quantcore.ops.shared.windows import window_geometry
from quantcore.qparams import QuantParams

__all__ = ["OperatorInfo", "TensorInfo", "describe_operator"]

POOLS = ("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of an operator.

    Attributes
    ----------
    index : int
        In its subgraph.
    name : str
    shape : tuple of int
        The actual one, which may be another than in the file.
    dtype : str
        As in the file; elements of ``int4`` come in arrays of int8.
    params : QuantParams or None
        Its quantization; None for a tensor without.
    is_variable : bool
        Whether it is state, which a kernel may write also where it is an input.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    params: QuantParams | None
    is_variable: bool


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """The first argument of a kernel in Python.

    Attributes
    ----------
    name : str
        As in TFLite's ``BuiltinOperator`` (``CONV_2D``), or the code of a custom operator.
    index : int
        In its subgraph.
    options : mapping
        Fields of the options table, as `quantcore.graph.Operator.options`, defaults filled in; of a custom
        operator, its options where they are a FlexBuffer map.
    custom_options : bytes
        The options of a custom operator as they are in the file; empty for others.
    inputs : tuple of (TensorInfo or None)
        None for an omitted one.
    outputs : tuple of TensorInfo
    numerics : str
        Name of the numerics profile.
    padding : ((int, int), (int, int)) or None
        Of a convolution or pool: rows above and below, columns left and right of the image that its windows
        reach.
    """

    name: str
    index: int
    options: Mapping[str, Any]
    custom_options: bytes
    inputs: tuple[TensorInfo | None, ...]
    outputs: tuple[TensorInfo, ...]
    numerics: str
    padding: ImagePadding | None


def describe_operator(node: Node) -> OperatorInfo:
    """Return what is known of an operator; the shapes of its outputs are those that `node` has by now."""
    op = node.op
    custom_options = bytes(op.custom_options or b"")
    return OperatorInfo(
        name=op.custom_code or op.op,
        index=node.index,
        options=dict(node.options) if op.op != "CUSTOM" else decoded_options(custom_options),
        custom_options=custom_options,
        inputs=tuple(None if x is None else describe_tensor(x) for x in node.inputs),
        outputs=tuple(describe_tensor(y) for y in node.outputs),
        numerics=node.profile.name,
        padding=window_padding(node),
    )


def describe_tensor(operand: Operand) -> TensorInfo:
    """Return what is known of a tensor."""
    tensor = operand.tensor
    try:
        params = tensor.params
    except QuantcoreError:  # scales that mean nothing to quantcore may mean something to the kernel's author
        params = None
    return TensorInfo(operand.index, tensor.name, operand.shape, tensor.dtype, params, tensor.is_variable)


def decoded_options(data: bytes) -> dict[str, Any]:
    """Return the FlexBuffer map that `data` is; an empty dict for anything else."""
    try:
        root = flexbuffers.Loads(data)
    except Exception:  # the parser has no error of its own for what is no FlexBuffer
        return {}
    return root if isinstance(root, dict) else {}


def window_padding(node: Node) -> ImagePadding | None:
    """Return how far windows of a convolution or pool reach beyond the image; None for other operators."""
    options = node.options
    x = node.optional_input(0)
    if x is None or len(x.shape) != 4 or node.op.op not in (*POOLS, *CONVOLUTIONS):
        return None
    dilation = (1, 1)
    if node.op.op in POOLS:
        window = (options["filter_height"], options["filter_width"])
    else:
        shape = node.input(1).shape
        if len(shape) != 4:
            return None
        window = (shape[1], shape[2])
        dilation = (options["dilation_h_factor"], options["dilation_w_factor"])
    size, stride = x.shape[1:3], (options["stride_h"], options["stride_w"])
    try:
        place = window_geometry(node, (size[0], size[1]), window, dilation)
    except QuantcoreError:
        return None
    reach = [
        (count - 1) * step + (extent - 1) * spread + 1 - length - before
        for count, step, extent, spread, length, before in zip(
            place[:2], stride, window, dilation, size, place[2:], strict=True
        )
    ]
    return (place.pad_top, max(0, reach[0])), (place.pad_left, max(0, reach[1]))
