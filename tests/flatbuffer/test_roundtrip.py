"""Writing and reading again changes nothing, for us and for TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantcore.flatbuffer import read_model, write_model
from quantcore.samples import random_samples
from tests.flatbuffer.compare import assert_same
from tests.flatbuffer.generated import assert_as_generated
from tests.ops.harness import assert_same_bits, get_oracle

RUNNABLE = (
    "tflm_hello_world_int8",
    "tflm_micro_speech_int8",
    "mlperf_ic_int8",
    "mlperf_kws_float",
    "tflm_mnist_lstm_int8",
    "coral_split_concat_uint8",
    "support_mobilenet_v1_025_224_uint8",
)


def assert_round_trip(path: Path) -> None:
    model = read_model(path)
    data = write_model(model)
    assert_same(read_model(data), model)
    assert write_model(read_model(data)) == data
    assert_as_generated(model, data)


def test_real_models(model_path: Path) -> None:
    assert_round_trip(model_path)


def test_converted_models(converted_path: Path) -> None:
    assert_round_trip(converted_path)


@pytest.mark.oracle
@pytest.mark.parametrize("name", RUNNABLE)
def test_tensorflow_lite_computes_the_same(name: str, models_dir: Path) -> None:
    assert_runs_alike(models_dir / f"{name}.tflite")


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["control_flow", "wide_operator_code"])
def test_tensorflow_lite_computes_the_same_for_converted_models(name: str, converted_dir: Path) -> None:
    assert_runs_alike(converted_dir / f"{name}.tflite")


def assert_runs_alike(path: Path) -> None:
    oracle, model = get_oracle(), read_model(path)
    for sample in random_samples(model, 0, 2, seed=3):
        expected = oracle.run(path, sample)
        for ours, theirs in zip(oracle.run(write_model(model), sample), expected, strict=True):
            assert_same_bits(ours, theirs)


def test_constants_are_aligned_for_tflite(model_path: Path) -> None:
    data = write_model(read_model(model_path))
    start = np.frombuffer(data, np.uint8).ctypes.data
    assert all((b.ctypes.data - start) % 16 == 0 for b in read_model(data).buffers if b is not None)
