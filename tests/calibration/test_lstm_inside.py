"""Ranges of the values inside of an LSTM, which TensorFlow's calibrator records too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import collect_ranges
from quantcore.calibration.intermediates import with_intermediates
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.oracle import Oracle
from quantcore.quantizer.quantize import quantize_model
from tests.ops.harness import get_oracle
from tests.ops.lstm_models import Lstm, build

VARIANTS = {
    "plain": {"batch": 2},
    "cifg": {
        "cifg": True,
        "time_major": True,
        "batch": 2,
        "peephole": True,
        "projection": True,
        "outputs": 3,
    },
    "everything": {"peephole": True, "projection": True, "outputs": 3, "normalized": True, "cell_clip": 0.7},
}


def lstm(name: str) -> Model:
    model = build(np.random.default_rng(4), Lstm("float32", **VARIANTS[name])).model  # type: ignore[arg-type]
    graph = model.subgraphs[0]
    return replace(model, subgraphs=[replace(graph, outputs=graph.outputs[:1])])


def samples(model: Model) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(8)
    (x,) = model.subgraphs[0].inputs
    shape = model.subgraphs[0].tensors[x].shape
    return [[rng.standard_normal(shape).astype(np.float32)] for _ in range(3)]


def recorded(oracle: Oracle, model: Model) -> dict[int, tuple[float, float]]:
    """Return what TensorFlow's calibrator records."""
    found = {}
    for t, tensor in enumerate(oracle.calibrate(model, samples(model)).subgraphs[0].tensors):
        q = tensor.quantization
        if q is not None and q.min is not None and q.max is not None:
            found[t] = float(q.min[0]), float(q.max[0])
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("name", VARIANTS)
def test_as_the_calibrator(name: str) -> None:
    model, oracle = lstm(name), get_oracle()
    expected = recorded(oracle, model)
    found = collect_ranges(model, samples(model), engine="tflite", ranges="converter", oracle=oracle)
    assert {t: (r.rmin, r.rmax) for t, r in found.items()} == expected
    assert len(expected) == {"plain": 5, "cifg": 5, "everything": 9}[name]
    for engine in ("tflite", "quantcore"):
        clean = collect_ranges(model, samples(model), engine=engine, oracle=oracle)
        assert clean.keys() == expected.keys()
        for t, ends in expected.items():
            np.testing.assert_allclose((clean[t].rmin, clean[t].rmax), ends, rtol=2e-6)


def test_the_range_of_the_output_is_that_of_its_inner_value() -> None:
    model = lstm("plain")
    ranges = collect_ranges(model, samples(model), method="percentile:99")
    op = with_intermediates(model).subgraphs[0].operators[0]
    hidden, output = ranges[op.intermediates[4]], ranges[op.outputs[0]]
    assert hidden == replace(output, name="intermediate_0_4")
    assert op.intermediates[0] not in ranges


def test_ranges_fit_the_model_that_they_were_collected_on() -> None:
    model = lstm("everything")
    ranges = collect_ranges(model, samples(model))
    ranges.check(model)
    quantized = quantize_model(model, ranges=ranges, mode="int8", io="int8")
    assert qc.Interpreter(quantized).run(np.zeros(model.subgraphs[0].tensors[0].shape, np.int8)) is not None
    with pytest.raises(QuantizationError, match="do not belong"):
        ranges.check(lstm("plain"))


def test_state_is_handed_on() -> None:
    model = lstm("everything")
    data = samples(model)
    once = collect_ranges(model, data)
    twice = collect_ranges(model, [*data, *data])
    hidden = with_intermediates(model).subgraphs[0].operators[0].intermediates[4]
    assert twice[hidden] != replace(once[hidden], samples=6)
