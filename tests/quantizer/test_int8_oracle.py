"""The mode int8 against TensorFlow's own quantizer, from the same ranges: every tensor, option, version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.comparison.agreement import compare_structure
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model, Quantization
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import Op, get_oracle
from tests.quantizer.networks import draw, network

pytestmark = pytest.mark.oracle

SHAPE = (1, 4, 4, 4)
LINEAR = {"fused_activation_function": "NONE"}
WINDOW = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
CONV = {**WINDOW, "dilation_w_factor": 1, "dilation_h_factor": 1, **LINEAR}
POOL = {**WINDOW, "filter_width": 2, "filter_height": 2, **LINEAR}
DENSE = {**LINEAR, "keep_num_dims": True}
ALL = ("float32", "int8", "uint8")


def dead(*shape: int, axis: int) -> np.ndarray:
    """Return weights whose first channel is zero and whose second is tiny."""
    w = np.moveaxis(draw(*shape, seed=7), axis, 0).copy()
    w[0], w[1] = 0, w[1] * np.float32(1e-10)
    return np.moveaxis(w, 0, axis)


def ranges_of(model: Model, seed: int) -> Ranges:
    """Return random ranges of all values: of both signs, of one sign, and of almost no width."""
    rng = np.random.default_rng(seed)
    graph = model.subgraphs[0]
    used = {*graph.inputs, *(t for op in graph.operators for t in op.outputs)}
    found = Ranges()
    for i, t in enumerate(graph.tensors):
        if i in used and t.dtype == "float32" and t.data is None:
            low = np.float32(rng.choice([-3.0, -0.5, 0.2]) * rng.random())
            high = np.float32(max(low, 0) + rng.choice([6.0, 1.0, 1e-7]) * rng.random())
            found[i] = TensorRange(t.name, float(low), float(high))
    return found


def recorded(model: Model, ranges: Ranges) -> Model:
    """Return the model with ranges in its quantization records, as the converter's calibrator leaves it."""
    none = np.zeros(0, np.float32), np.zeros(0, np.int64)
    tensors = [
        replace(t, quantization=Quantization(*none, 0, *(np.array([e], np.float32) for e in ends)))
        if (ends := (ranges[i].rmin, ranges[i].rmax) if i in ranges else ())
        else t
        for i, t in enumerate(model.subgraphs[0].tensors)
    ]
    return replace(model, subgraphs=[replace(model.subgraphs[0], tensors=tensors)])


def agree(
    model: Model, seed: int, ios: Sequence[str] = ALL, nodes: Sequence[str] = (), **switches: bool
) -> None:
    ranges = ranges_of(model, seed)
    graph = model.subgraphs[0]
    kept = frozenset(i for i, op in enumerate(graph.operators) if graph.tensors[op.outputs[0]].name in nodes)
    for io in ios:
        theirs = get_oracle().quantize(
            recorded(model, ranges), [], mode="int8", io=io, denylisted_nodes=nodes, **switches
        )
        settings = Settings("int8", io, allow_float=True, float_operators=kept, **switches)
        ours = apply(Plan(model, settings), ranges)
        found = compare_structure(read_model(write_model(ours)), read_model(theirs))
        assert found.agrees, (io, found.differences)


def weights_and_biases() -> Model:
    """Guarded channels; one channel; bias and weights of two users; no bias, and in three ways."""
    return network(
        [
            Op("CONV_2D", ["x", "w1", "b1"], ["a"], {**CONV, "fused_activation_function": "RELU6"}),
            Op("CONV_2D", ["a", "w1", "b1"], ["b"], CONV),
            Op("DEPTHWISE_CONV_2D", ["b", "w2", "b2"], ["c"], {**CONV, "depth_multiplier": 1}),
            Op("TRANSPOSE_CONV", ["size", "w3", "c", "b3"], ["d"], WINDOW, 3),
            Op("FULLY_CONNECTED", ["d", "w4", "b4"], ["e"], DENSE),
            Op("FULLY_CONNECTED", ["e", "w4", ""], ["f"], DENSE),
            Op("FULLY_CONNECTED", ["f", "w4"], ["i"], DENSE),
            Op("TRANSPOSE_CONV", ["size", "w3", "i", ""], ["j"], WINDOW, 3),
            Op("ADD", ["j", "k"], ["g"], LINEAR),
            Op("PRELU", ["g", "alpha"], ["h"]),
            Op("CONV_2D", ["h", "w5", "b5"], ["y"], CONV),
        ],
        ["y"],
        y=(1, 4, 4, 1), size=np.array(SHAPE, np.int32), w1=dead(4, 3, 3, 4, axis=0), b1=draw(4),
        w2=dead(1, 3, 3, 4, axis=3), b2=draw(4, size=9), w3=draw(4, 3, 3, 4), b3=draw(4), w4=draw(4, 4),
        b4=draw(4, seed=1), k=draw(4, 4, seed=2), alpha=draw(1, 1, 4), w5=np.zeros((1, 1, 1, 4), np.float32),
        b5=np.ones(1, np.float32),
    )  # fmt: skip


