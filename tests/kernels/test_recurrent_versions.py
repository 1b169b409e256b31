"""LSTM and SVDF: every vector version against the definition, over drawn sizes and rare parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._lstm import lstm_call
from quantcore.kernels._svdf import svdf_call

from quantcore.kernels.lstm_shape import GateFactors, LstmShape, LstmWeights
from tests.ops.harness import assert_same_bits, instruction_sets, using

Arrays = list[np.ndarray | None]
Rng = np.random.Generator


def compare(
    make: Callable[[], KernelCall], inputs: Arrays, output: np.ndarray, states: list[int], what: str
) -> None:
    """Run twice on copies of the states with each instruction set, and compare outputs and states."""
    expected: list[np.ndarray] | None = None
    for isa in instruction_sets():
        with using(isa):
            call = make()
        arrays = [a.copy() if k in states and a is not None else a for k, a in enumerate(inputs)]
        results = []
        for _ in range(2):
            y = np.zeros_like(output)
            call(arrays, [y])
            results += [y, *(arrays[k].copy() for k in states)]  # type: ignore[union-attr]
        expected = expected or results
        for ours, wanted in zip(results, expected, strict=True):
            assert_same_bits(ours, wanted, f"{isa}: {what}")


def extreme(rng: Rng, shape: Any, dtype: str) -> np.ndarray:
    """Return values of which many are the bounds of the type, or all."""
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    bounds = rng.choice(np.array([info.min, info.max, 0], dtype), shape)
    return np.where(rng.random(shape) < rng.choice([0.0, 0.5, 1.0]), bounds, values).astype(dtype)


def factor(rng: Rng, low: int = -31, high: int = 31) -> tuple[int, int]:
    """Return a factor of usual size, or of any."""
    multiplier = int(rng.choice([2**30, 2**31 - 1, rng.integers(2**30, 2**31), 0], p=[0.2, 0.2, 0.55, 0.05]))
    usual = rng.random() < 0.6
    return multiplier, int(rng.integers(-12, -3)) if usual else int(rng.integers(low, high + 1))


def draw_lstm(rng: Rng, kind: str) -> tuple[Callable[[], KernelCall], Arrays, np.ndarray, str]:
    """Return what makes the call, its inputs, an output, and a description."""
    bias_dtype = "int32" if kind == "int8" else "int64"
    batches, steps, inputs, cells = (int(rng.integers(1, top)) for top in (4, 4, 80, 75))
    projection, cifg, peephole, normalized = rng.random(4) < (0.4, 0.3, 0.3, 0.3)
    outputs = int(rng.integers(1, cells + 1)) if projection else cells
    shape = LstmShape(batches, steps, inputs, cells, outputs, bool(rng.random() < 0.5), 24, bool(normalized))
    tensors: Arrays = [None] * 24
    leading = (steps, batches) if shape.time_major else (batches, steps)
    tensors[0] = extreme(rng, (*leading, inputs), kind)
    for gate in range(int(cifg), 4):
        tensors[1 + gate] = extreme(rng, (cells, inputs), "int8")
        tensors[5 + gate] = extreme(rng, (cells, outputs), "int8")
        tensors[12 + gate] = rng.integers(-(2**31), 2**31, cells).astype(bias_dtype) >> int(
            rng.integers(0, 24)
        )
        if peephole and gate != 2:
            tensors[9 + min(gate, 2)] = extreme(rng, cells, "int16")
        if normalized:
            tensors[20 + gate] = extreme(rng, cells, "int16")
    if projection:
        tensors[16] = extreme(rng, (outputs, cells), "int8")
        tensors[17] = extreme(rng, outputs, "int32").astype(bias_dtype) if rng.random() < 0.5 else None
    tensors[18], tensors[19] = extreme(rng, (batches, outputs), kind), extreme(rng, (batches, cells), "int16")
    table = bool(rng.random() < 0.5)
    top = 31 if kind == "int8" else 7
    weights = LstmWeights(
        [w for w in tensors[1:5] if w is not None],
        [w for w in tensors[5:9] if w is not None],
        [w for w in tensors[16:17] if w is not None],
    )
    gates = [
        GateFactors(factor(rng, high=top), factor(rng, high=top), factor(rng), factor(rng, high=19), 3)
        for _ in range(4)
    ]
    limit = 128 if kind == "int8" else 1
    options = {
        "rounding": "single_rounding" if rng.random() < 0.1 else "double_rounding",
        "peephole_body": outputs // 16 * 16,
        "clamp_recurrent": bool(rng.random() < 0.5),
        "table": table,
        "input_offset": int(rng.integers(-127, 129)) if limit > 1 else 0,
        "recurrent_offset": int(rng.integers(-127, 129)) if limit > 1 else 0,
        "forget_to_cell": (2**31 - 1, -15) if rng.random() < 0.5 else factor(rng),
        "input_to_cell": (2**31 - 1, -18) if rng.random() < 0.5 else factor(rng),
        "cell_scale_power": int(rng.integers(-27, 3) if table else rng.integers(-15, -8)),
        "cell_clip": int(rng.choice([2**31 - 1, 32767, 32768, 0, rng.integers(1, 32767)])),
        "hidden": factor(rng),
        "hidden_offset": int(rng.integers(-128, 128)),
        "projection": factor(rng, high=top),
        "output_offset": int(rng.integers(-128, 128)),
        "projection_clip": int(rng.choice([2**31 - 1, 127, 128, 0, rng.integers(1, 127)])),
    }
    if options["rounding"] == "single_rounding":  # shifts up to 30
        gates = [GateFactors(*[(m, min(s, 18)) for m, s in gate[:4]], 3) for gate in gates]
        options |= {key: (v[0], min(v[1], 18)) for key, v in options.items() if isinstance(v, tuple)}

    def make() -> KernelCall:
        return lstm_call(kind, shape, gates, **options, weights=weights)

    return make, tensors, np.zeros((*leading, outputs), kind), f"{shape}, {gates}, {options}"


@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_quantized_lstm(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        make, tensors, output, what = draw_lstm(rng, kind)
        compare(make, tensors, output, [18, 19], what)


@pytest.mark.parametrize("state", ["int8", "int16"])
def test_quantized_svdf(state: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        rank = int(rng.integers(1, 5))
        batches, inputs, units, memory = (int(rng.integers(1, top)) for top in (4, 90, 40, 40))
        filters = rank * units
        inputs_of = {
            "input": extreme(rng, (batches, inputs), "int8"),
            "features": extreme(rng, (filters, inputs), "int8"),
            "times": extreme(rng, (filters, memory), state),
            "bias": extreme(rng, units, "int32") if rng.random() < 0.5 else None,
            "state": extreme(rng, (batches, filters * memory), state),
        }
        bounds = sorted(rng.choice([-128, -100, -3, 0, 4, 127], 2, replace=False).tolist())
        info = np.iinfo(state)
        to_state = Requant(
            "double_rounding", *factor(rng), activation_min=int(info.min), activation_max=int(info.max)
        )
        rule = "single_rounding" if rng.random() < 0.1 else "double_rounding"
        multiplier, shift = factor(rng, high=30)
        output = Requant(rule, multiplier, shift, output_offset=int(rng.integers(-128, 128)),
                         activation_min=bounds[0], activation_max=bounds[1])  # fmt: skip
        offset = int(rng.integers(-128, 128)) if state == "int8" else int(rng.choice([0, 0, 0, 77, -32768]))
        settings = {
            "input_offset": int(rng.integers(-127, 129)),
            "state_offset": offset,
            "to_state": to_state,
            "output": output,
            "features": inputs_of["features"],
        }
        shape = (batches, inputs, filters, memory, rank)
        y = np.zeros((batches, units), np.int8)
        compare(lambda: svdf_call(state, shape, **settings), list(inputs_of.values()), y, [4], f"{shape}")  # noqa: B023
