"""Ranges that quantization-aware training left in a float model: found, and taken out of the graph.

TensorFlow's converter writes ``tf.quantization.fake_quant_*`` as QUANTIZE and DEQUANTIZE, a *pair*; older
ones write FAKE_QUANT. ``docs/quantization/trained.md`` has the rules.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Subgraph, Tensor, Use
from quantcore.qparams import QuantParams, integer_range, trained_range
from quantcore.quantizer.arithmetic import WideParams
from quantcore.quantizer.float_graph import rule_of
from quantcore.quantizer.parameters import stored
from quantcore.quantizer.renumbering import without_unused
from quantcore.quantizer.working_copy import redirect, working_copy

__all__ = ["Trained", "has_trained_ranges", "take_ranges"]

# dtypes of pairs, and of the codes that the passes make of them
SIGNED = {"uint8": "int8", "int8": "int8", "uint4": "int4", "int4": "int4"}
ULPS = np.arange(-2, 3, dtype=np.float32)


@dataclass(slots=True)
class Trained:
    """A float model without its pairs, and what they said.

    Attributes
    ----------
    model : Model
    params : dict of int to QuantParams
        By tensor of the main subgraph.
    """

    model: Model
    params: dict[int, QuantParams] = field(default_factory=dict)


@dataclass(slots=True)
class Pair:
    """One fake quantization.

    Attributes
    ----------
    operators : list of int
        QUANTIZE and what reads it, or a FAKE_QUANT.
    source : int
        The tensor that is quantized.
    results : list of int
        The float tensors that come out.
    params : QuantParams
    """

    operators: list[int]
    source: int
    results: list[int]
    params: QuantParams


def has_trained_ranges(model: Model) -> bool:
    """Whether the main subgraph of a model has fake quantization."""
    return any(_candidates(model.subgraphs[0]))


def take_ranges(model: Model) -> Trained:
    """Return the model without its pairs, and their parameters; `model` is not changed.

    A pair behind a pair says nothing: the first one counts. A value that operators also read past its pair
    keeps the pair as operators, whose result has the parameters.

    Raises
    ------
    QuantizationError
        A pair has codes of other than 8 or 4 bits, or scales that are not finite and positive; or weights
        have a range that no kernel takes.
    """
    draft = working_copy(model)
    graph = draft.subgraphs[0]
    removal = _Removal(graph, [_pair(model, graph, operators) for operators in _candidates(graph)])
    params, moved = removal.params, removal.moved
    for t, name in _output_names(graph, moved).items():
        graph.tensors[t] = replace(graph.tensors[t], name=name)
    graph.operators = [
        replace(op, inputs=tuple(moved.get(t, t) for t in op.inputs))
        for i, op in enumerate(graph.operators)
        if i not in removal.removed
    ]
    redirect(draft, "outputs", tuple(moved.get(t, t) for t in graph.outputs))
    graph.operators = [op for op in graph.operators if not _is_folded(op, graph, params)]
    _check_params(model, graph, params)
    plain, (kept, *_) = without_unused(draft)
    return Trained(plain, {kept[t]: p for t, p in params.items() if t in kept})


class _Removal:
    """Which pairs go, and what takes the place of what they made.

    Parameters
    ----------
    graph : Subgraph
        Tensors are added, and changed where a pair must stay.
    pairs : list of Pair
        In execution order.

    Attributes
    ----------
    params : dict of int to QuantParams
    moved : dict of int to int
        Tensors that are replaced, and by which.
    removed : set of int
        Operators.
    """

    def __init__(self, graph: Subgraph, pairs: list[Pair]) -> None:
        self.graph = graph
        self.uses = graph.uses()
        self.counts = Counter(pair.source for pair in pairs)
        self.params: dict[int, QuantParams] = {}
        self.moved: dict[int, int] = {}
        self.removed: set[int] = set()
        for pair in pairs:
            self.take(pair)

    def take(self, pair: Pair) -> None:
        """Take a pair away, or leave it as operators."""
        owner = self.owner(pair)
        if owner is None:
            _keep(self.graph, pair)
            self.params.update(dict.fromkeys(pair.results, pair.params))
        else:
            self.params.setdefault(owner, pair.params)
            self.removed.update(pair.operators)
            self.moved.update(dict.fromkeys(pair.results, owner))
        if self.counts[pair.source] == 1 and pair.source in self.graph.outputs and owner != pair.source:
            self.moved[pair.source] = pair.results[0] if owner is None else owner

    def owner(self, pair: Pair) -> int | None:
        """Return the tensor that has the pair's parameters without it; None: there is none."""
        t = self.moved.get(pair.source, pair.source)
        alone = self.counts[pair.source] == 1 and len(self.uses[pair.source]) == 1
        if t in self.params or alone:
            return t
        if not self.graph.tensors[t].is_constant:
            return None
        self.graph.tensors.append(replace(self.graph.tensors[t], buffer=0))
        return len(self.graph.tensors) - 1


