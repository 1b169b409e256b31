"""Quantization-aware networks against TFLiteConverter: every tensor, operator and version, bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from quantcore.comparison.agreement import compare_structure
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model
from quantcore.oracle import Oracle
from quantcore.quantizer.quantize import quantize_model
from quantcore.samples import random_samples
from tests.ops.harness import get_oracle
from tests.process import run_with_tensorflow
from tests.quantizer import trained_script

pytestmark = pytest.mark.oracle

MODES = {"int8": "int8_trained", "uint8": "uint8_trained", "float32": "float_fallback_trained"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the networks of `trained_script`."""
    folder = tmp_path_factory.mktemp("trained")
    run_with_tensorflow("-m", "tests.quantizer.trained_script", folder)
    return folder


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return get_oracle()


def runtime(model: Model) -> bytes:
    """Return what the metadata says about the runtime that the model needs."""
    return next(model.buffers[e.buffer].tobytes() for e in model.metadata if e.name == "min_runtime_version")


@pytest.mark.parametrize("network", trained_script.NETWORKS)
def test_equal_to_the_converter(saved: Path, oracle: Oracle, network: str) -> None:
    model = read_model(oracle.convert(saved / network, "float_trained"))
    for io, mode in MODES.items():
        ours = read_model(write_model(quantize_model(model, io=io, allow_float=True)))
        theirs = read_model(oracle.convert(saved / network, mode))
        agreement = compare_structure(ours, theirs)
        assert agreement.differences == [], io
        assert agreement.compared.total() > 5
        assert runtime(ours) == runtime(theirs)


def test_without_recorded_ranges_biases_are_close(saved: Path, oracle: Oracle) -> None:
    """The scales of activations and weights, and the codes of weights, need no more than the file has."""
    for network in ("residual", "four_bits"):
        model = read_model(oracle.convert(saved / network, "float"))
        ours = quantize_model(model)
        theirs = read_model(oracle.convert(saved / network, "int8_trained"))
        agreement = compare_structure(ours, theirs, scale_tolerance=2.0**-22)
        assert agreement.differences == []
        exact = compare_structure(ours, theirs)
        kinds = [kind for kind in exact.compared if kind != "int32 constant"]
        assert [exact.equal[kind] for kind in kinds] == [exact.compared[kind] for kind in kinds]


def test_four_bits_after_training(saved: Path, oracle: Oracle) -> None:
    """Codes and scales of weights are those of fake quantization of 4 bits, ties and zeros included."""
    model = read_model(oracle.convert(saved / "four_bits_float", "float"))
    samples = random_samples(model, 0, 2, seed=0)
    ours = quantize_model(model, samples, weight_bits=4)
    theirs = read_model(oracle.convert(saved / "four_bits", "int8_trained"))
    found, expected = (m.subgraphs[0] for m in (ours, theirs))
    assert [op.op for op in found.operators] == [op.op for op in expected.operators]
    compared = 0
    for a, b in zip(found.operators, expected.operators, strict=True):
        assert a.version == b.version
        if "CONV" not in a.op and a.op != "FULLY_CONNECTED":
            continue
        x, y = found.tensors[a.inputs[1]], expected.tensors[b.inputs[1]]
        assert (x.dtype, x.shape, x.params) == ("int4", y.shape, y.params)
        np.testing.assert_array_equal(x.data, y.data)
        compared += math.prod(x.shape)
    assert compared > 300
    assert runtime(ours) == runtime(theirs)


def test_networks_run_as_they_are(saved: Path, oracle: Oracle) -> None:
    """From a SavedModel, without naming a conversion."""
    ours = quantize_model(saved / "classifier", io="int8")
    theirs = read_model(oracle.convert(saved / "classifier", "int8_trained"))
    assert compare_structure(ours, theirs).differences == []
