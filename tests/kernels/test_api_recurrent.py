"""svdf and lstm on arrays, against the oracles, with the parameters a user computes; state; bad arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import KernelError
from quantcore.kernels import LstmGate
from tests.ops.harness import assert_same_bits, check_samples
from tests.ops.lstm_models import Built, Lstm, build
from tests.ops.test_svdf import SCALES, SCALES_8
from tests.ops.test_svdf import svdf as svdf_model


def fixed_point(name: str, real: float) -> dict[str, int]:
    multiplier, shift = qc.quantize_multiplier(float(real))
    return {f"{name}_multiplier": int(multiplier), f"{name}_shift": int(shift)}


# SVDF -----------------------------------------------------------------------------------------------


def svdf_arguments(rng: np.random.Generator, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "input": rng.integers(-128, 128, (2, 5)).astype(np.int8),
        "weights_feature": rng.integers(-128, 128, (6, 5)).astype(np.int8),
        "weights_time": rng.integers(-128, 128, (6, 3)).astype(np.int16),
        "state": np.zeros((2, 18), np.int16),
        "rank": 2,
        "input_offset": 3,
        "input_multiplier": 1 << 30,
        "input_shift": -2,
        "output_offset": -7,
        "output_multiplier": 1 << 30,
        "output_shift": -9,
    }
    return arguments | changes


@pytest.mark.parametrize(("state", "profile"), [("int16", "reference"), ("int8", "tflm")])
def test_svdf_is_the_operator(state: str, profile: str) -> None:
    rng = np.random.default_rng(1)
    s_x, s_feature, s_time, s_state, s_y = (
        np.float32(v) for v in (SCALES if state == "int16" else SCALES_8)[0]
    )
    z_x, z_state, z_y = (SCALES if state == "int16" else SCALES_8)[1]
    batch, inputs, rank = 2, 16, 2
    model = svdf_model(rng, (batch, inputs, 4, rank, 8), state)
    _, feature, time, bias, _ = (model.subgraphs[0].tensors[t].data for t in range(5))
    samples = [[rng.integers(-128, 128, (batch, inputs)).astype(np.int8)] for _ in range(12)]
    memory = np.full((batch, feature.shape[0] * time.shape[1]), z_state, state)
    expected = check_samples(model, samples, numerics=profile, keep_state=True)
    for (x,), (y, kept) in zip(samples, expected, strict=True):
        ours = qc.kernels.svdf(
            x,
            feature,
            time,
            bias,
            state=memory,
            rank=rank,
            input_offset=-z_x,
            output_offset=z_y,
            state_offset=z_state,
            **fixed_point("input", s_x * s_feature / s_state),
            **fixed_point("output", s_state * s_time / s_y),
        )
        assert_same_bits(ours, y)
        assert_same_bits(memory, kept)


def test_svdf_bounds() -> None:
    rng = np.random.default_rng(2)
    free, bound = np.zeros((2, 18), np.int16), np.zeros((2, 18), np.int16)
    for _ in range(3):
        arguments = svdf_arguments(rng)
        y = qc.kernels.svdf(**arguments | {"state": free})
        z = qc.kernels.svdf(**arguments | {"state": bound, "activation_min": -20, "activation_max": 10})
        np.testing.assert_array_equal(z, np.clip(y, -20, 10))
    clipped = np.zeros((2, 18), np.int16)
    rng = np.random.default_rng(2)
    for _ in range(3):
        arguments = svdf_arguments(rng, state=clipped, input_activation_min=-50, input_activation_max=60)
        qc.kernels.svdf(**arguments)
    np.testing.assert_array_equal(clipped, np.clip(free, -50, 60))
    assert (clipped != free).any()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rank": 4}, "divisor of filters"),
        ({"rank": 0}, "rank"),
        ({"input": np.zeros((2, 6), np.int8)}, "expected \\(batch, inputs\\)"),
        ({"input": np.zeros((0, 5), np.int8)}, "expected \\(batch, inputs\\)"),
        ({"input": np.zeros((2, 5), np.float32)}, "float32"),
        ({"weights_time": np.zeros((6, 3), np.int8)}, "state is int16"),
        ({"state": np.zeros((2, 17), np.int16)}, "shape \\(2, 18\\)"),
        ({"state": [[0] * 18] * 2}, "expected an ndarray"),
        ({"state": np.zeros((18, 2), np.int16).T}, "C-contiguous"),
        ({"state": np.broadcast_to(np.int16(0), (2, 18))}, "C-contiguous"),
        ({"bias": np.zeros(2, np.int32)}, "expected 3"),
        ({"input_offset": 129}, "input_offset"),
        ({"state_offset": 40000}, "state_offset"),
        ({"output_offset": 128}, "output_offset"),
        ({"output_multiplier": 5}, "output_multiplier"),
        ({"input_shift": 32}, "input_shift"),
        ({"activation_min": 3, "activation_max": 2}, "activation"),
        ({"rounding": "ruy"}, "rounding"),
    ],
)  # fmt: skip
def test_svdf_refuses(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(KernelError, match=reason):
        qc.kernels.svdf(**svdf_arguments(np.random.default_rng(3), **changes))


# LSTM -----------------------------------------------------------------------------------------------


def lstm_arguments(built: Built, *, tflm: bool) -> dict[str, Any]:
    """Return the arguments for a model: products of scales are float64 in TFLite Micro, float32 in TFLite."""
    o = built.config
    real = np.float64 if tflm else np.float32
    s_x, s_h, s_c = (real(np.float32(v)) for v in (o.input_scale, o.output_scale, o.cell_scale))
    gates: list[LstmGate | None] = []
    for k in range(4):
        if built.array(1 + k) is None:
            gates.append(None)
            continue
        to_q12 = [np.float64(s * real(built.scale(t + k))) * 2**12 for s, t in ((s_x, 1), (s_h, 5))]
        gates.append(
            LstmGate(
                input_weights=built.array(1 + k),
                hidden_weights=built.array(5 + k),
                bias=built.array(12 + k),
                **fixed_point("input", to_q12[0]),
                **fixed_point("hidden", to_q12[1]),
            )
        )
    power = round(float(np.log2(s_c)))
    once = {"multiplier": 2**31 - 1, "shift": -15}
    forget = {"multiplier": 2**30, "shift": -14} if tflm else once
    update = {"multiplier": 2**30, "shift": -29 - power} if tflm else once | {"shift": -30 - power}
    return {
        **dict(zip(("input_gate", "forget_gate", "cell_gate", "output_gate"), gates, strict=True)),
        "input_offset": -o.input_zero,
        "output_offset": o.output_zero,
        **fixed_point("output", 2.0**-30 / np.float64(s_h)),
        **{f"forget_to_cell_{k}": v for k, v in forget.items()},
        **{f"input_to_cell_{k}": v for k, v in update.items()},
        "cell_scale_power": power,
        "time_major": o.time_major,
        "functions": "table" if tflm else "fixed_point",
        "clamp_hidden": tflm,
    }


@pytest.mark.parametrize(
    ("kind", "profile", "cifg"),
    [
        ("int8", "reference", False),
        ("int8", "reference", True),
        ("int8", "tflm", False),
        ("int16", "tflm", False),
    ],
)
@pytest.mark.parametrize("time_major", [False, True])
def test_lstm_is_the_operator(kind: str, profile: str, cifg: bool, time_major: bool) -> None:
    rng = np.random.default_rng(4)
    built = build(
        rng, Lstm(kind, 2, 5, 19, 17, time_major=time_major, cifg=cifg, input_zero=-9, output_zero=11)
    )
    arguments = lstm_arguments(built, tflm=profile == "tflm")
    samples = built.samples(rng)
    h = np.full((2, 17), built.config.output_zero, kind)
    c = np.zeros((2, 17), np.int16)
    expected = check_samples(built.model, samples, numerics=profile, keep_state=True)
    for n, ((x,), outputs) in enumerate(zip(samples, expected, strict=True)):
        if n == 0:
            assert_same_bits(qc.kernels.lstm(x, **arguments), outputs[0], "without states")
        ours = qc.kernels.lstm(x, **arguments, hidden_state=h, cell_state=c)
        for mine, theirs in zip((ours, h, c), outputs, strict=True):
            assert_same_bits(mine, theirs, f"invocation {n}")


def test_lstm_cell_clip_and_missing_bias() -> None:
    rng = np.random.default_rng(5)
    built = build(rng, Lstm(bias=0, cell_clip=0.25))
    arguments = lstm_arguments(built, tflm=True)
    arguments["forget_gate"] = LstmGate(
        **{f: getattr(arguments["forget_gate"], f) for f in LstmGate.__slots__ if f != "bias"}
    )
    samples = built.samples(rng)
    c = np.zeros((1, 4), np.int16)
    h = np.full((1, 4), built.config.output_zero, np.int8)
    clip = int(0.25 / built.config.cell_scale)
    expected = check_samples(built.model, samples, numerics="tflm", keep_state=True)
    for (x,), (y, *_) in zip(samples, expected, strict=True):
        assert_same_bits(
            qc.kernels.lstm(x, **arguments, cell_clip=clip, hidden_state=h, cell_state=c), y, "clipped"
        )
    assert np.abs(c).max() == clip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": np.zeros((1, 3), np.int8)}, "dimensions"),
        ({"input": np.zeros((1, 0, 5), np.int8)}, "at least 1"),
        ({"input": np.zeros((1, 3, 6), np.int8)}, "input_gate.input_weights has shape"),
        ({"input": np.zeros((1, 3, 5), np.int16)}, "bias"),
        ({"hidden_state": np.zeros((1, 5), np.int8)}, "hidden_state"),
        ({"cell_state": np.zeros((1, 4), np.int32)}, "cell_state"),
        ({"cell_clip": -1}, "cell_clip"),
        ({"cell_scale_power": 3}, "cell_scale_power"),
        ({"cell_scale_power": -16, "functions": "fixed_point"}, "cell_scale_power"),
        ({"cell_gate": None}, "cell_gate is NoneType"),
        ({"output_gate": 3}, "output_gate is int"),
        ({"functions": "lut"}, "functions"),
        ({"rounding": "float32"}, "rounding"),
        ({"output_offset": 128}, "output_offset"),
        ({"input_offset": -200}, "input_offset"),
        ({"output_multiplier": 7}, "output_multiplier"),
        ({"input_to_cell_shift": 40}, "input_to_cell_shift"),
    ],
)  # fmt: skip
def test_lstm_refuses(changes: dict[str, Any], reason: str) -> None:
    rng = np.random.default_rng(6)
    built = build(rng, Lstm())
    arguments = {"input": built.samples(rng)[0][0], **lstm_arguments(built, tflm=True)}
    with pytest.raises(KernelError, match=reason):
        qc.kernels.lstm(**arguments | changes)
