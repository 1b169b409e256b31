"""LSTM models of every variant, with their arrays at hand; the states are graph outputs, for tests to see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantcore.graph import Model, Tensor
from tests.ops.harness import const, op_model, tensor

OUTPUT_STATE, CELL_STATE = 18, 19


@dataclass
class Lstm:
    """What to build. `kind` is int8, int16, float32 or hybrid; sizes, then variants, then quantization."""

    kind: str = "int8"
    batch: int = 1
    steps: int = 3
    inputs: int = 5
    cells: int = 4
    outputs: int = 0  # only with a projection; 0: as many as cells
    time_major: bool = False
    cifg: bool = False
    peephole: bool = False
    projection: bool = False
    projection_bias: bool = True
    normalized: bool = False
    short: bool = False  # 20 inputs
    activation: str = "TANH"
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    asymmetric: bool = False
    minimum: bool = False  # weights of -128
    intermediates: bool = True
    cell_scale: float = 2.0**-11
    input_scale: float = 0.05
    input_zero: int = 3
    output_scale: float = 2.0**-7
    output_zero: int = -5
    hidden_scale: float = 2.0**-7
    hidden_zero: int = 7
    weight_scale: float = 0.02
    bias: int = 2000
    peephole_scale: tuple[float, float] = (1e-5, 1e-4)
    peephole_limit: int = 32767

    def __post_init__(self) -> None:
        if not self.projection:
            self.outputs, self.hidden_scale, self.hidden_zero = 0, self.output_scale, self.output_zero
        self.outputs = self.outputs or self.cells
        if self.kind == "int16":
            self.input_zero = self.output_zero = 0

    @property
    def integer(self) -> bool:
        return self.kind in ("int8", "int16")

    @property
    def dtype(self) -> str:
        return self.kind if self.integer else "float32"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        leading = (self.steps, self.batch) if self.time_major else (self.batch, self.steps)
        return (*leading, self.inputs)


@dataclass
class Built:
    """The model, and what the page's formula takes."""

    config: Lstm
    model: Model
    tensors: dict[int, Tensor] = field(default_factory=dict)

    def samples(self, rng: np.random.Generator, count: int = 3) -> list[list[np.ndarray]]:
        """Return inputs over the whole range of the dtype; floats are normal, and one sample is all 0."""
        shape = self.config.input_shape
        if self.config.integer:
            info = np.iinfo(self.config.dtype)
            return [
                [rng.integers(info.min, info.max + 1, shape).astype(self.config.dtype)] for _ in range(count)
            ]
        drawn = [[rng.standard_normal(shape).astype(np.float32)] for _ in range(count)]
        drawn[1:1] = [[np.zeros(shape, np.float32)]]
        return drawn

    def array(self, position: int) -> Any:
        item = self.tensors.get(position)
        return None if item is None else item.data

    def scale(self, position: int) -> np.float32:
        quantization = self.tensors[position].quantization
        assert quantization is not None
        return np.float32(quantization.scale[0])


