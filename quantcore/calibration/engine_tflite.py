"""Ranges by TensorFlow Lite's float kernels, in the oracle's process, as the calibrator runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import numpy as np

from quantcore.calibration.dataset import MAIN, Sample
from quantcore.calibration.methods import MIN_MAX, Method, method_name
from quantcore.calibration.observation import Ends, Narrowed, Observation, describe_tensor, not_finite
from quantcore.errors import QuantizationError
from quantcore.flatbuffer import write_model
from quantcore.graph import Model, Subgraph
from quantcore.oracle import Oracle

__all__ = ["observe", "observe_as_calibrator"]


def observe(
    model: Model, samples: Iterator[Sample], methods: Mapping[int, Method], oracle: Oracle | None
) -> Observation:
    """Run the model on `samples` in TensorFlow Lite; see `quantcore.calibration.engine_quantcore.observe`.

    Raises
    ------
    QuantizationError
        NaN or infinity in a tensor.
    OracleUnavailable
        Neither tensorflow nor ai-edge-litert is installed. (Only the former computes the converter's bits.)
    OracleRefused, OracleCrashed
        TensorFlow Lite does not run the model, or a sample.
    """
    subgraph = model.subgraphs[MAIN]
    tensors = run_order(subgraph, methods)
    special = {t: method for t, method in methods.items() if method_name(method) != MIN_MAX}
    with Oracle() if oracle is None else nullcontext(oracle) as worker:
        request = {
            "command": "observe",
            "tensors": tensors,
            "state": [t for t in tensors if subgraph.tensors[t].is_variable],
            "methods": special,
        }
        worker.request(request, [np.frombuffer(write_model(model), np.uint8)], "loading the float model")
        count = 0
        for count, sample in enumerate(samples, 1):
            feed(worker, subgraph, sample, count - 1)
        _, (seen, narrowed) = worker.request({"command": "ranges"}, [], "collecting ranges")
    found = {t: as_ends(ends) for t, ends in zip(tensors, seen, strict=True) if ends[0] <= ends[1]}
    ranges = {t: as_narrowed(row) for t, row in zip(special, narrowed, strict=True) if t in found}
    return Observation(count, found, ranges)


def observe_as_calibrator(model: Model, samples: Iterator[Sample], oracle: Oracle | None) -> Observation:
    """Return what TensorFlow's calibrator records, all samples at once.

    It runs an LSTM by a kernel of its own, which records what is inside, and whose results differ in the last
    bits. It records infinity like any number, and leaves out NaN.

    Raises
    ------
    QuantizationError
        Infinity in a tensor.
    OracleError
        As `observe`.
    """
    given = list(samples)
    with Oracle() if oracle is None else nullcontext(oracle) as worker:
        subgraph = worker.calibrate(model, given).subgraphs[MAIN]
    seen: dict[int, Ends] = {}
    for t, tensor in enumerate(subgraph.tensors):
        recorded = tensor.quantization
        if tensor.is_constant or recorded is None or recorded.min is None or recorded.max is None:
            continue
        seen[t] = float(recorded.min[0]), float(recorded.max[0])
        if not np.isfinite(seen[t]).all():
            raise QuantizationError(
                f"{describe_tensor(subgraph, t)}: its range is {seen[t]}; a range needs finite values"
            )
    return Observation(len(given), seen, {})


def feed(worker: Oracle, subgraph: Subgraph, sample: Sample, index: int) -> None:
    """Run one sample."""
    doing = f"running sample {index}"
    reply, _ = worker.request({"command": "feed"}, sample, doing)
    if reply["status"] == "not finite":
        raise not_finite(subgraph, reply["tensor"], reply["values"], index)


def run_order(subgraph: Subgraph, methods: Mapping[int, Method]) -> list[int]:
    """Return the tensors of `methods`, inputs first, then as operators write them."""
    tensors = dict.fromkeys((*subgraph.inputs, *subgraph.producers(), *methods))
    return [t for t in tensors if t in methods]


def as_ends(ends: np.ndarray) -> Ends:
    """Return a row of two numbers as floats."""
    return float(ends[0]), float(ends[1])


def as_narrowed(row: np.ndarray) -> Narrowed:
    """Return a row of two numbers and a share, NaN where it is not known."""
    share = float(row[2])
    return *as_ends(row), None if np.isnan(share) else share