def _candidates(graph: Subgraph) -> Iterator[list[int]]:
    """Yield the operators of each fake quantization."""
    uses = graph.uses()
    for i, op in enumerate(graph.operators):
        if len(op.inputs) != 1 or len(op.outputs) != 1 or min(op.inputs + op.outputs) < 0:
            continue
        (x,), (q,) = op.inputs, op.outputs
        if graph.tensors[x].dtype != "float32":
            continue
        if op.op == "FAKE_QUANT":
            yield [i]
        elif op.op == "QUANTIZE":
            readers = [graph.operators[k] for k, _ in uses.get(q, ())]
            if (
                q not in graph.outputs
                and readers
                and all(_is_dequantize(reader, graph) for reader in readers)
            ):
                yield [i, *(k for k, _ in uses[q])]


def _is_dequantize(op: Operator, graph: Subgraph) -> bool:
    return (
        op.op == "DEQUANTIZE"
        and len(op.outputs) == 1
        and op.outputs[0] >= 0
        and graph.tensors[op.outputs[0]].dtype == "float32"
    )


def _pair(model: Model, graph: Subgraph, operators: list[int]) -> Pair:
    first = graph.operators[operators[0]]
    (source,), (q,) = first.inputs, first.outputs
    where = f"{model.source}: operator {operators[0]} ({first.op}, {graph.tensors[source].name!r})"
    try:
        if first.op == "FAKE_QUANT":
            return Pair(operators, source, [q], _fake_quant_params(first))
        is_constant = graph.tensors[source].is_constant
        results = [graph.operators[i].outputs[0] for i in operators[1:]]
        return Pair(operators, source, results, _pair_params(graph.tensors[q], is_constant))
    except QuantizationError as error:
        raise QuantizationError(f"{where}: {error}") from None


def _fake_quant_params(op: Operator) -> QuantParams:
    low, high, bits = (op.options.get(name, 0) for name in ("min", "max", "num_bits"))
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise QuantizationError(f"its range is [{low}, {high}]; expected finite ends, min <= max")
    if not 2 <= bits <= 8:
        raise QuantizationError(f"it has {bits} bits; expected 2 to 8")
    dtype = "int4" if bits <= 4 else "int8"
    qmax = integer_range(f"u{dtype}")[1]
    low, high = np.float32(low), np.float32(high)
    scale, zero_point = trained_range(low, high, int(bool(op.options.get("narrow_range"))), qmax)
    return WideParams(scale, int(zero_point) + integer_range(dtype)[0], dtype)


def _pair_params(tensor: Tensor, is_constant: bool) -> QuantParams:
    """Return the parameters of a pair's integer tensor, as signed integers."""
    found = tensor.quantization
    if tensor.dtype not in SIGNED:
        raise QuantizationError(f"its codes are {tensor.dtype}; expected {', '.join(SIGNED)}")
    if found is None or not found.scale.size:
        raise QuantizationError("it has no scale")
    dtype = SIGNED[tensor.dtype]
    middle = 0 if tensor.dtype == dtype else -integer_range(dtype)[0]
    zero_points = np.broadcast_to(found.zero_point, found.scale.shape) - middle
    per_channel = found.scale.size > 1
    axis = found.quantized_dimension if per_channel else None
    scales, zeros = (found.scale, zero_points) if per_channel else (found.scale[0], int(zero_points[0]))
    plain = QuantParams(scales, zeros, dtype, axis)  # refuses scales and zero points that are none
    exact = _from_range(tensor, plain)
    return WideParams(_guessed(plain, is_constant) if exact is None else exact, zeros, dtype, axis)


def _from_range(tensor: Tensor, params: QuantParams) -> np.ndarray | None:
    """Return the float64 scales of the range that a tensor records, if its parameters come from that."""
    found = tensor.quantization
    if found is None or found.min is None or found.max is None:
        return None
    shape = np.shape(params.scale)
    qmin, qmax = integer_range(tensor.dtype)
    if found.min.size != max(1, params.channels) or found.max.size != found.min.size:
        return None
    for narrow in (False, True):
        scale, zero_point = trained_range(found.min, found.max, qmin + narrow, qmax)
        same = np.array_equal(zero_point, np.broadcast_to(found.zero_point, zero_point.shape))
        if same and np.array_equal(scale.astype(np.float32), found.scale):
            return scale.reshape(shape)
    return None