def one_scale() -> Model:
    """Fixed outputs into concatenations, two concatenations of one value, a split value, constants."""
    return network(
        [
            Op("SOFTMAX", ["x"], ["a"], {"beta": 1.0}),
            Op("CONV_2D", ["x", "w", "bias"], ["b"], CONV),
            Op("CONCATENATION", ["a", "b", "k"], ["c"], {"axis": 3, **LINEAR}),
            Op("CONCATENATION", ["b", "v"], ["d"], {"axis": 3, **LINEAR}),
            Op("SPLIT", ["axis", "d"], ["e", "f"], {"num_splits": 2}),
            Op("MAX_POOL_2D", ["v"], ["g"], POOL),
            Op("PACK", ["g", "e"], ["h"], {"values_count": 2, "axis": 0}),
            Op("MAXIMUM", ["f", "k"], ["i"]),
            Op("CONV_2D", ["v", "w", "bias"], ["m"], CONV),
            Op("MINIMUM", ["i", "m"], ["j"]),
            Op("PADV2", ["j", "pads", "fill"], ["l"]),
        ],
        ["c", "h", "l", "a"],
        ("x", "v"),
        c=(1, 4, 4, 12), d=(1, 4, 4, 8), h=(2, *SHAPE), l=(1, 6, 6, 4), k=draw(*SHAPE), axis=np.int32(3),
        pads=np.array([[0, 0], [2, 0], [2, 0], [0, 0]], np.int32), fill=np.float32(-0.3),
        w=draw(4, 3, 3, 4), bias=draw(4),
    )  # fmt: skip


def partly_float() -> Model:
    """Float producers of values without a range of their own; a smaller result takes the codes."""
    return network(
        [
            Op("SIN", ["x"], ["a"]),
            Op("CONV_2D", ["v", "w", "bias"], ["b"], CONV),
            Op("CONCATENATION", ["a", "b"], ["c"], {"axis": 3, **LINEAR}),
            Op("MAX_POOL_2D", ["c"], ["d"], POOL),
            Op("COS", ["b"], ["e"]),
            Op("TANH", ["e"], ["f"]),
            Op("ADD", ["f", "b"], ["g"], LINEAR),
            Op("ADD", ["g", "bad"], ["h"], LINEAR),
            Op("SIN", ["g"], ["i"]),
            Op("MAXIMUM", ["x", "v"], ["j"]),
            Op("REDUCE_MAX", ["x", "last"], ["y"], {"keep_dims": True}),
        ],
        ["d", "h", "i", "e", "j", "y"],
        ("x", "v"),
        c=(1, 4, 4, 8), d=(1, 4, 4, 8), y=(1, 4, 4, 1), w=draw(4, 3, 3, 4), bias=draw(4),
        bad=np.array([np.inf, 1, 2, 3], np.float32), last=np.array([3], np.int32),
    )  # fmt: skip


def integer_results() -> Model:
    """ARG_MAX takes codes if no user before it stays float; what is before depends on the tensor."""
    return network(
        [
            Op("CONV_2D", ["x", "w", "bias"], ["a"], CONV),
            Op("ARG_MAX", ["a", "axis"], ["p"], {"output_type": "INT32"}),
            Op("SIN", ["a"], ["b"]),
            Op("MAX_POOL_2D", ["a"], ["c"], POOL),
            Op("ARG_MAX", ["c", "axis"], ["q"], {"output_type": "INT32"}),
            Op("SIN", ["c"], ["d"]),
            Op("LESS", ["x", "v"], ["r"]),
            Op("SELECT_V2", ["r", "v", "one"], ["e"]),
            Op("TOPK_V2", ["e", "k"], ["f", "s"]),
            Op("ONE_HOT", ["q", "depth", "one", "zero"], ["g"], {"axis": -1}),
        ],
        ["p", "b", "q", "d", "f", "s", "g", "v"],
        ("x", "v"),
        p=((1, 4, 4), "int32"), q=((1, 4, 4), "int32"), r=(SHAPE, "bool"), s=((1, 4, 4, 2), "int32"),
        f=(1, 4, 4, 2), w=draw(4, 3, 3, 4), bias=draw(4), axis=np.int32(3), one=np.float32(1),
        zero=np.float32(0), depth=np.int32(4), k=np.int32(2),
    )  # fmt: skip


