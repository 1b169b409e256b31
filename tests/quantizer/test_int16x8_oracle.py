"""The mode int16x8 against TensorFlow's own quantizer: every tensor, option and version of small networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.comparison.agreement import compare_structure
from quantcore.errors import OracleRefused
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import Op, get_oracle, run_ours
from tests.quantizer.networks import draw, network

pytestmark = pytest.mark.oracle

SHAPE = (1, 4, 4, 4)
LINEAR = {"fused_activation_function": "NONE"}
WINDOW = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
CONV = {**WINDOW, "dilation_w_factor": 1, "dilation_h_factor": 1, "fused_activation_function": "RELU6"}


def with_dead_channels(weights: np.ndarray, axis: int) -> np.ndarray:
    """Return weights whose first channel is zero and whose second is tiny."""
    weights = np.moveaxis(weights.copy(), axis, 0)
    weights[0], weights[1] = 0, weights[1] * np.float32(1e-7)
    return np.moveaxis(weights, 0, axis)


def weights_and_biases() -> Model:
    return network(
        [
            Op("CONV_2D", ["x", "w1", "b1"], ["a"], CONV),
            Op("DEPTHWISE_CONV_2D", ["a", "w2", "b2"], ["b"], {**CONV, "depth_multiplier": 1}),
            Op("TRANSPOSE_CONV", ["size", "w1", "b", "b3"], ["c"], WINDOW, 3),
            Op("FULLY_CONNECTED", ["c", "w4", "b4"], ["d"], {**LINEAR, "keep_num_dims": True}),
            Op("FULLY_CONNECTED", ["d", "w4", ""], ["e"], {**LINEAR, "keep_num_dims": True}),
            Op("FULLY_CONNECTED", ["d", "w5", "b5"], ["y"], {**LINEAR, "keep_num_dims": True}),
        ],
        ["y", "e"],
        y=(1, 4, 4, 1),
        size=np.array(SHAPE, np.int32),
        w1=with_dead_channels(draw(4, 3, 3, 4), 0), b1=draw(4), w2=with_dead_channels(draw(1, 3, 3, 4), 3),
        b2=draw(4, size=9), b3=draw(4), w4=draw(4, 4), b4=np.zeros(4, np.float32), w5=draw(1, 4), b5=draw(1),
    )  # fmt: skip


def one_scale() -> Model:
    return network(
        [
            Op("SOFTMAX", ["x"], ["a"], {"beta": 1.0}),
            Op("TANH", ["v"], ["b"]),
            Op("CONCATENATION", ["a", "b", "t", "a"], ["c"], {"axis": 3, **LINEAR}),
            Op("SPLIT", ["axis", "c"], ["d0", "d1", "d2", "d3"], {"num_splits": 4}),
            Op("PACK", ["d0", "b"], ["e"], {"values_count": 2, "axis": 0}),
            Op("UNPACK", ["e"], ["f0", "f1"], {"num": 2, "axis": 0}),
            Op("MINIMUM", ["f0", "k"], ["g"]),
            Op("MAXIMUM", ["g", "k"], ["h"]),
            Op("MAX_POOL_2D", ["d3"], ["i"], {**WINDOW, "filter_width": 2, "filter_height": 2, **LINEAR}),
            Op("SUM", ["i", "last"], ["j"], {"keep_dims": True}),
            Op("REDUCE_MAX", ["h", "last"], ["l"], {"keep_dims": True}),
        ],
        ["j", "l", "d1"],
        ("x", "v"),
        c=(1, 4, 4, 16), e=(2, *SHAPE), j=(1, 4, 4, 1), l=(1, 4, 4, 1), t=draw(*SHAPE, size=3),
        axis=np.int32(3), last=np.array([3], np.int32), k=draw(4),
    )  # fmt: skip


def constants() -> Model:
    return network(
        [
            Op("ADD", ["x", "c1"], ["a"], {**LINEAR, "pot_scale_int16": True}),
            Op("SUB", ["c2", "a"], ["b"], LINEAR),
            Op("MUL", ["b", "c1"], ["c"], LINEAR),
            Op("BATCH_MATMUL", ["c", "m"], ["d"]),
            Op("GATHER", ["table", "i"], ["e"], {"axis": 0}),
            Op("CONCATENATION", ["d", "e"], ["f"], {"axis": 3, **LINEAR}),
            Op("MEAN", ["f", "i3"], ["g"], {"keep_dims": True}),
            Op("EXP", ["g"], ["y"]),
        ],
        ["y"],
        f=(1, 4, 4, 8), g=(1, 4, 4, 1), y=(1, 4, 4, 1),
        c1=np.abs(draw(4)), c2=draw(1)[0], m=draw(*SHAPE), table=draw(3, 4, 4, 4, size=2),
        i=np.array([2], np.int32), i3=np.array([3], np.int32),
    )  # fmt: skip


def partly_float() -> Model:
    return network(
        [
            Op("LOGISTIC", ["x"], ["a"]),
            Op("ELU", ["a"], ["b"]),
            Op("MUL", ["b", "b"], ["c"], LINEAR),
            Op("FULLY_CONNECTED", ["c", "w", ""], ["d"], {**LINEAR, "keep_num_dims": True}),
            Op("DIV", ["d", "w"], ["e"], LINEAR),
            Op("SQRT", ["e"], ["f"]),
            Op("ABS", ["b"], ["y"]),
            Op("RELU", ["f"], ["z"]),
        ],
        ["y", "z"],
        w=np.abs(draw(4, 4)) + np.float32(0.1),
    )  # fmt: skip


def always_zero() -> Model:
    """RELU gives nothing but 0, so its scale is subnormal."""
    return network(
        [Op("ABS", ["x"], ["a"]), Op("SUB", ["low", "a"], ["b"], LINEAR), Op("RELU", ["b"], ["y"])],
        ["y", "b"],
        low=np.float32(-1),
    )


def quantized(model: Model, *, io: str, ranges: Ranges, **settings: Any) -> Model:
    chosen = Settings("int16x8", io, **settings)
    return read_model(write_model(apply(Plan(model, chosen), ranges)))


def calibrated(model: Model, samples: list[list[np.ndarray]]) -> Ranges:
    found = get_oracle().calibrate(model, samples).subgraphs[0].tensors
    return Ranges(
        {
            i: TensorRange(t.name, float(t.quantization.min[0]), float(t.quantization.max[0]))
            for i, t in enumerate(found)
            if t.quantization is not None and t.quantization.min is not None and t.quantization.min.size
        }
    )


def samples_of(model: Model) -> list[list[np.ndarray]]:
    graph = model.subgraphs[0]
    return [[draw(*graph.tensors[t].shape, seed=3 * s + t) for t in graph.inputs] for s in range(2)]


def records(model: Model) -> dict[str, Any]:
    """Return the ranges that the quantization records say, by tensor name."""
    return {
        t.name: [None if end is None or not end.size else end.tolist() for end in (q.min, q.max)]
        for t in model.subgraphs[0].tensors
        if (q := t.quantization) is not None
    }


@pytest.mark.parametrize("make", [weights_and_biases, one_scale, constants, partly_float, always_zero])
def test_small_networks(make: Any) -> None:
    model = make()
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    for io in ("float32", "int16"):
        expected = get_oracle().quantize(model, samples, mode="int16x8", io=io)
        ours = quantized(model, io=io, ranges=ranges, allow_float=True)
        found = compare_structure(ours, read_model(expected))
        assert found.agrees, found.differences
        assert records(ours) == records(read_model(expected))
        assert [op.op for op in ours.subgraphs[0].operators] == [
            op.op for op in read_model(expected).subgraphs[0].operators
        ]
    assert found.names == sum(found.compared.values())


def test_per_tensor() -> None:
    model = network(
        [
            Op("CONV_2D", ["x", "w1", "b1"], ["a"], CONV),
            Op("FULLY_CONNECTED", ["a", "w2", "b2"], ["b"], {**LINEAR, "keep_num_dims": True}),
            Op("FULLY_CONNECTED", ["b", "w3", "b3"], ["y"], {**LINEAR, "keep_num_dims": True}),
        ],
        ["y"],
        w1=draw(4, 3, 3, 4), b1=draw(4), w2=draw(4, 4, size=1e-9), b2=draw(4),
        w3=np.zeros((4, 4), np.float32), b3=draw(4),
    )  # fmt: skip
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    for switches in ({"per_channel": False}, {"per_channel_dense": False}):
        expected = get_oracle().quantize(model, samples, mode="int16x8", io="int16", **switches)
        found = compare_structure(
            quantized(model, io="int16", ranges=ranges, **switches), read_model(expected)
        )
        assert found.agrees, found.differences


def test_operators_without_a_form_for_int16() -> None:
    model = partly_float()
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    with pytest.raises(OracleRefused) as refusal:
        get_oracle().quantize(model, samples, mode="int16x8", io="float32", allow_float=False)
    account = Account()
    apply(Plan(model, Settings("int16x8", "float32", allow_float=True)), ranges, account)
    kept = [model.subgraphs[0].operators[i].op for i in account.kept_float]
    assert kept == re.findall(r"not yet supported for op: '(\w+)'", str(refusal.value))


def test_shared_buffer() -> None:
    """The converter rewrites the buffer of a zero bias that is also an index list: ours stays whole."""
    zeros = np.zeros(4, np.float32)
    model = network(
        [
            Op("GATHER", ["x", "i"], ["a"], {"axis": 3}),
            Op("FULLY_CONNECTED", ["a", "w", "b"], ["y"], {**LINEAR, "keep_num_dims": True}),
        ],
        ["y"],
        i=zeros.view(np.int32), b=zeros, w=draw(4, 4),
    )  # fmt: skip
    names = {t.name: t for t in model.subgraphs[0].tensors}
    names["b"].buffer = names["i"].buffer
    model = read_model(write_model(model))
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    ours = quantized(model, io="float32", ranges=ranges)
    (y,) = get_oracle().run(ours, samples[0])
    exact = np.repeat(samples[0][0][..., :1], 4, 3) @ draw(4, 4).T
    assert np.abs(y - exact).max() < 0.02 * np.abs(exact).max()
    with pytest.raises(qc.errors.ModelFormatError, match="buffer"):
        read_model(get_oracle().quantize(model, samples, mode="int16x8", io="float32"))


def test_constant_of_zeros_in_add() -> None:
    """0 - x, as the converter writes a negation: the interpreter aborts on its file, and runs ours."""
    model = network([Op("SUB", ["zero", "x"], ["y"], LINEAR)], ["y"], zero=np.float32(0))
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    (y,) = get_oracle().run(quantized(model, io="float32", ranges=ranges), samples[0])
    assert np.abs(y + samples[0][0]).max() < 1e-3


def test_first_float_operator_on_an_input() -> None:
    """The converter's file reads int16 codes as float32; ours computes what the float model does."""
    model = network([Op("ELU", ["x"], ["a"]), Op("ADD", ["x", "a"], ["y"], LINEAR)], ["y"])
    samples, ranges = samples_of(model), calibrated(model, samples_of(model))
    ours = quantized(model, io="float32", ranges=ranges, allow_float=True)
    (y,) = get_oracle("optimized").run(ours, samples[0])
    (wanted,) = run_ours(model, samples[0])
    assert np.abs(y - wanted).max() < 1e-3
    with pytest.raises(OracleRefused, match="FLOAT32"):
        get_oracle("optimized").run(
            get_oracle().quantize(model, samples, mode="int16x8", io="float32"), samples[0]
        )


@pytest.mark.slow
def test_real_model(models_dir: Path) -> None:
    model = qc.load(models_dir / "mlperf_ic_float.tflite")
    rng = np.random.default_rng(0)
    samples = [[rng.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)] for _ in range(2)]
    expected = get_oracle().quantize(model, samples, mode="int16x8", io="int16")
    ours = quantized(model, io="int16", ranges=calibrated(model, samples))
    found = compare_structure(ours, read_model(expected))
    assert found.agrees, found.differences
    assert sum(found.equal.values()) == 38
    assert qc.verify(ours, samples=2).bit_exact
