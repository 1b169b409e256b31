"""Activations from TensorFlow Lite: what its calibrator records, bit for bit, and the clean ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import MinMax, MovingAverage, collect_ranges
from quantcore.calibration.inplace import overwritten_inputs
from quantcore.errors import OracleError, QuantizationError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.samples import random_samples
from tests.calibration.graphs import Graph
from tests.ops.harness import get_oracle

pytestmark = pytest.mark.oracle

FLT_MIN = float(np.finfo(np.float32).tiny)

Ends = dict[int, tuple[float, float]]


def calibrated(model: Model, samples: list) -> Ends:
    """Return what TensorFlow's calibrator records."""
    tensors = get_oracle().calibrate(model, samples).subgraphs[0].tensors
    recorded = {t: x.quantization for t, x in enumerate(tensors) if x.quantization is not None}
    return {t: (float(q.min[0]), float(q.max[0])) for t, q in recorded.items() if q.min is not None}


def collected(model: Model, samples: list, **arguments) -> Ends:
    found = collect_ranges(model, samples, engine="tflite", oracle=get_oracle(), **arguments)
    return {t: (r.rmin, r.rmax) for t, r in found.items()}


def graphs() -> dict[str, tuple[Graph, list[tuple[str, str]]]]:
    """Return small graphs, with the inputs that TFLite's planner lets operators overwrite."""
    cases = {}

    def case(name: str, *overwritten: tuple[str, str], **inputs: tuple[int, ...]) -> Graph:
        graph = Graph(x=(1, 2, 3), **inputs)
        cases[name] = graph, list(overwritten)
        return graph

    for op in ("ADD", "SUB", "MUL", "DIV"):
        g = case(op.lower(), ("a", "c"))
        g.op(op, g.op("TANH", "x", "a"), g.op("EXP", "x", "b"), "c")
        g.end("LOGISTIC", "c")
    g = case("second", ("b", "c"))
    g.op("ADD", g.op("TANH", "x", "a"), g.op("EXP", "x", "b"), "c")
    g.op("NEG", "a", "other")
    g.end("MAXIMUM", "c", "other")
    g = case("softmax", ("a", "c"))
    g.op("SOFTMAX", g.op("EXP", "x", "a"), "c")
    g.end("NEG", "c")
    g = case("graph input is kept")
    g.op("ADD", "x", "x", "c")
    g.end("NEG", "c")
    g = case("graph output is kept")
    g.end("ADD", g.op("TANH", "x", "a"), g.op("EXP", "x", "b"))
    g = case("an input that is an output is kept")
    g.op("MUL", g.op("TANH", "x", "a"), "x", "c")
    g.end("NEG", "c", also=("a",))
    g = case("constant is kept")
    g.op("ADD", g.constant("k", 2), "x", "c")
    g.end("NEG", "c")
    g = case("other size is kept", s=(1, 3))
    g.op("ADD", g.op("TANH", "s", "a"), "x", "c")
    g.end("NEG", "c")
    g = case("one element is kept", s=(1,))
    g.op("ADD", g.op("TANH", "s", "a"), g.op("EXP", "s", "b"), "c")
    g.end("ADD", "c", "x")
    g = case("chain", ("a", "c"), ("c", "d"))
    g.op("ADD", g.op("TANH", "x", "a"), g.op("EXP", "x", "b"), "c")
    g.op("MUL", "c", g.constant("k", 3), "d")
    g.end("NEG", "d")
    g = case("through reshape", ("r", "c"))
    g.op("ADD", g.reshape(g.op("TANH", "x", "a"), "r", (1, 3, 2)), g.constant("k", 5), "c")
    g.end("NEG", "c")
    g = case("reshape of a tensor in use")
    g.op("ADD", g.reshape(g.op("TANH", "x", "a"), "r", (1, 3, 2)), g.constant("k", 5), "c")
    g.op("NEG", "a", "other")
    g.reshape("other", "back", (1, 3, 2))
    g.end("MAXIMUM", "c", "back")
    g = case("copy of the input", ("r", "c"))
    g.op("ADD", g.reshape("x", "r", (1, 3, 2)), g.constant("k", 5), "c")
    g.end("NEG", "c")
    return cases


CASES = graphs()


