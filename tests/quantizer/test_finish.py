"""The end of every mode: what is dropped, renumbered, shared, and which versions are written."""

from __future__ import annotations

import numpy as np
import pytest

from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Metadata, Model, Operator, Quantization, Signature, Tensor
from quantcore.quantizer.account import Account
from quantcore.quantizer.finish import finish
from quantcore.quantizer.runtime_versions import minimum_runtime, runtime_version
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.versions import set_versions
from tests.quantizer.graphs import Graph
from tests.quantizer.networks import draw

INT8 = Settings("int8")


def dense() -> Model:
    """A network with an unused tensor before each used one, and two equal constants."""
    graph = Graph()
    graph.constant(draw(3))
    x = graph.input(1, 4)
    graph.constant(draw(2))
    w, b = graph.constant(draw(4, 4)), graph.constant(np.zeros(4, np.float32))
    again = graph.constant(draw(4, 4))
    y = graph.add("FULLY_CONNECTED", (x, w, b), 1, 4)
    z = graph.add("FULLY_CONNECTED", (y, again, -1), 1, 4)
    model = graph.model(z)
    model.signatures = [Signature("serving_default", 0, {"x": x}, {"z": z})]
    return model


def test_unused_tensors_go_and_indices_follow() -> None:
    account = Account()
    for t in (0, 3, 6):
        account.record(t, f"rule {t}", t)
    model = finish(dense(), INT8, account)
    (graph,) = model.subgraphs
    assert [t.name for t in graph.tensors] == [
        "input0", "constant3", "constant4", "constant5", "fully_connected6", "fully_connected7"
    ]  # fmt: skip
    assert (graph.inputs, graph.outputs) == ((0,), (5,))
    assert [op.inputs for op in graph.operators] == [(0, 1, 2), (4, 3, -1)]
    assert model.signatures == [Signature("serving_default", 0, {"x": 0}, {"z": 5})]
    assert {t: entry.rule for t, entry in account.tensors.items()} == {1: "rule 3", 4: "rule 6"}


def test_equal_constants_share_a_buffer() -> None:
    written = read_model(write_model(finish(dense(), INT8, Account())))
    tensors = written.subgraphs[0].tensors
    assert tensors[1].buffer == tensors[3].buffer != tensors[2].buffer
    assert sum(buffer is not None and buffer.size == 64 for buffer in written.buffers) == 1


def test_appended_files_are_kept_and_other_bytes_are_not() -> None:
    model = dense()
    model.archive = b"PK\x05\x06" + bytes(18)  # the smallest there is
    model.trailing, model.trailing_offset = np.ones(8, np.uint8), 4096
    model.unread = ("slot 90 of Model (at the root)",)
    written = read_model(write_model(finish(model, INT8, Account())))
    assert written.archive == model.archive
    assert written.trailing is None


def test_variables_share_nothing() -> None:
    model = dense()
    model.subgraphs[0].tensors[5].is_variable = True
    tensors = finish(model, INT8, Account()).subgraphs[0].tensors
    assert tensors[1].buffer != tensors[3].buffer


def test_constants_of_other_dtypes_with_the_same_bytes_share_a_buffer_and_keep_their_values() -> None:
    graph = Graph()
    x = graph.input(1, 4)
    float_zero, int_zero = graph.constant(np.zeros(1, np.float32)), graph.constant(np.zeros(1, np.int32))
    y = graph.add("ADD", (x, float_zero), 1, 4)
    z = graph.add("SUM", (y, int_zero), 4)
    tensors = read_model(write_model(finish(graph.model(z), INT8, Account()))).subgraphs[0].tensors
    assert [(t.dtype, t.data.tolist()) for t in tensors if t.data is not None] == [
        ("float32", [0.0]),
        ("int32", [0]),
    ]


def test_metadata() -> None:
    model = dense()
    model.buffers += [np.frombuffer(text, np.uint8) for text in (b"1.5.0", b"labels", b"converter")]
    names = ("min_runtime_version", "TFLITE_METADATA", "CONVERSION_METADATA")
    model.metadata = [Metadata(name, i + 1) for i, name in enumerate(names)]
    model = read_model(write_model(finish(model, Settings("float16"), Account())))
    found = {entry.name: bytes(model.buffers[entry.buffer].tobytes()) for entry in model.metadata}
    assert found == {
        "min_runtime_version": b"1.5.0" + bytes(11),
        "TFLITE_METADATA": b"labels",
        "reduced_precision_support": b"fp16accfp32",
    }
    assert model.description == "Quantized by quantcore (float16)"


def test_same_draft_same_bytes() -> None:
    assert write_model(finish(dense(), INT8, Account())) == write_model(finish(dense(), INT8, Account()))


def test_one_version_for_all_operators_of_a_kind() -> None:
    """As the converter: the float one, too, has the version that the hybrid one needs."""
    model = dense()
    tensors = model.subgraphs[0].tensors
    tensors[5] = Tensor(
        "w8", (4, 4), "int8", data=np.zeros((4, 4), np.int8),
        quantization=Quantization(np.ones(4, np.float32), np.zeros(4, np.int64)),
    )  # fmt: skip
    set_versions(model, "dynamic")
    assert [op.version for op in model.subgraphs[0].operators] == [12, 12]
    assert minimum_runtime(model) == "2.17.0"


def test_int16x8_raises_versions_of_float_operators_too() -> None:
    """SQRT has no int16 form and stays at its version; DEPTH_TO_SPACE has none and is raised all the same."""
    graph = Graph()
    x = graph.input(1, 2, 2, 4)
    y = graph.add("DEPTH_TO_SPACE", (x,), 1, 4, 4, 1, block_size=2)
    z = graph.add("SQRT", (y,), 1, 4, 4, 1)
    model = graph.model(z)
    set_versions(model, "int16x8")
    assert [op.version for op in model.subgraphs[0].operators] == [2, 1]


@pytest.mark.parametrize(("inner", "version"), [(False, 1), (True, 2)])
def test_int16x8_version_of_quantize(inner: bool, version: int) -> None:
    """2 where one stands inside the graph; those at float inputs are added after versions are set."""
    graph = Graph()
    x = graph.input(1, 4)
    q = graph.add("QUANTIZE", (x,), 1, 4, dtype="int16")
    if inner:
        q = graph.add("QUANTIZE", (q,), 1, 4, dtype="int16")
    y = graph.add("DEQUANTIZE", (q,), 1, 4)
    model = graph.model(y)
    set_versions(model, "int16x8")
    quantize, *_, dequantize = model.subgraphs[0].operators
    assert (quantize.version, dequantize.version) == (version, 2)


def test_unknown_operators_keep_their_version() -> None:
    model = dense()
    model.subgraphs[0].operators.append(Operator("CONV_3D", 7, (1,), (1,)))
    set_versions(model, "dynamic")
    assert model.subgraphs[0].operators[-1].version == 7


def test_runtime_versions() -> None:
    assert runtime_version("ADD", 1) == "1.5.0"
    assert runtime_version("FULLY_CONNECTED", 12) == "2.17.0"
    assert runtime_version("BROADCAST_TO", 1) is None
    assert runtime_version("ADD", 99) is None
    assert runtime_version("NO_SUCH_OPERATOR", 1) is None


def test_runtime_versions_are_compared_as_numbers() -> None:
    graph = Graph()
    x = graph.input(1, 4)
    y = graph.add("ADD", (x, x), 1, 4)
    z = graph.add("REDUCE_MAX", (y, graph.constant(np.zeros(1, np.int32))), 4)
    assert minimum_runtime(graph.model(z)) == "1.11.0"
