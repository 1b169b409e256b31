"""What a model consists of: sizes, quantization parameters, multipliers. Nothing is run.

`inspect_model` looks; ``quantcore inspect`` prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.errors import QuantcoreError
from quantcore.graph import Model, Subgraph, Tensor
from quantcore.numerics import Profile, get_profile
from quantcore.ops.node import Definition, Node
from quantcore.ops.registry import build_node, find_definition

__all__ = ["Inspection", "Multipliers", "OperatorInfo", "SubgraphInfo", "TensorInfo", "inspect_model"]


@dataclass(slots=True)
class TensorInfo:
    """A tensor.

    Attributes
    ----------
    role : str
        ``input``, ``output``, ``constant``, ``variable`` or ``computed``.
    bytes : int or None
        Size of the data; None where a dimension is not known in the file.
    scale, zero_point : list
        Empty where the tensor is not quantized.
    quantized_dimension : int or None
        Axis of the scales, if there are several.
    real_range : list of [low, high]
        Per scale, the real values of the smallest and largest integer of the dtype.
    value_range : list of [low, high]
        Of a constant: per scale (one pair if it has none), the smallest and largest stored value.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    bytes: int | None
    scale: list[float]
    zero_point: list[int]
    quantized_dimension: int | None
    real_range: list[list[float]]
    value_range: list[list[float]]


@dataclass(slots=True)
class Multipliers:
    """Real multipliers of one role of an operator and their fixed-point form.

    ``real = multiplier * 2**(shift - 31)``, up to the rounding of the multiplier to 31 bits.
    """

    real: list[float]
    multiplier: list[int]
    shift: list[int]


@dataclass(slots=True)
class OperatorInfo:
    """An operator.

    Attributes
    ----------
    op : str
        Name; ``CUSTOM:name`` for a custom operator.
    macs : int or None
        Multiply-accumulates; None where quantcore has no rule to count them.
    rounding : str or None
        Requantization rule of the numerics profile, where the operator requantizes.
    multipliers : dict of str to Multipliers
        By role (``output``, or ``input1``, ``input2`` ...); empty where there are none.
    problem : str or None
        Why quantcore does not run this operator.
    """

    index: int
    op: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    macs: int | None
    rounding: str | None
    multipliers: dict[str, Multipliers]
    problem: str | None


@dataclass(slots=True)
class SubgraphInfo:
    """A subgraph with all its tensors and operators."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: list[TensorInfo]
    operators: list[OperatorInfo]


@dataclass(slots=True)
class Inspection:
    """A model, taken apart.

    Attributes
    ----------
    operator_versions : dict of str to dict
        Operator name to ``{version: count}``.
    parameters : int
        Elements of the constants that are weights: floating-point ones and quantized ones. Data that
        several tensors share counts once.
    bytes_by_dtype : dict of str to int
        Bytes of constant data.
    macs : int
        Multiply-accumulates of one inference, over the operators for which they can be counted.
    """

    model: str
    description: str
    schema_version: int
    numerics: str
    signatures: list[dict[str, Any]]
    metadata: list[str]
    operator_versions: dict[str, dict[int, int]]
    parameters: int
    bytes_by_dtype: dict[str, int]
    macs: int
    subgraphs: list[SubgraphInfo]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists, ready for `json.dumps`."""
        return asdict(self)


def inspect_model(model: Model, numerics: str = "reference") -> Inspection:
    """Take a model apart.

    Parameters
    ----------
    model : Model
    numerics : str
        Profile whose rules form the multipliers.

    Returns
    -------
    Inspection
    """
    profile = get_profile(numerics)
    subgraphs = [inspect_subgraph(model, index, profile) for index in range(len(model.subgraphs))]
    versions: dict[str, Counter[int]] = {}
    for subgraph in subgraphs:
        for operator in subgraph.operators:
            versions.setdefault(operator.op, Counter())[operator.version] += 1
    constants = unique_constants(model)
    bytes_by_dtype: Counter[str] = Counter()
    for tensor, data in constants:
        bytes_by_dtype[tensor.dtype] += data.nbytes
    return Inspection(
        model=model.source,
        description=model.description,
        schema_version=model.version,
        numerics=numerics,
        signatures=[{"key": s.key, "inputs": s.inputs, "outputs": s.outputs} for s in model.signatures],
        metadata=[m.name for m in model.metadata],
        operator_versions={op: dict(sorted(counts.items())) for op, counts in sorted(versions.items())},
        parameters=sum(element_count(tensor) for tensor, _ in constants if is_weight(tensor)),
        bytes_by_dtype=dict(bytes_by_dtype.most_common()),
        macs=sum(operator.macs or 0 for subgraph in subgraphs for operator in subgraph.operators),
        subgraphs=subgraphs,
    )


def inspect_subgraph(model: Model, index: int, profile: Profile) -> SubgraphInfo:
    """Take one subgraph apart."""
    subgraph = model.subgraphs[index]
    constants = {t: tensor.data for t, tensor in enumerate(subgraph.tensors) if tensor.data is not None}
    return SubgraphInfo(
        index=index,
        name=subgraph.name,
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
        tensors=[inspect_tensor(subgraph, t) for t in range(len(subgraph.tensors))],
        operators=[inspect_operator(subgraph, i, profile, constants) for i in range(len(subgraph.operators))],
    )