def other_operators() -> Model:
    return network(
        [
            Op("L2_NORMALIZATION", ["x"], ["a"], LINEAR),
            Op("LOG_SOFTMAX", ["a"], ["b"]),
            Op("LOGISTIC", ["b"], ["c"]),
            Op("MUL", ["c", "two"], ["d"], LINEAR),
            Op("MEAN", ["d", "space"], ["e"], {"keep_dims": False}),
            Op("BATCH_MATMUL", ["x", "m"], ["f"]),
            Op("SQUEEZE", ["x3"], ["g"], {"squeeze_dims": (0,)}),
            Op("SQUARED_DIFFERENCE", ["f", "d"], ["h"]),
            Op("RESHAPE", ["h", "shape"], ["i"], {"new_shape": (16, 4)}),
            Op("GATHER", ["i", "rows"], ["j"], {"axis": 0}),
            Op("STRIDED_SLICE", ["j", "from", "to", "by"], ["k"], {"begin_mask": 0}),
        ],
        ["e", "g", "k", "x"],
        ("x", "x3", "unused"),
        e=(1, 4), x3=(1, 3, 2), g=(3, 2), i=(16, 4), j=(2, 4), k=(2, 1), two=np.float32(2), m=draw(*SHAPE),
        space=np.array([1, 2], np.int32), shape=np.array([[16, 4]], np.int32),
        rows=np.array([3, 1], np.int32), by=np.array([1, 1], np.int32), to=np.array([2, 3], np.int32),
        **{"from": np.array([0, 2], np.int32)},
    )  # fmt: skip


MAKERS = [weights_and_biases, one_scale, partly_float, integer_results, other_operators]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_small_networks(make: Callable[[], Model], seed: int) -> None:
    agree(make(), seed)


def test_squeeze_of_a_batch() -> None:
    model = network(
        [Op("SQUEEZE", ["x"], ["a"], {"squeeze_dims": (1, 2)}), Op("TANH", ["a"], ["y"])],
        ["y"],
        x=(1, 1, 1, 4), a=(1, 4), y=(1, 4),
    )  # fmt: skip
    for t in model.subgraphs[0].tensors:
        t.shape_signature = (-1, *t.shape[1:])
    agree(model, 1, ["int8"])


def test_per_tensor() -> None:
    model = network(
        [
            Op("CONV_2D", ["x", "w1", "b1"], ["a"], CONV),
            Op("FULLY_CONNECTED", ["a", "w2", "b2"], ["y"], DENSE),
        ],
        ["y"],
        w1=draw(4, 3, 3, 4), b1=draw(4), w2=draw(4, 4), b2=draw(4),
    )  # fmt: skip
    for switches in ({"per_channel": False}, {"per_channel_dense": False}):
        agree(model, 1, ["int8"], **switches)


def test_operators_kept_float() -> None:
    agree(weights_and_biases(), 1, ["int8"], nodes=["b", "e", "h"])


def test_a_pool_kept_float_stays_float() -> None:
    """The converter makes it int8 all the same, because its result is smaller."""
    model = network(
        [Op("MAX_POOL_2D", ["x"], ["y"], {**POOL, "stride_w": 2, "stride_h": 2})], ["y"], y=(1, 2, 2, 4)
    )
    settings = Settings("int8", "int8", float_operators=frozenset({0}))
    ours = apply(Plan(model, settings), ranges_of(model, 1))
    assert [op.op for op in ours.subgraphs[0].operators] == ["DEQUANTIZE", "MAX_POOL_2D", "QUANTIZE"]


def test_real_model(models_dir: Path) -> None:
    agree(qc.load(models_dir / "mlperf_ic_float.tflite"), 4, ["int8"])