def _guessed(params: QuantParams, is_constant: bool) -> np.ndarray:
    """Return the float64 scales of the likeliest ranges, where the file has float32 ones only.

    A range that is symmetric, or has an end at 0, has one float32 number as its other end: mostly there is
    only one that gives the stored scale. Any other range leaves the float32 scale.
    """
    stored = np.asarray(params.scale)
    zero_points = np.asarray(params.zero_point)
    steps = params.qmax - params.qmin - is_constant  # constants are narrow
    whole = (zero_points == params.qmin) | (zero_points == params.qmax)
    symmetric = zero_points == 0
    parts = np.where(symmetric, steps / 2, params.qmax - params.qmin)
    scales = stored.astype(np.float64)
    ends = (scales * parts).astype(np.float32)
    near = (ends[..., None] + np.spacing(ends)[..., None] * ULPS).astype(np.float32)
    quotients = near.astype(np.float64) / parts[..., None]
    fits = quotients.astype(np.float32) == stored[..., None]
    best = np.argmin(np.where(fits, np.abs(quotients - scales[..., None]), np.inf), axis=-1)
    chosen = np.take_along_axis(quotients, best[..., None], axis=-1)[..., 0]
    return np.where((whole | symmetric) & fits.any(axis=-1), chosen, scales)


def _keep(graph: Subgraph, pair: Pair) -> None:
    """Leave a pair as operators, with signed codes."""
    op = graph.operators[pair.operators[0]]
    if op.op == "QUANTIZE":
        codes = graph.tensors[op.outputs[0]]
        graph.tensors[op.outputs[0]] = replace(
            codes, dtype=pair.params.dtype, quantization=stored(pair.params)
        )


def _output_names(graph: Subgraph, moved: dict[int, int]) -> dict[int, str]:
    """Return the names of outputs for the tensors that take their places."""
    names = {moved[t]: graph.tensors[t].name for t in graph.outputs if t in moved}
    return {t: name for t, name in names.items() if t not in graph.inputs}


def _is_folded(op: Operator, graph: Subgraph, params: dict[int, QuantParams]) -> bool:
    """Compute TRANSPOSE or RESHAPE of a constant with a trained range of one scale; whether that was it."""
    if op.op not in ("TRANSPOSE", "RESHAPE") or op.inputs[0] not in params or len(op.inputs) != 2:
        return False
    data, argument = (graph.tensors[t].data for t in op.inputs)
    given, made = params[op.inputs[0]], graph.tensors[op.outputs[0]]
    if data is None or argument is None or given.axis is not None:
        return False
    orderly = sorted(argument.reshape(-1)) == list(range(data.ndim))
    if not (orderly if op.op == "TRANSPOSE" else math.prod(made.shape) == data.size):
        return False
    data = (
        np.ascontiguousarray(data.transpose(argument)) if op.op == "TRANSPOSE" else data.reshape(made.shape)
    )
    graph.tensors[op.outputs[0]] = replace(made, data=data, shape=data.shape, shape_signature=None, buffer=0)
    params[op.outputs[0]] = given
    return True


def _check_params(model: Model, graph: Subgraph, params: dict[int, QuantParams]) -> None:
    """Refuse parameters that no kernel takes.

    Raises
    ------
    QuantizationError
    """
    uses = graph.uses()
    for t, found in params.items():
        tensor = graph.tensors[t]
        if not tensor.is_constant:
            faults = [(_activation_fault(found), "")]
        else:
            faults = [
                (_weight_fault(graph, use, tensor, found), f" of {graph.operators[use[0]].op}")
                for use in uses.get(t, ())
            ]
        for fault, where in faults:
            if fault:
                raise QuantizationError(
                    f"{model.source}: the trained range of {tensor.name!r}{where} {fault}"
                )


def _activation_fault(params: QuantParams) -> str:
    """Return what is wrong with the trained parameters of a value; empty if nothing is."""
    if params.axis is not None:
        return "is one per channel; expected one range for all values"
    return "" if params.dtype == "int8" else "has 4 bits; expected 8, which all activations have"


def _weight_fault(graph: Subgraph, use: Use, tensor: Tensor, params: QuantParams) -> str:
    """Return what is wrong with the trained parameters of a constant; empty if nothing is."""
    op, axis, shape = graph.operators[use[0]], params.axis, tensor.shape
    rule = rule_of(op)
    if axis is not None and rule.weights.get(use[1]) != axis:
        wanted = f"axis {rule.weights[use[1]]}" if rule.weights.get(use[1]) is not None else "one range"
        return f"is one per channel along axis {axis}; expected {wanted}"
    if axis is not None and (axis >= len(shape) or shape[axis] != params.channels):
        return f"has {params.channels} channels along axis {axis}, the constant the shape {shape}"
    if use[1] in rule.weights and np.any(params.zero_point):
        return "is not symmetric; expected fake quantization from -m to m"
    if params.dtype == "int4" and use[1] not in rule.four_bit_weights:
        return "has 4 bits; expected 8, or weights of a convolution or a dense layer"
    return ""
