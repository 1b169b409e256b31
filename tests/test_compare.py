"""`quantcore.compare`: what each feed measures, models that do not belong together, TensorFlow's debugger."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.affine import QuantParams, dequantize, quantize
from quantcore.comparison.measures import measure
from quantcore.errors import KernelError, QuantcoreError, QuantizationError
from quantcore.samples import random_samples
from tests.comparison.networks import (
    B1,
    H_SCALE,
    W1,
    W2,
    X_SCALE,
    Y_SCALE,
    float_network,
    int8_network,
    samples,
    weights,
)
from tests.ops.harness import Op, graph_model, tensor
from tests.process import run_with_tensorflow

PARAMS = {
    "tfl.quantize": QuantParams(X_SCALE, 0, "int8"),
    "inner": QuantParams(H_SCALE, -128, "int8"),
    "y1": QuantParams(Y_SCALE, 0, "int8"),
}


def hidden(x: np.ndarray) -> np.ndarray:
    return np.maximum(x @ W1.T + B1, 0)


def quantized_hidden(x: np.ndarray) -> np.ndarray:
    """Return the hidden layer for an input that has been quantized, in exact integers of the model."""
    (q1, s1), p = weights(W1), PARAMS["tfl.quantize"]
    bias = np.round(B1 / np.float32(X_SCALE * s1))
    real = (quantize(x, p).astype(np.int64) @ q1.T.astype(np.int64) + bias) * X_SCALE * s1
    return dequantize(quantize(np.maximum(real, 0), PARAMS["inner"]), PARAMS["inner"])


def quantized_output(h: np.ndarray) -> np.ndarray:
    q2, s2 = weights(W2)
    codes = quantize(h, PARAMS["inner"]).astype(np.int64) + 128
    return dequantize(quantize(codes @ q2.T.astype(np.int64) * H_SCALE * s2, PARAMS["y1"]), PARAMS["y1"])


@pytest.mark.parametrize("io", ["float32", "int8"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("feed", ["quantized", "float", "pairwise"])
def test_each_feed(io: str, fused: bool, feed: str) -> None:
    """Real values in NumPy, of what the feed says; the error of each of 5 samples must be within a tie."""
    x = samples()
    result = qc.compare(float_network(fused), int8_network(io), x, feed=feed)
    assert result.samples == 5
    rows = {row.name: row for row in result.tensors}
    last = "y" if io == "float32" else "y1"
    assert list(rows) == ["tfl.quantize", "inner", "y1", *(["y"] if io == "float32" else [])]
    assert [row.name for row in result.outputs] == [last]
    h, chain = hidden(x), quantized_hidden(x)
    expected = {"tfl.quantize": x, "inner": h, "y1": h @ W2.T}
    values = {"tfl.quantize": x, "inner": chain, "y1": quantized_output(h if feed == "float" else chain)}
    if feed == "pairwise":
        # What goes into the float model has not been quantized by any operator.
        expected["y1"] = chain @ W2.T
    for name, params in PARAMS.items():
        wanted = measure(expected[name], quantize(values[name], params), params)
        found = rows[name].measures
        assert found.elements == wanted.elements
        assert found.rmse_over_scale == pytest.approx(wanted.rmse_over_scale, abs=1e-4)
        assert found.mean_error == pytest.approx(wanted.mean_error, abs=1e-6)
        assert found.sqnr_db == pytest.approx(wanted.sqnr_db, abs=0.01)
        assert (rows[name].params, found.range_use) == (params, wanted.range_use)
    assert {row.name: row.measures.sqnr_db > 40 for row in result.constants} == {
        "c1": True, "c2": True, "c3": True
    }  # fmt: skip


def test_clipping_is_a_share_of_the_float_values() -> None:
    x = samples(50)
    row = qc.compare(float_network(), int8_network(clip=0.1), x).tensors[1]
    limit = H_SCALE * 0.1 * 255.5
    assert row.measures.clipped_high == np.mean(hidden(x) > limit) > 0.05
    assert row.measures.clipped_low == 0


def test_partial_results_merge_to_the_whole() -> None:
    x = samples(7)
    models = float_network(), int8_network()
    whole = qc.compare(*models, x)
    parts = [qc.compare(*models, part) for part in (x[3:], x[:3])]
    parts[0].merge(parts[1])
    assert parts[0].to_json() == whole.to_json()
    with pytest.raises(QuantcoreError, match="cannot merge"):
        whole.merge(qc.compare(*models, x, feed="float"))


def test_json_and_csv(tmp_path: Path) -> None:
    result = qc.compare(float_network(), int8_network(), samples(), samples=2)
    found = json.loads(json.dumps(result.to_json()))
    assert (found["samples"], found["feed"]) == (2, "quantized")
    assert found["tensors"][1]["float_operators"] == [0, 1]
    result.to_csv(tmp_path / "layers.csv")
    with (tmp_path / "layers.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["tensor_name"] for line in lines] == ["tfl.quantize", "inner", "y1", "y"]
    assert float(lines[1]["stddev"]) == result.tensors[1].measures.stddev
    assert (lines[1]["num_elements"], lines[1]["zero_point"], lines[3]["scale"]) == ("12", "-128", "")


def test_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    qc.compare(float_network(), int8_network(), samples(2), progress=lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == list(range(1, 9))
    assert seen[-1] == (8, 8, "operator 3 DEQUANTIZE")


def test_models_that_do_not_belong_together() -> None:
    x = samples(1)
    with pytest.raises(QuantcoreError, match="expected the float model first"):
        qc.compare(int8_network(), float_network(), x)
    with pytest.raises(QuantcoreError, match="same sign"):
        qc.compare(float_network(sign=-1), int8_network(), x)
    other = graph_model(
        {name: tensor((1, size), "int8", 0.1) for name, size in (("x", 4), ("a", 4), ("y", 3))},
        [Op("ABS", ("x",), ("a",)), Op("SLICE", ("a", "", ""), ("y",))], ["x"], ["y"],
    )  # fmt: skip
    with pytest.raises(QuantcoreError, match="only 0 of 2 operators"):
        qc.compare(float_network(), other, x)
    with pytest.raises(QuantcoreError, match="inputs of shapes"):
        qc.compare(graph_model({"x": tensor((1, 5), "float32")}, [], ["x"], ["x"]), other, x)


def test_bad_arguments() -> None:
    models = float_network(), int8_network()
    with pytest.raises(KernelError, match="feed is 'both'"):
        qc.compare(*models, samples(), feed="both")
    with pytest.raises(KernelError, match="samples is 0"):
        qc.compare(*models, samples(), samples=0)
    with pytest.raises(QuantizationError, match="input 'x' has shape"):
        qc.compare(*models, np.zeros((2, 5), np.float32))


def test_samples_in_the_forms_of_calibration() -> None:
    models, x = (float_network(), int8_network()), samples(3)
    expected = qc.compare(*models, x).to_json()
    steps: list[int] = []
    for inputs in (lambda: ([row] for row in x), iter(x), {"x": x}, [x]):
        found = qc.compare(*models, inputs, progress=lambda done, total, what: steps.append(total))
        assert found.to_json() == expected
    assert set(steps) == {0, 12}


PAIRS = ("mlperf_ic", "mlperf_kws", "mlperf_ad", "tflm_mnist_lstm")


@pytest.mark.parametrize("name", PAIRS)
def test_real_models(models_dir: Path, name: str) -> None:
    paths = [models_dir / f"{name}_{kind}.tflite" for kind in ("float", "int8")]
    model = qc.load(paths[0])
    data = random_samples(model, 0, 1, 0)[0]
    for feed in ("quantized", "float", "pairwise"):
        result = qc.compare(*paths, data, feed=feed)
        assert result.unmatched_quant == result.unmatched_float == []
        assert not any(row.reason for row in result.tensors)
        assert all(row.measures.elements and not row.measures.non_finite for row in result.tensors)
    assert max(row.measures.sqnr_db for row in result.tensors) > 25


@pytest.mark.oracle
@pytest.mark.slow
def test_numbers_are_those_of_tensorflows_debugger(tmp_path: Path) -> None:
    """Feed "pairwise" is what QuantizationDebugger measures, "quantized" its verification of the whole model.

    Its averages are float32 sums, and it runs XNNPACK.
    """
    run_with_tensorflow("-m", "tests.comparison.debugger", tmp_path)
    x = np.load(tmp_path / "x.npy")
    for feed in ("pairwise", "quantized"):
        result = qc.compare(
            tmp_path / "float.tflite", tmp_path / "int8.tflite", x, feed=feed, numerics="xnnpack"
        )
        rows = [row for row in result.tensors if row.op not in ("QUANTIZE", "DEQUANTIZE")]
        with (tmp_path / f"{feed}.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert [line["op_name"] for line in lines] == [row.op for row in rows]
        assert {"CONV_2D", "ADD", "MEAN", "SOFTMAX"} <= {row.op for row in rows}
        for line, row in zip(lines, rows, strict=True):
            assert row.params is not None
            assert float(line["scale"]) == pytest.approx(float(row.params.scale), rel=1e-6)
            assert float(line["zero_point"]) == row.params.zero_point
            found, step = row.measures, float(row.params.scale)
            assert float(line["num_elements"]) == found.elements
            assert float(line["mean_squared_error"]) == pytest.approx(
                found.mean_squared_error, rel=1e-4, abs=1e-12
            )
            for name in ("stddev", "mean_error", "max_abs_error"):
                assert math.isclose(
                    float(line[name]), getattr(found, name), rel_tol=1e-4, abs_tol=1e-4 * step
                )
