"""Writing and reading again changes nothing, for us and for TensorFlow Lite."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quantcore.flatbuffer import read_model, save_model, write_model
from tests.flatbuffer.compare import assert_same
from tests.flatbuffer.generated import assert_as_generated

# Runs each pair of models on the same random inputs and prints which pairs gave equal bits.
RUN_PAIRS = """
import json, sys
import numpy as np
import tensorflow as tf
Interpreter = tf.lite.Interpreter
REFERENCE = tf.lite.experimental.OpResolverType.BUILTIN_REF

def outputs(path):
    interpreter = Interpreter(path, experimental_op_resolver_type=REFERENCE)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        if detail["dtype"] == np.float32:
            value = rng.normal(size=detail["shape"]).astype(np.float32)
        else:
            value = rng.integers(0, 3, detail["shape"]).astype(detail["dtype"])
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    results = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    return [r.tolist() if r.dtype == object else r.tobytes() for r in results]

pairs = json.loads(sys.stdin.read())
print("RESULT", json.dumps([outputs(a) == outputs(b) for a, b in pairs]))
"""
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


def test_tensorflow_lite_computes_the_same(models_dir: Path, converted_dir: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow Lite's interpreter")
    originals = [models_dir / f"{name}.tflite" for name in RUNNABLE] + [
        converted_dir / f"{name}.tflite" for name in ("control_flow", "strings", "wide_operator_code")
    ]
    pairs = []
    for original in originals:
        rewritten = tmp_path / original.name
        save_model(read_model(original), rewritten)
        pairs.append((str(original), str(rewritten)))
    result = subprocess.run(
        [sys.executable, "-c", RUN_PAIRS],
        input=json.dumps(pairs),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("RESULT "))
    assert json.loads(line.removeprefix("RESULT ")) == [True] * len(pairs)


def test_constants_are_aligned_for_tflite(model_path: Path) -> None:
    data = write_model(read_model(model_path))
    start = np.frombuffer(data, np.uint8).ctypes.data
    assert all((b.ctypes.data - start) % 16 == 0 for b in read_model(data).buffers if b is not None)
