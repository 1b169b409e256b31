"""Editing a model in Python and saving it: TensorFlow Lite and our interpreter run the same edited model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.graph import Model, Quantization, Tensor
from quantcore.samples import random_samples
from tests.ops.harness import assert_same_bits, get_oracle

pytestmark = pytest.mark.oracle


def quantization(tensor: Tensor) -> Quantization:
    assert tensor.quantization is not None
    return tensor.quantization


def edit_weight(model: Model) -> None:
    """Turn the filter of the first convolution upside down."""
    filters = first_convolution(model)[1]
    assert filters.data is not None
    filters.data = -np.maximum(filters.data, -127)


def edit_scale(model: Model) -> None:
    """Let the first convolution's output saturate, and round one channel of its filter to a coarser scale."""
    _, filters, output = first_convolution(model)
    output.quantization = Quantization(quantization(output).scale / 4, quantization(output).zero_point)
    old = quantization(filters)
    scale = old.scale.copy()
    scale[0] *= 3
    assert filters.data is not None
    data = filters.data.copy()
    data[0] = np.round(data[0] / 3)
    filters.data = data
    filters.quantization = Quantization(scale, old.zero_point, old.quantized_dimension)


def edit_zero_point(model: Model) -> None:
    """Shift what the first convolution's output means; what follows is not told of it."""
    output = first_convolution(model)[2]
    output.quantization = Quantization(quantization(output).scale, quantization(output).zero_point + 40)


def first_convolution(model: Model) -> tuple[Tensor, Tensor, Tensor]:
    """Return input, filter and output of the first CONV_2D."""
    graph = model.subgraphs[0]
    op = next(op for op in graph.operators if op.op == "CONV_2D")
    return graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]]


@pytest.mark.parametrize("edit", [edit_weight, edit_scale, edit_zero_point])
def test_edited_models_run_alike(edit: Callable[[Model], None], models_dir: Path, tmp_path: Path) -> None:
    model = qc.load(models_dir / "mlperf_ic_int8.tflite")
    sample = random_samples(model, 0, 1, seed=11)[0]
    before = qc.Interpreter(model).run_all(sample)
    edit(model)
    path = tmp_path / "edited.tflite"
    qc.save(model, path)
    edited = qc.load(path)
    ours = qc.Interpreter(edited).run_all(sample)
    first = edited.subgraphs[0].operators[0].outputs[0]
    assert not np.array_equal(ours[first], before[first])
    for t, theirs in get_oracle().run_all(path, sample).items():
        assert_same_bits(ours[t], theirs, f"tensor {t}")
    (end,) = edited.subgraphs[0].outputs
    (theirs,) = get_oracle().run(path, sample)
    assert_same_bits(ours[end], theirs)


def test_edited_float_weights_run_alike(models_dir: Path, tmp_path: Path) -> None:
    model = qc.load(models_dir / "mlperf_ad_float.tflite")
    weights = model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[1]]
    assert weights.data is not None
    data = weights.data.copy()
    data[0] = 0.0
    data[1:] *= np.float32(1.5)
    weights.data = data
    path = tmp_path / "edited.tflite"
    qc.save(model, path)
    sample = random_samples(model, 0, 1, seed=11)[0]
    ours = qc.Interpreter(path).run_all(sample)
    for t, theirs in get_oracle().run_all(path, sample).items():
        assert_same_bits(ours[t], theirs, f"tensor {t}")