def unique_constants(model: Model) -> list[tuple[Tensor, np.ndarray]]:
    """Return the constant tensors, one for each buffer."""
    found: dict[tuple[int, int], tuple[Tensor, np.ndarray]] = {}
    for s, subgraph in enumerate(model.subgraphs):
        for t, tensor in enumerate(subgraph.tensors):
            if tensor.data is not None:
                # Tensors without a buffer of their own (made by hand) stand for themselves.
                key = (-1, tensor.buffer) if tensor.buffer else (s, -1 - t)
                found.setdefault(key, (tensor, tensor.data))
    return list(found.values())


def is_weight(tensor: Tensor) -> bool:
    """Whether a constant holds parameters rather than shapes, axes and paddings."""
    return "float" in tensor.dtype or tensor.is_quantized


def element_count(tensor: Tensor) -> int:
    """Return the number of elements of the stored shape."""
    return int(np.prod(tensor.shape, dtype=object))


def inspect_tensor(subgraph: Subgraph, index: int) -> TensorInfo:
    """Take one tensor apart."""
    tensor = subgraph.tensors[index]
    quantization = tensor.quantization
    scale = quantization.scale if quantization is not None else np.zeros(0, np.float32)
    zero_point = quantization.zero_point if quantization is not None else np.zeros(0, np.int64)
    return TensorInfo(
        index=index,
        name=tensor.name,
        shape=tensor.shape_signature or tensor.shape,
        dtype=tensor.dtype,
        role=tensor_role(subgraph, index),
        bytes=tensor_bytes(tensor),
        scale=scale.astype(np.float64).tolist(),
        zero_point=zero_point.tolist(),
        quantized_dimension=quantization.quantized_dimension if quantization and scale.size > 1 else None,
        real_range=tensor.real_range,
        value_range=value_range(tensor),
    )


def tensor_role(subgraph: Subgraph, index: int) -> str:
    """Return what a tensor is in its subgraph."""
    if index in subgraph.inputs:
        return "input"
    if index in subgraph.outputs:
        return "output"
    if subgraph.tensors[index].is_constant:
        return "constant"
    return "variable" if subgraph.tensors[index].is_variable else "computed"


def tensor_bytes(tensor: Tensor) -> int | None:
    """Return the size of a tensor's data in bytes, None where it depends on the input."""
    if tensor.data is not None:
        return tensor.data.nbytes
    if any(d < 0 for d in tensor.shape_signature or tensor.shape):
        return None
    if "int" in tensor.dtype:
        bits = int(tensor.dtype.lstrip("uint"))
        return -(-element_count(tensor) * bits // 8)
    try:
        return element_count(tensor) * np.dtype(tensor.dtype).itemsize
    except TypeError:  # bfloat16, string, resource ...
        return None


def value_range(tensor: Tensor) -> list[list[float]]:
    """Return ``[smallest, largest]`` stored value of a constant, per scale."""
    data = tensor.data
    if data is None or data.size == 0 or data.shape != tensor.shape or data.dtype.kind not in "iuf":
        return []
    quantization = tensor.quantization
    axis = quantization.quantized_dimension if quantization is not None else 0
    if quantization is not None and quantization.per_channel and 0 <= axis < data.ndim:
        others = tuple(d for d in range(data.ndim) if d != axis)
        low, high = data.min(axis=others), data.max(axis=others)
    else:
        low, high = np.atleast_1d(data.min()), np.atleast_1d(data.max())
    pairs: list[list[float]] = np.stack([low, high], axis=-1).tolist()
    return pairs


def inspect_operator(
    subgraph: Subgraph, index: int, profile: Profile, constants: Mapping[int, np.ndarray]
) -> OperatorInfo:
    """Take one operator apart. What quantcore does not know is left out, never an error."""
    op = subgraph.operators[index]
    problem: str | None = None
    macs: int | None = None
    multipliers: dict[str, Multipliers] = {}
    node = build_node(subgraph, index, profile, {}, constants)
    try:
        definition = find_definition(op, index)
        macs = int(definition.macs(node)) if definition.macs is not None else 0
        multipliers = fixed_point(definition, node)
    except QuantcoreError as error:
        problem = getattr(error, "reason", str(error))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The two rules rely on the checks of lowering, which a model that is only looked at has not passed.
        problem = f"its tensors or options do not fit together ({type(error).__name__}: {error})"
    return OperatorInfo(
        index=index,
        op=op.name,
        version=op.version,
        inputs=op.inputs,
        outputs=op.outputs,
        options=op.options,
        macs=macs,
        rounding=node.rule.rounding if multipliers else None,
        multipliers=multipliers,
        problem=problem,
    )


def fixed_point(definition: Definition, node: Node) -> dict[str, Multipliers]:
    """Return the multipliers of a quantized operator by role; none where it is not quantized."""
    if definition.multipliers is None or not node.outputs:
        return {}
    if not (node.output.quantized and node.input(0).quantized):
        return {}
    result = {}
    for role, real in definition.multipliers(node).items():
        multiplier, shift = quantize_multiplier(real)
        result[role] = Multipliers(
            np.atleast_1d(real).tolist(), np.atleast_1d(multiplier).tolist(), np.atleast_1d(shift).tolist()
        )
    return result