@pytest.mark.parametrize("name", CASES)
def test_small_graphs_are_as_calibrated(name: str) -> None:
    graph, overwritten = CASES[name]
    model = graph.model()
    names = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert [(names[t], names[u]) for t, u in overwritten_inputs(model.subgraphs[0])] == overwritten
    samples = random_samples(model, 0, 3, 5)
    clean, converter = collected(model, samples), collected(model, samples, ranges="converter")
    assert converter == calibrated(model, samples)
    polluted = {names[t] for t, ends in clean.items() if (ends[0], max(ends[1], FLT_MIN)) != converter[t]}
    assert polluted <= {t for t, _ in overwritten}
    assert clean == {t: (r.rmin, r.rmax) for t, r in expected_clean(model, samples).items()}


def expected_clean(model: Model, samples: list) -> qc.calibration.Ranges:
    """Return the ranges of tensors that the oracle exposes as outputs."""
    oracle = get_oracle().sibling("BUILTIN_WITHOUT_DEFAULT_DELEGATES")
    oracle.num_threads = 4
    trackers: dict[int, MinMax] = {}
    for sample in samples:
        for t, value in oracle.run_all(model, sample).items():
            trackers.setdefault(t, MinMax()).update(value)
    return qc.calibration.Ranges({t: qc.calibration.TensorRange("", *x.range()) for t, x in trackers.items()})


def test_a_tensor_that_is_never_positive() -> None:
    model = CASES["softmax"][0].model()
    samples = [-np.ones((1, 2, 3), np.float32)]
    assert collected(model, samples)[0] == (-1, -1)
    assert collected(model, samples, ranges="converter") == calibrated(model, samples)


@pytest.mark.parametrize("name", ["aeq_conv_fc_mnist_float", "mlperf_ad_float", "mlperf_ic_float"])
def test_real_models_are_as_calibrated(models_dir: Path, name: str) -> None:
    model = qc.load(models_dir / f"{name}.tflite")
    samples = random_samples(model, 0, 3, 7)
    want = calibrated(model, samples)
    assert collected(model, samples, ranges="converter") == want
    ours = collect_ranges(model, samples, ranges="converter")
    assert set(ours) == set(want)
    for t, (low, high) in want.items():
        np.testing.assert_allclose(
            (ours[t].rmin, ours[t].rmax), (low, high), rtol=0, atol=2e-6 * (high - low)
        )


def test_methods_run_beside_the_model() -> None:
    model = CASES["chain"][0].model()
    samples = random_samples(model, 0, 5, 5)
    found = collect_ranges(
        model,
        samples,
        engine="tflite",
        oracle=get_oracle(),
        methods={"a": {"method": "moving_average", "momentum": 0.5}},
    )
    tracker = MovingAverage(0.5)
    t = next(t for t, r in found.items() if r.name == "a")
    for sample in samples:
        tracker.update(get_oracle().sibling("BUILTIN_WITHOUT_DEFAULT_DELEGATES").run_all(model, sample)[t])
    assert (found[t].rmin, found[t].rmax) == tracker.range()
    assert [r.method for r in found.values()].count("moving_average:momentum=0.5") == 1


def test_resized_to_the_first_sample() -> None:
    model = CASES["chain"][0].model()
    batches = [np.full((4, 2, 3), i, np.float32) for i in range(3)]
    assert collected(model, iter(batches), ranges="converter") == calibrated(model, batches)


def test_values_that_are_not_finite_are_named() -> None:
    model = CASES["div"][0].model()
    samples = [np.zeros((1, 2, 3), np.float32), np.full((1, 2, 3), 1000, np.float32)]
    message = (
        r"sample 1: tensor \d+ \('b'\), written by operator 1 \(EXP\): 6 of 6 values .* \(0, 0, 0\): inf"
    )
    with pytest.raises(QuantizationError, match=message):
        collected(model, samples)
    assert collected(model, samples[:1])[0] == (0, 0)


def test_a_model_that_tflite_refuses() -> None:
    tensors = [Tensor("x", (1, 2), "float32"), Tensor("y", (1, 2), "float32")]
    operators = [Operator("CUSTOM", 1, (0,), (1,), custom_code="Nothing")]
    model = Model([Subgraph("main", tensors, operators, (0,), (1,))])
    with pytest.raises(OracleError, match="Nothing"):
        collected(model, [np.zeros((1, 2), np.float32)])