def build(rng: np.random.Generator, config: Lstm) -> Built:
    """Build a model with random weights."""
    o = config
    gates = range(1 if o.cifg else 0, 4)

    def weights(*shape: int) -> Tensor:
        if o.kind == "float32":
            return const((rng.standard_normal(shape) * 0.5).astype(np.float32))
        data = rng.integers(-127, 128, shape).astype(np.int8)
        if o.minimum:
            data.reshape(-1)[::5] = -128
        return const(data, o.weight_scale * np.exp(rng.uniform(-1, 1)))

    def bias(count: int) -> Tensor:
        if not o.integer:
            return const(rng.standard_normal(count).astype(np.float32))
        data = rng.integers(-o.bias, o.bias + 1, count)
        return const(data.astype(np.int32 if o.kind == "int8" else np.int64), 1e-4)

    def vector(low: float, high: float, limit: int = 32767) -> Tensor:
        if not o.integer:
            return const(rng.standard_normal(o.cells).astype(np.float32))
        data = rng.integers(-limit, limit + 1, o.cells).astype(np.int16)
        return const(data, np.exp(rng.uniform(np.log(low), np.log(high))))

    def peephole() -> Tensor:
        return vector(*o.peephole_scale, o.peephole_limit) if o.integer else weights(o.cells)

    inputs: list[Tensor | None] = [None] * (20 if o.short else 24)
    scale = (lambda value, zero: (value, zero)) if o.integer else (lambda value, zero: (None, 0))
    inputs[0] = tensor(o.input_shape, o.dtype, *scale(o.input_scale, o.input_zero))
    for gate in gates:
        inputs[1 + gate] = weights(o.cells, o.inputs)
        inputs[5 + gate] = weights(o.cells, o.outputs)
        inputs[12 + gate] = bias(o.cells)
        if o.peephole and gate != 2:
            inputs[9 + min(gate, 2)] = peephole()
        if o.normalized:
            inputs[20 + gate] = vector(2e-5, 2e-4)
    if o.projection:
        inputs[16] = weights(o.outputs, o.cells)
        inputs[17] = bias(o.outputs) if o.projection_bias else None
    inputs[OUTPUT_STATE] = tensor(
        (o.batch, o.outputs), o.dtype, *scale(o.output_scale, o.output_zero), variable=True
    )
    inputs[CELL_STATE] = tensor(
        (o.batch, o.cells), "int16" if o.integer else "float32", *scale(o.cell_scale, 0), variable=True
    )
    output = tensor((*o.input_shape[:2], o.outputs), o.dtype, *scale(o.output_scale, o.output_zero))
    model = op_model(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        [output],
        {
            "fused_activation_function": o.activation,
            "cell_clip": o.cell_clip,
            "proj_clip": o.proj_clip,
            "time_major": o.time_major,
            "asymmetric_quantize_inputs": o.asymmetric,
        },
        intermediates=_intermediates(rng, o),
    )
    return Built(o, with_states(model), {k: t for k, t in enumerate(inputs) if t is not None})


def _intermediates(rng: np.random.Generator, o: Lstm) -> list[Tensor]:
    """Return the five tensors that only have scales: the gates' sums to be normalized, and o * tanh(c)."""
    if not (o.integer and o.intermediates):
        return []
    sums = [tensor((0,), "int16", np.exp(rng.uniform(-9, -7))) for _ in range(4)]
    return [*(sums if o.normalized else [tensor((0,), "float32") for _ in sums]),
            tensor((0,), "int8", o.hidden_scale, o.hidden_zero)]  # fmt: skip


def with_states(model: Model) -> Model:
    """Return the model with all variable tensors as outputs too."""
    subgraph = model.subgraphs[0]
    states = [t for t, item in enumerate(subgraph.tensors) if item.is_variable]
    return replace(model, subgraphs=[replace(subgraph, outputs=(*subgraph.outputs, *states))])


def page_arguments(built: Built) -> dict[str, Any]:
    """Return the arguments of the page's function, but the input and the states."""
    o = built.config
    subgraph = built.model.subgraphs[0]
    hidden = [subgraph.tensors[t].quantization for t in subgraph.operators[0].intermediates]

    def gate(k: int) -> dict[str, Any]:
        values = {"W": built.array(1 + k), "R": built.array(5 + k), "b": built.array(12 + k),
                  "sW": built.scale(1 + k), "sR": built.scale(5 + k)}  # fmt: skip
        if o.peephole and k != 2:
            values |= {"P": built.array(9 + min(k, 2)), "sP": built.scale(9 + min(k, 2))}
        if o.normalized:
            values |= {
                "n": built.array(20 + k),
                "sn": built.scale(20 + k),
                "su": np.float32(hidden[k].scale[0]),
            }
        return values

    projection = None
    if o.projection:
        projection = (built.array(16), built.scale(16), built.array(17) if o.projection_bias else 0)
    return {
        "gates": [None if o.cifg and k == 0 else gate(k) for k in range(4)],
        "scales": {"x": o.input_scale, "h": o.output_scale, "c": o.cell_scale, "m": o.hidden_scale},
        "zero_points": {"x": o.input_zero, "h": o.output_zero, "m": o.hidden_zero},
        "clips": (o.cell_clip, o.proj_clip),
        "projection": projection,
    }
