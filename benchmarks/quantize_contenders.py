"""One contender of ``bench_quantize.py``, in a process of its own, so that time and memory are its own.

Arguments: name of the contender, a JSON object. Prints one JSON object on the last line: ``seconds`` by step,
``peak_mb`` (see `peak_mb`), ``idle_mb`` (the same before the first step), ``bytes`` of the result. One whose
package is not installed prints ``missing``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


class Report:
    """What is measured."""

    def __init__(self) -> None:
        self.idle_mb = peak_mb()
        self.seconds: dict[str, float] = {}
        self.result = b""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def line(self) -> str:
        """Return the answer."""
        found = {"seconds": self.seconds, "idle_mb": self.idle_mb, "peak_mb": peak_mb()}
        return json.dumps(found | {"bytes": len(self.result)})


def peak_mb() -> float:
    """Return the largest resident set so far, in MB: this process's, or that of one that it started."""
    # Not RUSAGE_SELF: that starts from what the parent process had. That of children starts so too, which is
    # why it is not added.
    status = Path("/proc/self/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


def samples_of(task: dict[str, Any]) -> list[list[np.ndarray]]:
    """Return the samples, one array per input."""
    with np.load(task["samples"]) as arrays:
        inputs = [arrays[f"input{i}"] for i in range(len(arrays.files))]
    return [list(sample) for sample in zip(*inputs, strict=True)]


def quantcore_static(task: dict[str, Any]) -> Report:
    """Calibrate and quantize with our float kernels."""
    from quantcore.calibration import collect_ranges
    from quantcore.flatbuffer import read_model, write_model
    from quantcore.ops.registry import load_operators
    from quantcore.quantizer import int8  # noqa: F401 (imported before the clock runs)
    from quantcore.quantizer.settings import Settings
    from quantcore.quantizer.steps import apply, plan

    load_operators()  # imports the modules of all operators
    samples = samples_of(task)
    report = Report()
    with report.step("calibrate"):
        model = read_model(task["model"])
        ranges = collect_ranges(model, samples, num_threads=task["threads"])
    with report.step("quantize"):
        report.result = write_model(apply(plan(model, Settings(allow_float=True)), ranges))
    return report


def tensorflow_static(task: dict[str, Any]) -> Report:
    """Calibrate and quantize with TensorFlow's calibrator and MLIR quantizer: the converter's last steps."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.python.optimize import calibrator

    samples = samples_of(task)
    report = Report()
    with report.step("calibrate"):
        data = calibrator.add_intermediate_tensors(Path(task["model"]).read_bytes())
        calibrated = calibrator.Calibrator(data).calibrate(lambda: iter(samples))
    with report.step("quantize"):
        report.result = mlir_quantize(calibrated, input_data_type=tf.int8, output_data_type=tf.int8)
    return report


def peer_static(task: dict[str, Any], mode: str = "") -> Report:
    """Calibrate and quantize with ai-edge-quantizer."""
    from ai_edge_quantizer import quantizer, recipe

    samples = samples_of(task)
    named = [dict(zip(task["names"], sample, strict=True)) for sample in samples]
    report = Report()
    work = quantizer.Quantizer(task["peer_model"], recipe.static_wi8_ai8())
    options = {"mode": getattr(quantizer._CalibrationMode, mode)} if mode else {}
    with report.step("calibrate"):
        found = work.calibrate({task["signature"]: named}, num_threads=task["threads"], **options)
    with report.step("quantize"):
        report.result = bytes(work.quantize(found).quantized_model)
    return report


def peer_profiler(task: dict[str, Any]) -> Report:
    """The same, in its profiler mode."""
    return peer_static(task, "CALIBRATION_PROFILER_BASED")


def quantcore_dynamic(task: dict[str, Any]) -> Report:
    """Quantize the weights of a float ``.tflite``."""
    from quantcore.flatbuffer import read_model, write_model
    from quantcore.ops.registry import load_operators
    from quantcore.quantizer import dynamic  # noqa: F401 (as above)
    from quantcore.quantizer.settings import Settings
    from quantcore.quantizer.steps import apply, plan

    load_operators()
    report = Report()
    with report.step("quantize"):
        report.result = write_model(apply(plan(read_model(task["model"]), Settings("dynamic")), None))
    return report


def quantcore_keras(task: dict[str, Any]) -> Report:
    """From a Keras file to a dynamic range model, TensorFlow's float conversion included."""
    import quantcore as qc
    from quantcore.flatbuffer import write_model

    report = Report()
    with report.step("quantize"):
        report.result = write_model(qc.quantize_model(task["keras"], mode="dynamic"))
    return report


def tensorflow_keras(task: dict[str, Any]) -> Report:
    """From a Keras file to a dynamic range model, by TensorFlow's converter."""
    import tensorflow as tf

    report = Report()
    with report.step("quantize"):
        network = tf.keras.models.load_model(task["keras"], compile=False)
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        report.result = bytes(converter.convert())
    return report


def peer_dynamic(task: dict[str, Any]) -> Report:
    """Quantize the weights of a float ``.tflite`` with ai-edge-quantizer."""
    from ai_edge_quantizer import quantizer, recipe

    report = Report()
    with report.step("quantize"):
        work = quantizer.Quantizer(task["peer_model"], recipe.dynamic_wi8_afp32())
        report.result = bytes(work.quantize().quantized_model)
    return report


CONTENDERS: dict[str, dict[str, Callable[[dict[str, Any]], Report]]] = {
    "int8": {
        "quantcore": quantcore_static,
        "converter": tensorflow_static,
        "ai-edge-quantizer": peer_static,
        "ai-edge-quantizer, profiler": peer_profiler,
    },
    "dynamic": {
        "quantcore, from .tflite": quantcore_dynamic,
        "quantcore, from Keras": quantcore_keras,
        "converter": tensorflow_keras,
        "ai-edge-quantizer, from .tflite": peer_dynamic,
    },
}


def main() -> None:
    """Do one task and print what it took."""
    task = json.loads(sys.argv[2])
    os.sched_setaffinity(0, range(task["threads"]))  # inherited by every thread and process
    try:
        answer = CONTENDERS[task["mode"]][sys.argv[1]](task).line()
    except ModuleNotFoundError as error:
        answer = json.dumps({"missing": error.name})
    print(answer, flush=True)


if __name__ == "__main__":
    main()
