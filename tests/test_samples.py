"""Samples: taken apart from arrays and files, or drawn at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantcore.errors import KernelError, QuantcoreError, UnsupportedOperatorError
from quantcore.graph import Model, Quantization, Signature
from quantcore.runtime import Interpreter
from quantcore.samples import random_samples, split_samples
from tests.ops.harness import op_model, tensor


def one_input(shape: tuple[int, ...] = (1, 4), dtype: str = "float32") -> Model:
    return op_model("RELU", [tensor(shape, dtype, name="x")], [tensor((), dtype)])


def two_inputs() -> Model:
    ends = [tensor((1, 2), "float32", name="a"), tensor((1, 3), "int32", name="b")]
    return op_model("CONCATENATION", ends, [tensor((), "float32")])


X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("given", [X, [X], {"x": X}, X.copy(order="F")])
def test_one_input_in_every_form(given: object) -> None:
    samples = split_samples(one_input(), 0, given)  # type: ignore[arg-type]
    assert [len(s) for s in samples] == [1, 1, 1]
    assert np.array_equal(np.concatenate([s[0] for s in samples]), X)
    assert {s[0].shape for s in samples} == {(1, 4)}


def test_the_batch_of_the_model_stays_together() -> None:
    samples = split_samples(one_input((3, 4)), 0, np.concatenate([X, X]))
    assert [s[0].shape for s in samples] == [(3, 4)] * 2


def test_a_sample_without_the_batch_axis() -> None:
    assert split_samples(one_input(), 0, X[0])[0][0].shape == (1, 4)


def test_several_inputs_by_order_tensor_name_and_signature() -> None:
    model = two_inputs()
    a, b = np.ones((5, 2), np.float32), np.ones((5, 3), np.int32)
    model.signatures = [Signature("run", 0, {"first": 0, "second": 1}, {"y": 2})]
    for given in ([a, b], {"b": b, "a": a}, {"second": b, "first": a}):
        samples = split_samples(model, 0, given)
        assert [[x.shape for x in s] for s in samples] == [[(1, 2), (1, 3)]] * 5


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "any_name.npz", images=X)
    np.savez(tmp_path / "both.npz", a=np.ones((2, 2), np.float32), b=np.ones((2, 3), np.int32))
    assert len(split_samples(one_input(), 0, tmp_path / "x.npy")) == 3
    assert len(split_samples(one_input(), 0, str(tmp_path / "any_name.npz"))) == 3
    assert len(split_samples(two_inputs(), 0, tmp_path / "both.npz")) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X.astype(np.float64), "dtype float32, got float64"),
        (X[:, :3], "shape"),
        (X[:0], "multiple"),
        ([X, X], "1 inputs, got 2"),
        ({"y": X}, r"called \['x'\], got \['y'\]"),
    ],
)
def test_unusable_arrays(given: object, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        split_samples(one_input(), 0, given)  # type: ignore[arg-type]


def test_inputs_of_different_length() -> None:
    given = [np.ones((5, 2), np.float32), np.ones((4, 3), np.int32)]
    with pytest.raises(KernelError, match=r"\[4, 5\]"):
        split_samples(two_inputs(), 0, given)


def test_unusable_files(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"\x89PNG")
    with pytest.raises(QuantcoreError, match="not a NumPy file"):
        split_samples(one_input(), 0, tmp_path / "x.npz")
    with pytest.raises(OSError, match="No such file"):
        split_samples(one_input(), 0, tmp_path / "none.npy")


# At random --------------------------------------------------------------------------------------------


def test_the_seed_decides() -> None:
    model = one_input((1, 100))
    a, b, c = (np.stack([s[0] for s in random_samples(model, 0, 3, seed)]) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.array_equal(random_samples(model, 0, 2, 1)[1][0], a[1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantized_integers_cover_the_dtype(dtype: str) -> None:
    model = op_model("RELU", [tensor((1, 1 << 20), dtype, 0.1)], [tensor((), dtype, 0.1)])
    x = random_samples(model, 0, 1, 0)[0][0]
    info = np.iinfo(dtype)
    assert (x.dtype, x.min(), x.max()) == (dtype, info.min, info.max)


def test_plain_integers_are_small_and_booleans_are_both() -> None:
    model = op_model("RELU", [tensor((1, 1000), "int32"), tensor((1, 1000), "bool")], [tensor((), "int32")])
    integers, booleans = random_samples(model, 0, 1, 0)[0]
    assert sorted(set(integers.ravel().tolist())) == list(range(10))
    assert set(booleans.ravel().tolist()) == {True, False}


def test_floats_follow_the_quantize_operator_that_reads_them() -> None:
    model = op_model("QUANTIZE", [tensor((1, 10000), "float32")], [tensor((), "int8", 0.5, -28)])
    x = random_samples(model, 0, 1, 0)[0][0]
    low, high = 0.5 * (-128 + 28), 0.5 * (127 + 28)
    assert low - 0.06 * (high - low) < x.min() < low
    assert high < x.max() < high + 0.06 * (high - low)


def test_floats_follow_the_recorded_range() -> None:
    model = one_input((1, 10000))
    low, high = np.float32([2]), np.float32([4])
    recorded = Quantization(np.zeros(0, np.float32), np.zeros(0, np.int64), min=low, max=high)
    model.subgraphs[0].tensors[0].quantization = recorded
    x = random_samples(model, 0, 1, 0)[0][0]
    assert 1.8 < x.min() < 2.0
    assert 4.0 < x.max() < 4.2


def test_other_floats_alternate() -> None:
    normal, uniform, again = (s[0] for s in random_samples(one_input((1, 10000)), 0, 3, 0))
    assert uniform.min() >= 0
    assert uniform.max() < 1
    for x in (normal, again):
        assert abs(x.mean()) < 0.1
        assert 0.9 < x.std() < 1.1


def test_strings_cannot_be_drawn() -> None:
    model = one_input()
    model.subgraphs[0].tensors[0].dtype = "string"
    with pytest.raises(UnsupportedOperatorError, match="string"):
        random_samples(model, 0, 1, 0)


def test_integers_that_say_a_shape_or_an_index_are_valid() -> None:
    shape, table = tensor((2,), "int32"), tensor((3, 5), "float32")
    reshape = op_model("RESHAPE", [tensor((6,), "int8"), shape], [tensor((2, 3), "int8")])
    assert random_samples(reshape, 0, 1, 0)[0][1].tolist() == [2, 3]
    gather = op_model("GATHER", [table, tensor((100,), "int32")], [tensor((100, 5), "float32")], {"axis": 0})
    assert set(random_samples(gather, 0, 1, 0)[0][1].tolist()) == {0, 1, 2}


@pytest.mark.parametrize("op", ["TRANSPOSE_CONV", "EMBEDDING_LOOKUP", "RESHAPE"])
def test_an_operator_that_lacks_the_other_operands(op: str) -> None:
    model = op_model(op, [tensor((4,), "int32")], [tensor((), "int32")])
    (value,) = random_samples(model, 0, 1, 0)[0]
    assert value.shape == (4,)
    with pytest.raises(QuantcoreError):
        Interpreter(model)


@pytest.mark.parametrize("shape", [(2**30, 2**30), (2**31 - 1,) * 4])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_inputs_that_no_memory_holds(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(KernelError, match="too large"):
        random_samples(one_input(shape, dtype), 0, 1, 0)
