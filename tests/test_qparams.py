"""choose_qparams against what the installed converter wrote into the demo's models."""

from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import MinMax
from quantcore.graph import Model, Operator, Subgraph, Tensor

WEIGHTED = ("CONV_2D", "FULLY_CONNECTED")


def weighted(model: Model) -> list[tuple[Operator, Subgraph]]:
    subgraph = model.subgraphs[0]
    return [(op, subgraph) for op in subgraph.operators if op.op in WEIGHTED]


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_weight_scales_and_codes_are_the_converters(network: str, demo_output: Path) -> None:
    """Per channel, symmetric, narrow range: the scales of every layer, bit for bit."""
    plain = weighted(qc.load(demo_output / f"{network}_float.tflite"))
    quantized = weighted(qc.load(demo_output / f"{network}_int8.tflite"))
    assert len(plain) == len(quantized) > 0
    for (a, a_graph), (b, b_graph) in zip(plain, quantized, strict=True):
        w = a_graph.tensors[a.inputs[1]].data
        stored: Tensor = b_graph.tensors[b.inputs[1]]
        tracker = MinMax(axis=stored.quantization.quantized_dimension)
        tracker.update(w)
        p = qc.choose_qparams(*tracker.range(), symmetric=True, narrow_range=True, axis=tracker.axis)
        np.testing.assert_array_equal(p.scale, stored.quantization.scale)
        assert not stored.quantization.zero_point.any()
        # the codes are not QUANTIZE's: the converter multiplies by float32(1 / scale)
        column = [-1 if d == tracker.axis else 1 for d in range(w.ndim)]
        steps = w * (1.0 / p.scale.astype(np.float64)).astype(np.float32).reshape(column)
        codes = np.clip(np.copysign(np.floor(np.abs(steps) + 0.5), steps), -127, 127)
        np.testing.assert_array_equal(codes, stored.data)
