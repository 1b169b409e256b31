"""TensorFlow Lite Micro as an oracle: what differs from TFLite, which has its own tests."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantcore.errors import OracleError, OracleRefused
from quantcore.flatbuffer import read_model
from quantcore.graph import Metadata, Model
from quantcore.oracle import Oracle
from quantcore.oracle.rewrite import with_outputs
from tests.ops.harness import Op, assert_same_bits, get_oracle, graph_model, op_model, random_values, tensor

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def micro() -> Oracle:
    return get_oracle("tflm")


def difference() -> Model:
    """``a - b``: the order of the inputs shows in the result."""
    ends = [tensor((2, 3), "float32", name="a"), tensor((2, 3), "float32", name="b")]
    return op_model("SUB", ends, [tensor((2, 3), "float32", name="y")])


A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.full((2, 3), 10, np.float32)


def test_inputs_by_position_and_by_name(micro: Oracle) -> None:
    for inputs in ([A, B], {"b": B, "a": A}):
        (y,) = micro.run(difference(), inputs)
        assert_same_bits(y, A - B)


def test_name_and_version(micro: Oracle) -> None:
    assert (micro.name, micro.resolver) == ("tflite-micro", "TFLM")
    assert micro.version.startswith("0.dev")


def test_only_its_own_package_has_this_resolver() -> None:
    for resolver, package in (("TFLM", "tensorflow"), ("AUTO", "tflite_micro")):
        with pytest.raises(OracleError, match=f"{package} has no resolver {resolver}"):
            Oracle(resolver, package=package)


# What TFLite refuses or crashes on


@pytest.mark.parametrize("name", ["tflm_person_detect_int8", "tflm_keyword_scrambled_8bit"])
def test_models_that_only_tflm_runs(name: str, micro: Oracle, models_dir: Path) -> None:
    path = models_dir / f"{name}.tflite"
    item = read_model(path).subgraphs[0]
    x = random_values(np.random.default_rng(0), item.tensors[item.inputs[0]].shape, item.tensors[0].dtype)
    x = x.astype(item.tensors[item.inputs[0]].dtype)
    (y,) = micro.run(path, x)
    assert y.shape == item.tensors[item.outputs[0]].shape
    assert_same_bits(micro.run_all(path, x)[item.outputs[0]], y)


# State


@pytest.mark.parametrize("name", ["tflm_mnist_lstm_int8", "tflm_dtln_int8"])
def test_state_is_fresh_unless_kept(name: str, micro: Oracle, models_dir: Path) -> None:
    path = models_dir / f"{name}.tflite"
    item = read_model(path).subgraphs[0]
    x_tensor = item.tensors[item.inputs[0]]
    rng = np.random.default_rng(0)
    first, second = (random_values(rng, x_tensor.shape, x_tensor.dtype) for _ in range(2))
    last = [op.outputs[0] for op in item.operators if op.op == "UNIDIRECTIONAL_SEQUENCE_LSTM"]
    alone = micro.run(path, second, last)[0]
    fresh = micro.run_batch(path, [first, second, second], last)
    kept = micro.run_batch(path, [first, second, second], last, keep_state=True)
    assert_same_bits(fresh[1][0], alone)
    assert_same_bits(fresh[2][0], alone)
    assert_same_bits(kept[0][0], fresh[0][0])
    assert not np.array_equal(kept[1][0], alone)


# Memory


def test_outputs_are_not_overwritten_by_a_memory_plan_of_the_file(micro: Oracle) -> None:
    """The plan puts every second tensor in the same place, which is right only while one of them is alive."""
    names = ["x", "a", "b", "c", "y"]
    model = graph_model(
        {name: tensor((1, 64), "float32") for name in names},
        [Op("NEG", [x], [y]) for x, y in itertools.pairwise(names)],
        ["x"],
        ["y"],
    )
    offsets = [0, 256, 0, 256, 0]
    plan = np.array([1, 0, len(offsets), *offsets], np.int32).view(np.uint8)
    model.buffers.append(plan)
    model.metadata.append(Metadata("OfflineMemoryAllocation", len(model.buffers) - 1))
    x = random_values(np.random.default_rng(0), (1, 64), "float32")
    assert_same_bits(micro.run(model, x)[0], x)
    tensors = micro.run_all(model, x)
    assert [np.array_equal(tensors[t], x if t % 2 == 0 else -x) for t in range(5)] == [True] * 5
    assert with_outputs(model, 0, [1]).metadata == []


# Refusals


def test_a_refusal_quotes_what_tflm_printed(micro: Oracle, models_dir: Path) -> None:
    path = models_dir / "support_mobilenet_v1_025_224_uint8.tflite"
    with pytest.raises(OracleRefused, match=r"Hybrid models are not supported.*Node CONV_2D \(number 0\)"):
        micro.run(path, np.zeros((1, 224, 224, 3), np.uint8))
    with pytest.raises(OracleRefused) as caught:  # nothing of the last refusal is quoted again
        micro.run(difference(), [A, B.astype(np.int8)])
    assert "Hybrid" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([A], "2 inputs, got 1"),
        ({"a": A, "c": B}, "called"),
        ([A, B.astype(np.int8)], "INT8"),
        ([A, B[:1]], "Dimension mismatch"),
        ([A, B[0]], "Dimension mismatch"),
    ],
)
def test_unusable_inputs_are_refused(micro: Oracle, inputs: object, reason: str) -> None:
    with pytest.raises(OracleRefused, match=reason):
        micro.run(difference(), inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"TFL3" * 50])
def test_files_that_are_not_models_are_refused(micro: Oracle, data: bytes) -> None:
    with pytest.raises(OracleRefused):
        micro.run(data, A)


def test_an_operator_that_tflm_does_not_have(micro: Oracle) -> None:
    model = op_model("RELU_N1_TO_1", [tensor((2, 3), "float32")], [tensor((2, 3), "float32")])
    with pytest.raises(OracleRefused, match="RELU_N1_TO_1"):
        micro.run(model, A)


def test_other_entry_points_are_refused(micro: Oracle) -> None:
    first, second = difference(), op_model("NEG", [tensor((2, 3), "float32")], [tensor((2, 3), "float32")])
    model = replace(first, subgraphs=[first.subgraphs[0], second.subgraphs[0]])
    with pytest.raises(OracleRefused, match="first subgraph only"):
        micro.run(model, A, subgraph=1)
