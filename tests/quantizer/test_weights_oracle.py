"""Modes dynamic and float16 against TFLiteConverter: every tensor, operator and version, in all subgraphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quantcore.comparison.agreement import compare_structure
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model
from quantcore.quantizer.quantize import quantize_model
from tests.process import run_with_tensorflow
from tests.quantizer import weights_script

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the networks of `weights_script`, converted in all modes."""
    folder = tmp_path_factory.mktemp("converted")
    run_with_tensorflow(weights_script.__file__, folder)
    return folder


def metadata(model: Model) -> dict[str, bytes]:
    """Return what the metadata says, apart from how the file was made."""
    found = {entry.name: bytes(model.buffers[entry.buffer].tobytes()) for entry in model.metadata}
    found.pop("CONVERSION_METADATA", None)
    return found


@pytest.mark.parametrize("mode", ["dynamic", "float16"])
@pytest.mark.parametrize("network", weights_script.NETWORKS)
def test_equal_to_the_converter(converted: Path, network: str, mode: str) -> None:
    ours = quantize_model(converted / f"{network}.float.tflite", mode=mode)
    ours = read_model(write_model(ours))
    theirs = read_model(converted / f"{network}.{mode}.tflite")
    assert len(ours.subgraphs) == len(theirs.subgraphs)
    compared = 0
    for a, b in zip(ours.subgraphs, theirs.subgraphs, strict=True):
        agreement = compare_structure(replace(ours, subgraphs=[a]), replace(theirs, subgraphs=[b]))
        assert agreement.differences == []
        assert [op.op for op in a.operators] == [op.op for op in b.operators]
        compared += agreement.compared.total()
    assert compared > 3
    assert metadata(ours) == metadata(theirs)
